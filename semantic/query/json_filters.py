"""Filters in Cube's REST JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, get_args

from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError, suggest
from semantic.query.json_shape import (
    check_keys,
    invalid,
    read_list,
    read_mapping,
    read_member,
    read_text,
)
from semantic.query.members import clip
from semantic.query.query import AndFilter, Filter, MaskedMember, MemberFilter, Operator, OrFilter

MAXIMUM_FILTERS: Final = 500
MAXIMUM_VALUES: Final = 10_000
MAXIMUM_DEPTH: Final = 20

_OPERATORS: Final[dict[str, Operator]] = {name: name for name in get_args(Operator)}
_WITHOUT_VALUES: Final = frozenset({"set", "notSet", "measureFilter"})


def read_filters(value: object) -> tuple[Filter, ...]:
    """Return the filters of a query.

    Raises:
        QuerySyntaxError: one is malformed.
        LimitExceededError: there are too many, too deep, or with too many values.
        UnsupportedError: `measureFilter` inside of `and` or `or`.
    """
    left = [MAXIMUM_FILTERS]
    return tuple(
        _filter(item, f"filters[{index}]", 1, left)
        for index, item in enumerate(read_list(value, "filters", MAXIMUM_FILTERS))
    )


def read_masked_members(value: object) -> tuple[MaskedMember, ...]:
    """Return Cube's internal `maskedMembers`: `[{member, filter?}]`. Callers never send it.

    Raises:
        QuerySyntaxError: it is malformed.
    """
    found = []
    for index, item in enumerate(read_list(value, "maskedMembers")):
        place = f"maskedMembers[{index}]"
        raw = read_mapping(item, place)
        check_keys(raw, frozenset({"member", "filter"}), place)
        unless = raw.get("filter")
        found.append(
            MaskedMember(
                read_member(raw.get("member"), f"{place}.member"),
                None
                if unless is None
                else _filter(unless, f"{place}.filter", 1, [MAXIMUM_FILTERS]),
            )
        )
    return tuple(found)


def _filter(value: object, place: str, depth: int, left: list[int]) -> Filter:
    left[0] -= 1
    if depth > MAXIMUM_DEPTH or left[0] < 0:
        raise LimitExceededError(
            f"at most {MAXIMUM_FILTERS} filters, nested at most {MAXIMUM_DEPTH} deep, are allowed"
        )
    raw = read_mapping(value, place)
    for key, make in (("and", AndFilter), ("or", OrFilter)):
        if key in raw:
            check_keys(raw, frozenset({key}), place)
            items = read_list(raw[key], f"{place}.{key}", MAXIMUM_FILTERS)
            if not items:
                raise invalid(f'"{place}.{key}" must contain at least 1 item')
            return make(
                tuple(
                    _filter(item, f"{place}.{key}[{index}]", depth + 1, left)
                    for index, item in enumerate(items)
                )
            )
    if depth > 1 and raw.get("operator") == "measureFilter":
        raise UnsupportedError(f"{place}: the operator measureFilter is answered alone only")
    return _member_filter(raw, place)


def _member_filter(raw: Mapping[str, Any], place: str) -> MemberFilter:
    check_keys(raw, frozenset({"member", "dimension", "operator", "values"}), place)
    if "member" in raw and "dimension" in raw:
        raise invalid(f'"{place}" has both a member and a dimension')
    member = read_member(raw.get("member", raw.get("dimension")), f"{place}.member")
    operator = _operator(raw.get("operator"), place)
    values = tuple(
        _value(item, f"{place}.values[{index}]")
        for index, item in enumerate(
            read_list(raw.get("values"), f"{place}.values", MAXIMUM_VALUES)
        )
    )
    if operator in _WITHOUT_VALUES:
        if values:
            raise invalid(f'"{place}.values" is not allowed with the operator {operator}')
    elif not values:
        raise QuerySyntaxError(f"Values required for filter: {clip(member)} {operator}")
    return MemberFilter(member, operator, values)


def _operator(value: object, place: str) -> Operator:
    wrong = f'"{place}" does not match any of the allowed types: '
    if not isinstance(value, str):
        raise invalid(f"{wrong}its operator is no text")
    if value not in _OPERATORS:
        shown = clip(value)
        raise invalid(f"{wrong}there is no operator {shown!r}", suggest(shown, _OPERATORS))
    return _OPERATORS[value]


def _value(value: object, place: str) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number(value, place)
        case Decimal() if value.is_finite():
            return str(value)
        case str():
            return read_text(value, place)
        case _:
            raise invalid(f'"{place}" must be a string, a number, a boolean or null')


def _number(value: float, place: str) -> str:
    try:
        return repr(value)
    except ValueError as long:  # Python writes no integer of more than 4,300 digits
        raise LimitExceededError(f"{place} has too many digits") from long
