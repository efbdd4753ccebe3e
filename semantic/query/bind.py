"""Query to BoundQuery: names become members, values get types, defaults are filled in.

What is refused here is refused for every face: unknown and hidden members in the same words, a
measure where a dimension belongs, an order that would be ignored, a limit above the maximum.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from semantic.catalog.catalog import Catalog, ViewMember
from semantic.errors import (
    LimitExceededError,
    QueryError,
    QuerySyntaxError,
    UnknownMemberError,
    UnsupportedError,
    suggest,
)
from semantic.query.bound import (
    BoundColumn,
    BoundOrder,
    BoundQuery,
    Condition,
    DimensionUse,
    Granularity,
    InSegment,
    MeasureUse,
    SegmentUse,
    Use,
    Within,
)
from semantic.query.conditions import bind_filters, uses_of
from semantic.query.dates import Interval, parse_range
from semantic.query.members import find_member
from semantic.query.query import DEFAULT_LIMIT, MAXIMUM_LIMIT, Order, Query, TimeDimension

GRANULARITIES: Final[tuple[Granularity, ...]] = get_args(Granularity)  # from fine to coarse
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+){0,2}")


def bind(catalog: Catalog, query: Query, *, now: datetime) -> BoundQuery:
    """Return the query with its members, typed values and defaults.

    `now` (with a zone) is what relative dates are relative to.

    Raises:
        UnknownMemberError: a name is none, is hidden, or is of another kind than its place wants.
        QuerySyntaxError: a value, date, granularity, timezone or order cannot be.
        LimitExceededError: `limit` is above the maximum.
        UnsupportedError: valid in Cube, not answered by Ducat.
    """
    if query.ungrouped:
        raise UnsupportedError(
            "ungrouped queries are not supported",
            suggestion="ask for the primary key as a dimension",
        )
    query = _normalize(catalog, query)
    zone = _zone(query.timezone)
    columns = _columns(catalog, query)
    if not columns:
        raise QuerySyntaxError(
            "Query should contain either measures, dimensions or timeDimensions with "
            "granularities in order to be valid"
        )
    rows, groups = bind_filters(catalog, query.filters, now=now, zone=zone)
    ranges = tuple(_range(item, now, zone) for item in query.time_dimensions)
    dated = [
        Within(_time_use(catalog, item.dimension)[0], found.start, found.end)
        for item, found in zip(query.time_dimensions, ranges, strict=True)
        if found is not None
    ]
    segments = [InSegment(_segment(catalog, name)) for name in query.segments]
    limit = _limit(query)
    return BoundQuery(
        query=query,
        columns=columns,
        rows=(*dated, *rows, *segments),
        groups=tuple(groups),
        ranges=ranges,
        order=_order(catalog, query, columns, groups),
        limit=limit,
        defaulted=limit is not None and query.limit is None,
        offset=query.offset,
        timezone=query.timezone,
    )


def _normalize(catalog: Catalog, query: Query) -> Query:
    """Move `cube.member.granularity` among the dimensions to the time dimensions."""
    plain: list[str] = []
    timed = list(query.time_dimensions)
    for name in query.dimensions:
        if name.count(".") == 1:
            plain.append(name)
            continue
        member, _, granularity = name.rpartition(".")
        if member.count(".") != 1:
            raise UnknownMemberError(
                f"'{name}' is not a member", suggestion="members are written cube.member"
            )
        _time_use(catalog, member)
        added = TimeDimension(member, granularity)
        if added not in timed:
            timed.append(added)
    return dataclasses.replace(
        query,
        measures=tuple(dict.fromkeys(query.measures)),
        dimensions=tuple(dict.fromkeys(plain)),
        time_dimensions=tuple(timed),
        segments=tuple(dict.fromkeys(query.segments)),
    )


def _zone(name: str) -> ZoneInfo:
    try:
        # The pattern first: a zone's name is a path to the files of the zones.
        zone = ZoneInfo(name) if _ZONE.fullmatch(name) else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = None
    if zone is None:
        raise QuerySyntaxError(
            f'Invalid query format: "timezone" must be a valid IANA time zone, got "{name[:100]}"'
        )
    return zone


def _limit(query: Query) -> int | None:
    if query.unlimited:
        return query.limit
    if query.limit is None:
        return DEFAULT_LIMIT
    if query.limit > MAXIMUM_LIMIT:
        raise LimitExceededError(
            "The query limit has been exceeded.",
            suggestion=f"ask for at most {MAXIMUM_LIMIT:,} rows; page with limit and offset",
        )
    return query.limit


def _columns(catalog: Catalog, query: Query) -> tuple[BoundColumn, ...]:
    columns: list[BoundColumn] = []
    for name in query.dimensions:
        use, shown = find_member(catalog, name)
        if not isinstance(use, DimensionUse):
            raise _misplaced(name, use, "dimensions")
        columns.append(_column(name, use, shown, None))
    for item in query.time_dimensions:
        timed, shown = _time_use(catalog, item.dimension)
        if item.granularity is not None:
            cut = _granularity(timed, item.dimension, item.granularity)
            columns.append(_column(item.dimension, timed, shown, cut))
    for name in query.measures:
        use, shown = find_member(catalog, name)
        if not isinstance(use, MeasureUse):
            raise _misplaced(name, use, "measures")
        columns.append(_column(name, use, shown, None))
    return tuple({column.name: column for column in columns}.values())


def _column(
    name: str, use: Use, shown: ViewMember | None, granularity: Granularity | None
) -> BoundColumn:
    item = use.dimension if isinstance(use, DimensionUse) else use.measure
    label = shown or item
    return BoundColumn(
        name=f"{name}.{granularity}" if granularity else name,
        member=name,
        use=use,
        granularity=granularity,
        title=label.title,
        short_title=label.short_title,
        description=label.description,
        format=label.format,
        currency=item.currency,
    )


def _misplaced(
    name: str, use: DimensionUse | MeasureUse | SegmentUse, place: str
) -> UnknownMemberError:
    match use:
        case DimensionUse():
            kind, home = "a dimension", "dimensions or timeDimensions"
        case MeasureUse():
            kind, home = "a measure", "measures"
        case SegmentUse():
            kind, home = "a segment", "segments"
    short = name.partition(".")[2]
    return UnknownMemberError(
        f"'{short}' not found for path '{name}' among the {place}: it is {kind}",
        suggestion=f"ask for it in {home}",
    )


def _time_use(catalog: Catalog, name: str) -> tuple[DimensionUse, ViewMember | None]:
    use, shown = find_member(catalog, name)
    if not isinstance(use, DimensionUse):
        raise _misplaced(name, use, "timeDimensions")
    if use.dimension.type != "time":
        raise QuerySyntaxError(
            f"{name} is a dimension of type {use.dimension.type}, not a time dimension",
            suggestion="ask for it in dimensions",
        )
    return use, shown


def _granularity(use: DimensionUse, name: str, granularity: str) -> Granularity:
    for known in GRANULARITIES:
        if known == granularity:
            if any(custom.name == known for custom in use.dimension.granularities):
                break
            return known
    if any(custom.name == granularity for custom in use.dimension.granularities):
        raise UnsupportedError(
            f"the custom granularity {granularity} of {name} is not supported",
            suggestion=f"use one of {', '.join(GRANULARITIES)}",
        )
    raise QuerySyntaxError(
        f'Granularity "{granularity[:100]}" does not exist in dimension {name}',
        suggestion=suggest(granularity[:100], GRANULARITIES)
        or f"use one of {', '.join(GRANULARITIES)}",
    )


def _range(item: TimeDimension, now: datetime, zone: ZoneInfo) -> Interval | None:
    if item.date_range is None:
        return None
    return parse_range(item.date_range, now=now, zone=zone)


def _segment(catalog: Catalog, name: str) -> SegmentUse:
    use, _ = find_member(catalog, name)
    if not isinstance(use, SegmentUse):
        raise _misplaced(name, use, "segments")
    return use


def _order(
    catalog: Catalog,
    query: Query,
    columns: tuple[BoundColumn, ...],
    groups: Iterable[Condition],
) -> tuple[BoundOrder, ...]:
    if query.order is None:
        return _default_order(columns)
    filtered = {(use.measure.cube, use.measure.name) for use in _measures(groups)}
    return tuple(_sort_key(catalog, item, columns, filtered) for item in query.order)


def _default_order(columns: tuple[BoundColumn, ...]) -> tuple[BoundOrder, ...]:
    """Return Cube's order.

    The first time with a granularity; else the first measure, largest first, when there are
    groups; else the first dimension.
    """
    measures = [index for index, column in enumerate(columns) if column.is_measure]
    for index, column in enumerate(columns):
        if column.granularity is not None:
            return (BoundOrder(index, descending=False),)
    if measures and measures[0] > 0:
        return (BoundOrder(measures[0], descending=True),)
    return () if measures else (BoundOrder(0, descending=False),)


def _sort_key(
    catalog: Catalog, item: Order, columns: tuple[BoundColumn, ...], filtered: set[tuple[str, str]]
) -> BoundOrder:
    exact = [index for index, column in enumerate(columns) if column.name == item.member]
    same = [index for index, column in enumerate(columns) if column.member == item.member]
    if exact or same:
        # By a time without its granularity: the finest column of it, which orders them all.
        key = exact[0] if exact else min(same, key=lambda index: _fineness(columns[index]))
        return BoundOrder(key, item.descending)
    use, _ = find_member(catalog, ".".join(item.member.split(".")[:2]))
    if isinstance(use, MeasureUse) and (use.measure.cube, use.measure.name) in filtered:
        return BoundOrder(use, item.descending)
    raise QueryError(
        f"the order by {item.member} cannot be: the query does not ask for it",
        suggestion="add it to the query, or leave it out of the order",
    )


def _fineness(column: BoundColumn) -> int:
    return GRANULARITIES.index(column.granularity) if column.granularity else -1


def _measures(conditions: Iterable[Condition]) -> Iterable[MeasureUse]:
    for condition in conditions:
        for use in uses_of(condition):
            if isinstance(use, MeasureUse):
                yield use
