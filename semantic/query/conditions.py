"""Filters to typed conditions, with Cube's operators.

Negative operators keep rows whose member is null, unless null is among the values: `notEquals
["Paris", null]` is "not Paris and not null". (Cube drops the second half of that.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal, assert_never
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import Catalog, DimensionType, MeasureType
from semantic.errors import QuerySyntaxError
from semantic.query.bound import (
    AllOf,
    AnyOf,
    Comparator,
    Compares,
    Condition,
    DimensionUse,
    InSegment,
    IsNull,
    Matches,
    MeasureUse,
    OneOf,
    Pattern,
    SegmentUse,
    Use,
    Within,
)
from semantic.query.dates import parse_range
from semantic.query.members import find_member
from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter
from semantic.query.values import check_text, parse_value

_COMPARATORS: Final[dict[str, Comparator]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_PATTERNS: Final[dict[str, tuple[Pattern, bool]]] = {
    "contains": ("contains", False),
    "notContains": ("contains", True),
    "startsWith": ("startsWith", False),
    "notStartsWith": ("startsWith", True),
    "endsWith": ("endsWith", False),
    "notEndsWith": ("endsWith", True),
}
_TIMELESS: Final = frozenset({"string", "number", "boolean", "geo"})


def bind_filters(
    catalog: Catalog, filters: Sequence[Filter], *, now: datetime, zone: ZoneInfo
) -> tuple[list[Condition], list[Condition]]:
    """Return the conditions on rows and the conditions on groups (measures).

    Raises:
        QuerySyntaxError: a value is not of the member's type, or one group mixes both kinds.
        UnknownMemberError: a member is none, or hidden.
    """
    rows: list[Condition] = []
    groups: list[Condition] = []
    for item in filters:
        condition = _bind(catalog, item, now, zone)
        uses = list(uses_of(condition))
        measures = [use for use in uses if isinstance(use, MeasureUse)]
        if measures and len(measures) < len(uses):
            members = ", ".join(dict.fromkeys(_names(item)))
            raise QuerySyntaxError(
                f"You cannot use dimension and measure in same condition: {members}",
                suggestion="put them in filters of their own, which all must hold",
            )
        (groups if measures else rows).append(condition)
    return rows, groups


def uses_of(condition: Condition) -> Iterator[Use | SegmentUse]:
    """Yield every use of a member in the condition."""
    match condition:
        case AllOf() | AnyOf():
            for part in condition.parts:
                yield from uses_of(part)
        case IsNull() | OneOf() | Matches() | Compares() | Within() | InSegment():
            yield condition.use
        case _ as unreachable:
            assert_never(unreachable)


def _names(item: Filter) -> Iterator[str]:
    match item:
        case MemberFilter():
            yield item.member
        case AndFilter() | OrFilter():
            for part in item.parts:
                yield from _names(part)
        case _ as unreachable:
            assert_never(unreachable)


def _bind(catalog: Catalog, item: Filter, now: datetime, zone: ZoneInfo) -> Condition:
    match item:
        case AndFilter():
            return AllOf(tuple(_bind(catalog, part, now, zone) for part in item.parts))
        case OrFilter():
            return AnyOf(tuple(_bind(catalog, part, now, zone) for part in item.parts))
        case MemberFilter():
            use, _ = find_member(catalog, item.member)
            if isinstance(use, SegmentUse):
                raise QuerySyntaxError(
                    f"{item.member} is a segment and cannot be compared",
                    suggestion="ask for it in segments",
                )
            return _bind_member(use, item, now, zone)
        case _ as unreachable:
            assert_never(unreachable)


def _bind_member(use: Use, item: MemberFilter, now: datetime, zone: ZoneInfo) -> Condition:
    operator, values = item.operator, item.values
    if operator not in {"set", "notSet"} and not values:
        raise QuerySyntaxError(f"Values required for filter: {item.member} {operator}")
    type_ = _type(use)
    texts = tuple(value for value in values if value is not None)
    null = len(texts) < len(values)
    match operator:
        case "set" | "notSet":
            return IsNull(use, negated=operator == "set")
        case "equals" | "in" | "notEquals" | "notIn":
            typed = tuple(parse_value(text, type_, item.member, zone) for text in texts)
            return OneOf(use, typed, null, operator in {"notEquals", "notIn"})
        case "gt" | "gte" | "lt" | "lte":
            _refuse_null(item, null=null)
            if type_ == "boolean":
                raise QuerySyntaxError(f"{item.member} is a boolean and has no order")
            typed = tuple(parse_value(text, type_, item.member, zone) for text in texts)
            return Compares(use, _COMPARATORS[operator], typed)
        case "inDateRange" | "notInDateRange":
            return _bind_range(use, item, now, zone)
        case "onTheDate" | "beforeDate" | "beforeOrOnDate" | "afterDate" | "afterOrOnDate":
            return _bind_date(use, item, operator, now, zone)
        case (
            "contains" | "notContains" | "startsWith" | "notStartsWith" | "endsWith" | "notEndsWith"
        ):
            pattern, negated = _PATTERNS[operator]
            checked = tuple(check_text(text, item.member) for text in texts)
            return Matches(use, pattern, checked, null, negated)
        case _ as unreachable:
            assert_never(unreachable)


def _type(use: Use) -> DimensionType | MeasureType:
    return use.dimension.type if isinstance(use, DimensionUse) else use.measure.type


def _check_time(use: Use, item: MemberFilter) -> None:
    type_ = _type(use)
    timed = type_ in {"time", "min", "max", "number", "number_agg"}
    if type_ in _TIMELESS if isinstance(use, DimensionUse) else not timed:
        raise QuerySyntaxError(f"{item.member} is no time and has no {item.operator}")


def _refuse_null(item: MemberFilter, *, null: bool) -> None:
    if null:
        raise QuerySyntaxError(f"the filter {item.operator} on {item.member} cannot have a null")


def _dates(item: MemberFilter) -> tuple[str, ...]:
    _refuse_null(item, null=None in item.values)
    return tuple(value for value in item.values if value is not None)


def _bind_range(use: Use, item: MemberFilter, now: datetime, zone: ZoneInfo) -> Condition:
    _check_time(use, item)
    match _dates(item):
        case (only,):
            found = parse_range(only, now=now, zone=zone)
        case (start, end):
            found = parse_range((start, end), now=now, zone=zone)
        case more:
            raise QuerySyntaxError(
                f"the filter {item.operator} on {item.member} takes a start and an end, "
                f"not {len(more)} values"
            )
    return Within(use, found.start, found.end, item.operator == "notInDateRange")


def _bind_date(
    use: Use,
    item: MemberFilter,
    operator: Literal["onTheDate", "beforeDate", "beforeOrOnDate", "afterDate", "afterOrOnDate"],
    now: datetime,
    zone: ZoneInfo,
) -> Condition:
    _check_time(use, item)
    dates = _dates(item)
    if len(dates) != 1:
        raise QuerySyntaxError(
            f"the filter {operator} on {item.member} takes one date, not {len(dates)}"
        )
    found = parse_range(dates[0], now=now, zone=zone)
    match operator:
        case "onTheDate":
            return Within(use, found.start, found.end)
        case "beforeDate":
            return Within(use, None, found.start)
        case "beforeOrOnDate":
            return Within(use, None, found.end)
        case "afterDate":
            return Within(use, found.end, None)
        case "afterOrOnDate":
            return Within(use, found.start, None)
        case _ as unreachable:
            assert_never(unreachable)
