"""Date ranges that a query says as filters: SQL's `t >= a AND t < b`, GraphQL's `inDateRange`.

Of rows they mean the same as a `dateRange`. A window and a time spine look at the range, though, and
not at filters: their periods are those of the range, and rows before it are still summed up. So these
spellings ask what Cube's clients ask with them, the range. What is not surely the same moments (a
bound in an hour that the clocks skip or repeat) stays a filter.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from semantic.errors import QuerySyntaxError
from semantic.query.dates import parse_instant, parse_range
from semantic.query.query import AndFilter, Filter, MemberFilter, TimeDimension

DateRange = str | tuple[str, str]
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # the bounds are written out: none is relative
_UPPER: Final = frozenset({"lt", "lte"})
_ENDS: Final = frozenset({1, 2})


def take_ranges(
    filters: Iterable[Filter], times: Sequence[TimeDimension], members: Container[str]
) -> tuple[tuple[Filter, ...], tuple[TimeDimension, ...]]:
    """Return filters and time dimensions, the first `inDateRange` of each time made its range.

    `members` are the time dimensions of which that is meant.
    """
    left: list[Filter] = []
    found: dict[str, DateRange] = {}
    for item in filters:
        if (
            isinstance(item, MemberFilter)
            and item.operator == "inDateRange"
            and item.member in members
            and item.member not in found
            and len(item.values) in _ENDS
        ):
            texts = tuple(value for value in item.values if value is not None)
            if len(texts) == len(item.values):
                found[item.member] = texts[0] if len(texts) == 1 else (texts[0], texts[1])
                continue
        left.append(item)
    return tuple(left), _lay(found, times)


def take_bounds(
    filters: Iterable[Filter], times: Sequence[TimeDimension], members: Iterable[str], zone: str
) -> tuple[tuple[Filter, ...], tuple[TimeDimension, ...]]:
    """Return filters and time dimensions, a lower and an upper bound of a time made its range.

    `members` are the time dimensions that filters compare with moments.
    """
    named = tuple(dict.fromkeys(members))
    flat = list(_unfold(filters, named))
    found: dict[str, DateRange] = {}
    for member in named:
        lower = [item for item in flat if _is_bound(item, member, frozenset({"gte"}))]
        upper = [item for item in flat if _is_bound(item, member, _UPPER)]
        if len(lower) != 1 or len(upper) != 1:
            continue
        written = _write_range(lower[0], upper[0], zone)
        if written is not None:
            found[member] = written
            flat = [item for item in flat if item is not lower[0] and item is not upper[0]]
    return tuple(flat), _lay(found, times)


def _lay(found: dict[str, DateRange], times: Sequence[TimeDimension]) -> tuple[TimeDimension, ...]:
    """Return the time dimensions with their ranges; a time that is not among them is added."""
    cut = {item.dimension for item in times}
    ranged = [
        replace(item, date_range=found.get(item.dimension, item.date_range)) for item in times
    ]
    added = [TimeDimension(name, None, chosen) for name, chosen in found.items() if name not in cut]
    return (*ranged, *added)


def _unfold(filters: Iterable[Filter], members: Sequence[str]) -> Iterator[Filter]:
    """Yield the filters, and in place of a BETWEEN of times its two bounds."""
    for item in filters:
        is_between = isinstance(item, AndFilter) and any(
            all(_is_bound(part, member, _UPPER | {"gte"}) for part in item.parts)
            for member in members
        )
        if isinstance(item, AndFilter) and is_between:
            yield from item.parts
        else:
            yield item


def _is_bound(item: Filter, member: str, operators: frozenset[str]) -> bool:
    return (
        isinstance(item, MemberFilter)
        and item.member == member
        and item.operator in operators
        and len(item.values) == 1
    )


def _write_range(lower: Filter, upper: Filter, zone_name: str) -> tuple[str, str] | None:
    """Return the range from one bound to the other; None where a range cannot say just that."""
    if not isinstance(lower, MemberFilter) or not isinstance(upper, MemberFilter):
        return None
    start, last = lower.values[0], upper.values[0]
    if start is None or last is None:
        return None
    moment = timedelta(microseconds=1)
    try:
        zone = ZoneInfo(zone_name)
        end = datetime.fromisoformat(last)
        if end.tzinfo is not None or datetime.fromisoformat(start).tzinfo is not None:
            return None
        if upper.operator == "lte":
            written, end = end.isoformat(timespec="microseconds"), end + moment
        elif end.time() == datetime.min.time():
            written = (end - timedelta(days=1)).date().isoformat()
            start = start[:10] if start[10:].strip("T :0.") == "" else start
        else:
            written = (end - moment).isoformat(timespec="microseconds")
        found = parse_range((start, written), now=_ANY_TIME, zone=zone)
        is_same = (
            found.start == parse_instant(start, zone=zone)
            and found.end == parse_instant(end.isoformat(timespec="microseconds"), zone=zone)
            and found.start.local < found.end.local
        )
    except (OverflowError, QuerySyntaxError, ValueError, ZoneInfoNotFoundError):
        return None
    return (start, written) if is_same else None
