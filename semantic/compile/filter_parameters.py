"""What the query and the caller put into a snippet: FILTER_PARAMS, FILTER_GROUP, claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, assert_never

from semantic.catalog.catalog import (
    Argument,
    ColumnReference,
    ContextValue,
    Dimension,
    FilterGroup,
    FilterParameter,
    Segment,
)
from semantic.compile.conditions import Conditions, Operand
from semantic.compile.writer import Writer
from semantic.errors import QueryError, UnsupportedError
from semantic.query.bound import AllOf, AnyOf, Condition, DimensionUse, InSegment, SegmentUse, Use
from semantic.query.conditions import uses_of

_ALWAYS = "1 = 1"


class Rows(Protocol):
    """What writes members where the snippet stands."""

    writer: Writer

    def segment(self, segment: Segment) -> str:
        """Return a segment's condition."""
        ...

    def operand(self, use: Use) -> Operand:
        """Return a member as a condition compares it."""
        ...

    def move(self, dimension: Dimension, column: str) -> str | None:
        """Return a column moved like a shifted time, None when it is not shifted."""
        ...


def write_filter_parameter(
    scope: Rows, parameter: FilterParameter, conditions: Iterable[Condition]
) -> str:
    """Return the conditions on the member, about the parameter's column; else what always holds.

    Only conditions that must all hold are used: one part of an OR alone would lose rows.
    """
    found = [item for item in conditions if _is_about(item, parameter)]
    if not found:
        return _ALWAYS
    if parameter.is_lambda:
        return " AND ".join(_called(scope, parameter, item) for item in found)
    for condition in found:
        if isinstance(condition, InSegment):
            return scope.segment(condition.use.segment)
    column = _template(scope, parameter, ())

    def operand(use: Use) -> Operand:
        if not isinstance(use, DimensionUse):
            return Operand(f"({column})", "number")
        moved = scope.move(use.dimension, f"({column})")
        if moved is not None:
            return Operand(moved, "time", local=True)
        return Operand(f"({column})", use.dimension.type)

    written = Conditions(scope.writer, operand, scope.segment)
    return f"({' AND '.join(written.render(item) for item in found)})"


def write_filter_group(scope: Rows, group: FilterGroup, conditions: Iterable[Condition]) -> str:
    """Return the query's conditions on the group's members, with their AND and OR."""
    found = (_grouped(scope, group, condition) for condition in conditions)
    kept = [text for text in found if text is not None]
    return f"({' AND '.join(kept)})" if kept else _ALWAYS


def write_context_value(writer: Writer, part: ContextValue) -> str:
    """Return a claim of the caller, bound; null when there is none.

    Raises:
        QueryError: the claim is no single value.
    """
    value: Any = writer.context.claims
    for name in part.path:
        value = value.get(name) if isinstance(value, Mapping) else None
    match value:
        case None:
            return "NULL"
        case str() | bool() | int() | float():
            return writer.parameters.bind(value)
        case _:
            raise QueryError(
                f"the caller's {'.'.join(part.path)} is no single value",
                suggestion="put a text or a number into the token",
            )


def _called(scope: Rows, parameter: FilterParameter, condition: Condition) -> str:
    for use in uses_of(condition):
        if isinstance(use, DimensionUse) and scope.move(use.dimension, "NULL") is not None:
            raise UnsupportedError(
                f"the lambda of FILTER_PARAMS.{parameter.cube}.{parameter.member} says where its "
                "values stand, so that a time shift cannot move what they are compared with",
                suggestion="give FILTER_PARAMS the text of a column",
            )
    written = Conditions(scope.writer, scope.operand, scope.segment)
    return f"({_template(scope, parameter, written.arguments(condition))})"


def _template(scope: Rows, parameter: FilterParameter, arguments: tuple[str, ...]) -> str:
    text = ""
    for piece in parameter.template:
        match piece:
            case str():
                text += piece
            case ColumnReference():
                text += scope.writer.dialect.quote_name(piece.cube)
            case Argument():
                if piece.index >= len(arguments):
                    raise QueryError(
                        f"the filter on {parameter.cube}.{parameter.member} has "
                        f"{len(arguments)} values, and the model wants more",
                        suggestion="give the filter two values, or change its FILTER_PARAMS",
                    )
                text += arguments[piece.index]
            case _ as unreachable:
                assert_never(unreachable)
    return text


def _grouped(scope: Rows, group: FilterGroup, condition: Condition) -> str | None:
    match condition:
        case AllOf() | AnyOf():
            parts = [_grouped(scope, group, part) for part in condition.parts]
            written = [part for part in parts if part is not None]
            if isinstance(condition, AnyOf) and len(written) < len(parts):
                return None  # a part that is not known here could be the one that holds
            word = " AND " if isinstance(condition, AllOf) else " OR "
            return f"({word.join(written)})" if written else None
        case _:
            for parameter in group.parameters:
                if _is_about(condition, parameter):
                    return write_filter_parameter(scope, parameter, (condition,))
            return None


def _is_about(condition: Condition, parameter: FilterParameter) -> bool:
    name = (parameter.cube, parameter.member)
    match condition:
        case AllOf() | AnyOf():
            return False
        case InSegment(use=SegmentUse(segment=segment)):
            return (segment.cube, segment.name) == name
        case _:
            use = condition.use
            return (
                isinstance(use, DimensionUse) and (use.dimension.cube, use.dimension.name) == name
            )
