"""GraphQL's `Float`, with the digits that a caller wrote.

A filter on a decimal of 38 digits compares with just that number: as an input, `Float` is the text of
the number, in place of the float next to it. Numbers of answers are ready JSON already.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, ClassVar, Final

from graphql import (
    FloatValueNode,
    GraphQLError,
    GraphQLFloat,
    GraphQLNamedType,
    GraphQLScalarType,
    IntValueNode,
    ValueNode,
)
from graphql.language import print_ast


class _Float(GraphQLScalarType):
    """A scalar that may be called as one of GraphQL's own."""

    reserved_types: ClassVar[Mapping[str, GraphQLNamedType]] = {}  # type: ignore[misc]


def _read_value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise GraphQLError(f"Float cannot represent non numeric value: {str(value)[:100]!r}")
    if not isfinite(value):
        raise GraphQLError("Float cannot represent a number that is not finite")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _read_literal(node: ValueNode, _variables: Any = None) -> str:
    if not isinstance(node, FloatValueNode | IntValueNode):
        shown = print_ast(node)[:100]
        raise GraphQLError(f"Float cannot represent non numeric value: {shown}", node)
    return node.value


FLOAT: Final = _Float(
    name="Float",
    description=GraphQLFloat.description,
    coerce_output_value=GraphQLFloat.coerce_output_value,
    coerce_input_value=_read_value,
    coerce_input_literal=_read_literal,
    value_to_literal=GraphQLFloat.value_to_literal,
)
