"""`where` and `orderBy` of a GraphQL query as the filters and order of a `Query`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from graphql import EnumValueNode, ObjectValueNode, ValueNode, VariableNode

from api.graphql.schema import Owner
from semantic.errors import QuerySyntaxError
from semantic.query.query import AndFilter, Filter, MemberFilter, Operator, Order, OrFilter

SPELLINGS: Final[Mapping[str, Operator]] = {"in": "equals", "notIn": "notEquals"}


def read_root_where(where: Mapping[str, Any] | None, owners: Mapping[str, Owner]) -> list[Filter]:
    """Return the filters of the root's `where`; all of them hold.

    Raises:
        QuerySyntaxError: an OR without alternatives, or a comparison without a value.
    """
    filters: list[Filter] = []
    for key, value in (where or {}).items():
        if value is None:
            continue
        if key == "AND":
            filters += _all(key, [read_root_where(item, owners) for item in value])
        elif key == "OR":
            parts = [_group(read_root_where(item, owners), key) for item in value]
            filters.append(_any(parts))
        else:
            filters += read_where(value, owners[key])
    return filters


def read_where(where: Mapping[str, Any] | None, owner: Owner) -> list[Filter]:
    """Return the filters of one cube's `where`; all of them hold."""
    filters: list[Filter] = []
    for key, value in (where or {}).items():
        if value is None:
            continue
        if key == "AND" and key not in owner.members:
            filters += _all(key, [read_where(item, owner) for item in value])
        elif key == "OR" and key not in owner.members:
            parts = [_group(read_where(item, owner), key) for item in value]
            filters.append(_any(parts))
        else:
            member = owner.members[key].full_name
            filters += [_compare(member, name, given) for name, given in value.items()]
    return filters


def read_root_order(
    node: ValueNode | None, variables: Mapping[str, Any], owners: Mapping[str, Owner]
) -> list[Order]:
    """Return the root's `orderBy` in the order in which its keys are written."""
    orders: list[Order] = []
    for field, value in _entries(node, variables):
        orders += _orders(value, variables, owners[field])
    return orders


def read_order(node: ValueNode | None, variables: Mapping[str, Any], owner: Owner) -> list[Order]:
    """Return one cube's `orderBy` in the order in which its keys are written.

    GraphQL coerces an input object in the order of its *type's* fields, which would silently swap
    the first sort key for another: the order is read from what the caller wrote.
    """
    return _orders(node, variables, owner)


def _orders(value: object, variables: Mapping[str, Any], owner: Owner) -> list[Order]:
    orders = []
    for name, raw in _entries(value, variables):
        direction = _scalar(raw, variables)
        if direction is not None:
            orders.append(Order(owner.members[name].full_name, descending=direction == "desc"))
    return orders


def _entries(value: object, variables: Mapping[str, Any]) -> Sequence[tuple[str, object]]:
    if isinstance(value, VariableNode):
        value = variables.get(value.name.value)
    if isinstance(value, ObjectValueNode):
        return [(field.name.value, field.value) for field in value.fields]
    return list(value.items()) if isinstance(value, Mapping) else []


def _scalar(value: object, variables: Mapping[str, Any]) -> object:
    if isinstance(value, VariableNode):
        return variables.get(value.name.value)
    return (
        value.value
        if isinstance(value, EnumValueNode)
        else value
        if isinstance(value, str)
        else None
    )


def _compare(member: str, name: str, given: object) -> MemberFilter:
    if name == "set":
        if given is None:
            raise QuerySyntaxError(f"{member}: set is true or false")
        return MemberFilter(member, "set" if given else "notSet")
    values = given if isinstance(given, list) else [given]
    texts = tuple(_text(value) for value in values)
    operator = SPELLINGS.get(name, cast("Operator", name))
    if not texts or (None in texts and operator not in {"equals", "notEquals"}):
        raise QuerySyntaxError(
            f"Values required for filter: {member} {name}",
            suggestion="leave the filter out, or use `set: false` for null",
        )
    return MemberFilter(member, operator, texts)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _group(parts: Sequence[Filter], key: str) -> Filter:
    if not parts:
        raise QuerySyntaxError(f"a condition in {key} is empty")
    return parts[0] if len(parts) == 1 else AndFilter(tuple(parts))


def _all(key: str, conditions: Sequence[list[Filter]]) -> list[Filter]:
    """Return the filters of an AND: all hold, so each stands by itself, of rows or of groups."""
    if not conditions or not all(conditions):
        raise QuerySyntaxError(f"{key} has no conditions, or an empty one")
    return [item for part in conditions for item in part]


def _any(parts: Sequence[Filter]) -> Filter:
    if not parts:
        raise QuerySyntaxError("OR has no conditions")
    return OrFilter(tuple(parts))
