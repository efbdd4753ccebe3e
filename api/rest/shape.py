"""What `dry-run` and `sql` say about a query beside its SQL: its order, and its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from semantic.catalog.catalog import Measure
from semantic.query.bound import BoundColumn, MeasureUse
from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter, Query

ADDITIVE: Final = frozenset({"count", "sum", "min", "max", "count_distinct_approx"})
Way = Literal["asc", "desc"]


def describe_order(query: Query, columns: Sequence[BoundColumn]) -> dict[str, Way]:
    """Return the sort keys of a query, its own or the default ones, by member."""
    if query.order is not None:
        return {item.member: "desc" if item.descending else "asc" for item in query.order}
    return {} if query.ungrouped else _default_order(columns)


def _default_order(columns: Sequence[BoundColumn]) -> dict[str, Way]:
    """Return Cube's: the first time; else the first measure, largest first; else a dimension."""
    for column in columns:
        if column.granularity is not None:
            return {column.member: "asc"}
    measures = [column for column in columns if column.is_measure]
    if measures and measures[0] is not columns[0]:
        return {measures[0].member: "desc"}
    return {} if measures or not columns else {columns[0].member: "asc"}


def describe_shape(query: Query, columns: Sequence[BoundColumn]) -> dict[str, Any]:
    """Return what of Cube's transformed query is true of ours; the rest is left out."""
    times = [
        [item.dimension, item.granularity] for item in query.time_dimensions if item.granularity
    ]
    dimensions = sorted(query.dimensions)
    filtered = set(_members(query.filters))
    return {
        "measures": list(query.measures),
        "timeDimensions": times,
        "sortedDimensions": dimensions,
        "sortedTimeDimensions": sorted(times),
        "ownedDimensions": dimensions,
        "ownedTimeDimensionsAsIs": times,
        "ownedTimeDimensionsWithRollupGranularity": times,
        "hasNoTimeDimensionsWithoutGranularity": all(
            item.granularity for item in query.time_dimensions
        ),
        "allFiltersWithinSelectedDimensions": filtered <= set(query.dimensions),
        "isAdditive": all(
            _is_additive(column.use.measure)
            for column in columns
            if isinstance(column.use, MeasureUse)
        ),
    }


def _is_additive(measure: Measure) -> bool:
    return measure.type in ADDITIVE and measure.rolling_window is None


def _members(filters: Iterable[Filter]) -> Iterator[str]:
    for part in filters:
        match part:
            case MemberFilter():
                yield part.member
            case AndFilter() | OrFilter():
                yield from _members(part.parts)
