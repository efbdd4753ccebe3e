"""Default filters of views: what holds in every query of a view unless the query says otherwise.

They hold as soon as a query uses any member of the view, in whatever place. One is released by an
explicit filter of the query on one of its `unless` members: a filter, a date range or a segment;
asking for the member as a column does not release it. A released filter imposes nothing: a tree of
AND goes on without it, a tree of OR with a released part is released as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import Catalog, FilterTerm, FilterTree, ModelFilter, View
from semantic.query.bound import Condition, DimensionUse, MeasureUse, SegmentUse
from semantic.query.conditions import bind_model_filter, compares_measures, filtered_names, uses_of
from semantic.query.members import AnyUse, find_reference
from semantic.query.query import Query

Key = tuple[str, str]


def bind_defaults(
    catalog: Catalog,
    query: Query,
    explicit: tuple[Condition, ...],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> tuple[list[Condition], list[Condition]]:
    """Return the default conditions on rows and on groups; `explicit` are the query's own."""
    rows: list[Condition] = []
    groups: list[Condition] = []
    filtered = {name_use(use) for condition in explicit for use in uses_of(condition)}
    for view in used_views(catalog, query):
        for item in view.filters:
            kept = _without_released(catalog, item, filtered)
            if kept is None:
                continue
            condition = bind_model_filter(catalog, kept, now=now, zone=zone)
            on_measures = compares_measures(condition, _names(kept))
            (groups if on_measures else rows).append(condition)
    return rows, groups


def used_views(catalog: Catalog, query: Query) -> tuple[View, ...]:
    """Return the views of which the query uses any member, in the order of first use."""
    firsts = dict.fromkeys(name.partition(".")[0] for name in used_names(query))
    return tuple(catalog.views[name] for name in firsts if name in catalog.views)


def used_names(query: Query) -> Iterator[str]:
    """Yield every member's name that the query writes, wherever it stands."""
    yield from query.measures
    yield from query.dimensions
    yield from (item.dimension for item in query.time_dimensions)
    for item in query.filters:
        yield from filtered_names(item)
    yield from query.segments
    yield from (item.member for item in query.order or ())


def name_use(use: AnyUse) -> Key:
    """Return the cube (a role by its name) and the name of the member that is used."""
    match use:
        case DimensionUse():
            return use.dimension.cube, use.dimension.name
        case MeasureUse():
            return use.measure.cube, use.measure.name
        case SegmentUse():
            return use.segment.cube, use.segment.name
        case _ as unreachable:
            assert_never(unreachable)


def _without_released(
    catalog: Catalog, item: ModelFilter, filtered: set[Key]
) -> ModelFilter | None:
    match item:
        case FilterTerm():
            keys = {name_use(find_reference(catalog, member)) for member in item.unless}
            return None if keys & filtered else item
        case FilterTree():
            parts = [_without_released(catalog, part, filtered) for part in item.parts]
            kept = tuple(part for part in parts if part is not None)
            if not kept or (item.word == "or" and len(kept) < len(parts)):
                return None
            return FilterTree(item.word, kept)
        case _ as unreachable:
            assert_never(unreachable)


def _names(item: ModelFilter) -> Iterator[str]:
    match item:
        case FilterTerm():
            yield f"{item.member.cube}.{item.member.member}"
        case FilterTree():
            for part in item.parts:
                yield from _names(part)
        case _ as unreachable:
            assert_never(unreachable)
