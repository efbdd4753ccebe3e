"""Query to BoundQuery: names become members, values get types, defaults are filled in.

What is refused here is refused for every face: unknown and hidden members in the same words, a
measure where a dimension belongs, an order that would be ignored, a limit above the maximum.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from semantic.catalog.catalog import Catalog
from semantic.errors import LimitExceededError, QuerySyntaxError, UnknownMemberError, suggest
from semantic.query.bound import BoundQuery, InSegment, SegmentUse, Within
from semantic.query.columns import bind_columns, bind_time, misplaced
from semantic.query.conditions import bind_filter, bind_filters
from semantic.query.dates import Interval, parse_range
from semantic.query.defaults import bind_defaults, name_use, used_names
from semantic.query.derived import Derived, derive
from semantic.query.members import EVERYTHING, PUBLIC, Sight, clip, find_member, find_named
from semantic.query.ordering import bind_order
from semantic.query.policy import PolicySight, Restriction, add_mask
from semantic.query.query import DEFAULT_LIMIT, MAXIMUM_LIMIT, Query, TimeDimension

_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+){0,2}")
_LONGEST_ZONE: Final = 100


def bind(catalog: Catalog, query: Query, *, now: datetime, sight: Sight = PUBLIC) -> BoundQuery:
    """Return the query with its members, typed values and defaults.

    `now` (with a zone) is what relative dates are relative to. `sight` is what the caller may see;
    access policies are in it.

    Raises:
        UnknownMemberError: a name is none, is hidden, or is of another kind than its place wants.
        QuerySyntaxError: a value, date, granularity, timezone or order cannot be.
        LimitExceededError: `limit` is above the maximum.
        UnsupportedError: valid in Cube, not answered by Ducat.
    """
    zone = _zone(query.timezone)
    asked = query = _normalize(catalog, query, sight)
    model, own_sight = catalog, sight
    derived = derive(catalog, query, sight, now=now, zone=zone)
    if derived is not None:
        catalog, query, sight = derived.catalog, derived.query, derived.sight
    columns = bind_columns(catalog, query, sight)
    if not columns:
        raise QuerySyntaxError(
            "Query should contain either measures, dimensions or timeDimensions with "
            "granularities in order to be valid"
        )
    rows, groups = bind_filters(catalog, query.filters, now=now, zone=zone, sight=sight)
    ranges = tuple(_range(item, now, zone) for item in query.time_dimensions)
    dated = [
        Within(bind_time(catalog, item.dimension, sight)[0], found.start, found.end)
        for item, found in zip(query.time_dimensions, ranges, strict=True)
        if found is not None
    ]
    segments = [InSegment(_segment(catalog, name, sight)) for name in query.segments]
    explicit = (*dated, *rows, *segments, *groups)
    default_rows, default_groups = bind_defaults(catalog, query, explicit, now=now, zone=zone)
    guarded = _guard(model, query, own_sight, now, zone, derived)
    masks = MappingProxyType(guarded.masks)
    limit = _limit(query)
    return BoundQuery(
        query=asked,
        catalog=catalog,
        columns=columns,
        rows=(*dated, *rows, *segments, *default_rows),
        groups=(*groups, *default_groups),
        ranges=ranges,
        order=bind_order(catalog, query, columns, groups, sight),
        limit=limit,
        defaulted=limit is not None and query.limit is None,
        offset=query.offset,
        timezone=query.timezone,
        now=now,
        ungrouped=query.ungrouped,
        joins=tuple(_join_hint(catalog, hint, sight) for hint in query.join_hints),
        masks=masks if derived is None else derived.copy_masks(masks),
        guards=guarded.rows,
        inner=MappingProxyType(guarded.inner),
        apart=guarded.apart,
    )


def _normalize(catalog: Catalog, query: Query, sight: Sight) -> Query:
    """Move a time dimension with a granularity among the dimensions to the time dimensions."""
    plain: list[str] = []
    timed = list(query.time_dimensions)
    for name in query.dimensions:
        found = find_named(catalog, name, sight)
        if found.granularity is None:
            plain.append(name)
            continue
        bind_time(catalog, found.member, sight)
        added = TimeDimension(found.member, found.granularity)
        if added not in timed:
            timed.append(added)
    measures, dimensions = tuple(dict.fromkeys(query.measures)), tuple(dict.fromkeys(plain))
    times, segments = tuple(timed), tuple(dict.fromkeys(query.segments))
    asked = (query.measures, query.dimensions, query.time_dimensions, query.segments)
    if (measures, dimensions, times, segments) == asked:
        return query
    return dataclasses.replace(
        query,
        measures=measures,
        dimensions=dimensions,
        time_dimensions=times,
        segments=segments,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        # The pattern first: a zone's name is a path to the files of the zones.
        known = len(name) <= _LONGEST_ZONE and _ZONE.fullmatch(name)
        zone = ZoneInfo(name) if known else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = None
    if zone is None:
        raise QuerySyntaxError(
            f'Invalid query format: "timezone" must be a valid IANA time zone, got "{clip(name)}"'
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


def _range(item: TimeDimension, now: datetime, zone: ZoneInfo) -> Interval | None:
    if item.date_range is None:
        return None
    return parse_range(item.date_range, now=now, zone=zone)


def _segment(catalog: Catalog, name: str, sight: Sight) -> SegmentUse:
    use, _ = find_member(catalog, name, sight)
    if not isinstance(use, SegmentUse):
        raise misplaced(name, use, "segments")
    return use


def _join_hint(catalog: Catalog, hint: tuple[str, ...], sight: Sight) -> tuple[str, ...]:
    """Return the path of cubes of a hint; after the first, each is a cube or a join's name."""
    path: list[str] = []
    for name in hint:
        join = catalog.cubes[path[-1]].joins.get(name) if path else None
        target = join.target if join is not None else name
        cube = catalog.cubes.get(target)
        if cube is None or not sight.sees(cube, None):
            known = [item.name for item in catalog.cubes.values() if sight.sees(item, None)]
            raise UnknownMemberError(
                f"Cube '{clip(name)}' not found for path '{clip('.'.join(hint))}'",
                suggestion=suggest(clip(name), known),
            )
        path.append(cube.name)
    return tuple(path)


def _guard(
    catalog: Catalog,
    query: Query,
    sight: Sight,
    now: datetime,
    zone: ZoneInfo,
    derived: Derived | None,
) -> Restriction:
    """Return the guards and masks of access policies, and the masks that the query itself names."""
    restriction = Restriction((), {}, (), {})
    if isinstance(sight, PolicySight):
        origins: Mapping[str, str] = {} if derived is None else derived.origins
        names = (origins.get(name, name) for name in used_names(query))
        found = [find_named(catalog, name, sight) for name in names]
        restriction = sight.restrict(found, now=now, zone=zone)
    for item in query.masked_members:  # an internal caller's, who may name any member
        use, _ = find_member(catalog, item.member, EVERYTHING)
        unless = None
        if item.unless is not None:
            unless = bind_filter(catalog, item.unless, now=now, zone=zone, sight=EVERYTHING)
        add_mask(restriction.masks, name_use(use), unless)
    return restriction
