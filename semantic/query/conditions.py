"""Filters to typed conditions, with Cube's operators.

Negative operators keep rows whose member is null, unless null is among the values: `notEquals
["Paris", null]` is "not Paris and not null". (Cube drops the second half of that.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Literal, assert_never, get_args
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import (
    Catalog,
    DimensionType,
    FilterTerm,
    FilterTree,
    MeasureType,
    ModelFilter,
    Segment,
)
from semantic.errors import QuerySyntaxError, UnsupportedError
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
from semantic.query.members import PUBLIC, Sight, clip, find_member, find_reference
from semantic.query.query import AndFilter, Filter, MemberFilter, Operator, OrFilter
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
_TIMELESS: Final = frozenset({"string", "number", "boolean", "geo", "switch"})
_NAMED: Final = 10
_OPERATORS: Final[dict[str, Operator]] = {
    name: name for name in get_args(Operator) if name != "measureFilter"
}


def bind_filters(
    catalog: Catalog,
    filters: Sequence[Filter],
    *,
    now: datetime,
    zone: ZoneInfo,
    sight: Sight = PUBLIC,
) -> tuple[list[Condition], list[Condition]]:
    """Return the conditions on rows and the conditions on groups (measures).

    Raises:
        QuerySyntaxError: a value is not of the member's type, or one group mixes both kinds.
        UnknownMemberError: a member is none, or hidden.
    """
    rows: list[Condition] = []
    groups: list[Condition] = []
    for item in filters:
        if isinstance(item, MemberFilter) and item.operator == "measureFilter":
            rows += _bind_drill(catalog, item, sight)
            continue
        condition = bind_filter(catalog, item, now=now, zone=zone, sight=sight)
        on_measures = compares_measures(condition, dict.fromkeys(filtered_names(item)))
        (groups if on_measures else rows).append(condition)
    return rows, groups


def _bind_drill(catalog: Catalog, item: MemberFilter, sight: Sight) -> list[Condition]:
    """Return the conditions of the rows that a measure counts: its drill filters, else its filters."""
    use, _ = find_member(catalog, item.member, sight)
    if not isinstance(use, MeasureUse):
        raise QuerySyntaxError(f"{clip(item.member)} is no measure and has no measureFilter")
    measure = use.measure
    return [
        InSegment(
            SegmentUse(
                Segment(measure.cube, measure.name, sql, measure.title, measure.short_title),
                use.path,
            )
        )
        for sql in measure.drill_filters or measure.filters
    ]


def bind_filter(
    catalog: Catalog, item: Filter, *, now: datetime, zone: ZoneInfo, sight: Sight = PUBLIC
) -> Condition:
    """Return the condition of one filter.

    Raises:
        QuerySyntaxError: a value is not of the member's type.
        UnknownMemberError: a member is none, or hidden.
    """
    match item:
        case AndFilter() | OrFilter():
            parts = tuple(
                bind_filter(catalog, part, now=now, zone=zone, sight=sight) for part in item.parts
            )
            return AllOf(parts) if isinstance(item, AndFilter) else AnyOf(parts)
        case MemberFilter():
            use, _ = find_member(catalog, item.member, sight)
            if isinstance(use, SegmentUse):
                raise QuerySyntaxError(
                    f"{clip(item.member)} is a segment and cannot be compared",
                    suggestion="ask for it in segments",
                )
            return _bind_member(use, item, now, zone)
        case _ as unreachable:
            assert_never(unreachable)


def bind_model_filter(
    catalog: Catalog, filter_: ModelFilter, *, now: datetime, zone: ZoneInfo
) -> Condition:
    """Return the condition of a filter that the model itself writes; hidden members are none to it.

    Raises:
        QuerySyntaxError: a value is not of the member's type.
        UnsupportedError: the operator is none, or the filter cuts a time.
    """
    match filter_:
        case FilterTree():
            parts = tuple(
                bind_model_filter(catalog, part, now=now, zone=zone) for part in filter_.parts
            )
            return AllOf(parts) if filter_.word == "and" else AnyOf(parts)
        case FilterTerm(member):
            name = f"{member.cube}.{member.member}"
            use = find_reference(catalog, member)
            operator = _OPERATORS.get(filter_.operator)
            if operator is None or member.granularity is not None or isinstance(use, SegmentUse):
                raise UnsupportedError(
                    f"the model's filter {filter_.operator} on {name} is not supported",
                    suggestion="compare a dimension or a measure by an operator of queries",
                )
            return _bind_member(use, MemberFilter(name, operator, filter_.values), now, zone)
        case _ as unreachable:
            assert_never(unreachable)


def compares_measures(condition: Condition, names: Iterable[str]) -> bool:
    """Whether the condition chooses among groups; otherwise it chooses among rows.

    Raises:
        QuerySyntaxError: it compares both measures and dimensions; `names` are for the message.
    """
    uses = list(uses_of(condition))
    measures = sum(isinstance(use, MeasureUse) for use in uses)
    if measures and measures < len(uses):
        shown = ", ".join(clip(name) for name in islice(names, _NAMED))
        raise QuerySyntaxError(
            f"You cannot use dimension and measure in same condition: {shown}",
            suggestion="put them in filters of their own, which all must hold",
        )
    return measures > 0


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


def filtered_names(item: Filter) -> Iterator[str]:
    """Yield the names of the members that a filter compares."""
    match item:
        case MemberFilter():
            yield item.member
        case AndFilter() | OrFilter():
            for part in item.parts:
                yield from filtered_names(part)
        case _ as unreachable:
            assert_never(unreachable)


def _bind_member(use: Use, item: MemberFilter, now: datetime, zone: ZoneInfo) -> Condition:
    operator, values = item.operator, item.values
    if operator not in {"set", "notSet", "measureFilter"} and not values:
        raise QuerySyntaxError(f"Values required for filter: {item.member} {operator}")
    type_ = _type(use)
    texts = tuple(value for value in values if value is not None)
    null = len(texts) < len(values)
    match operator:
        case "measureFilter":
            raise UnsupportedError(f"{clip(item.member)}: measureFilter is answered alone only")
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
