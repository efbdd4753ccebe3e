"""What an answer is sorted by: what was asked, or Cube's default order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from semantic.catalog.catalog import Catalog
from semantic.errors import QueryError
from semantic.query.bound import BoundColumn, BoundOrder, Condition, DimensionUse, MeasureUse
from semantic.query.conditions import uses_of
from semantic.query.granularities import measure_period
from semantic.query.members import Sight, clip, find_named
from semantic.query.query import Order, Query


def bind_order(
    catalog: Catalog,
    query: Query,
    columns: tuple[BoundColumn, ...],
    groups: Iterable[Condition],
    sight: Sight,
) -> tuple[BoundOrder, ...]:
    """Return the sort keys, first the one that decides first.

    Raises:
        UnknownMemberError: a name is none.
        QueryError: the query does not ask for the member, so that the order would be ignored.
    """
    if query.order is None:
        return () if query.ungrouped else _default(columns)
    filtered = {(use.measure.cube, use.measure.name) for use in _measures(groups)}
    return tuple(_key(catalog, item, columns, filtered, sight) for item in query.order)


def _default(columns: tuple[BoundColumn, ...]) -> tuple[BoundOrder, ...]:
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


def _key(
    catalog: Catalog,
    item: Order,
    columns: tuple[BoundColumn, ...],
    filtered: set[tuple[str, str]],
    sight: Sight,
) -> BoundOrder:
    exact = [index for index, column in enumerate(columns) if column.name == item.member]
    same = [index for index, column in enumerate(columns) if column.member == item.member]
    if exact or same:
        # By a time without its granularity: the finest column of it, which orders them all.
        key = exact[0] if exact else min(same, key=lambda index: _period(columns[index]))
        return BoundOrder(key, item.descending)
    use = find_named(catalog, item.member, sight).use
    if isinstance(use, MeasureUse) and (use.measure.cube, use.measure.name) in filtered:
        return BoundOrder(use, item.descending)
    raise QueryError(
        f"the order by {clip(item.member)} cannot be: the query does not ask for it",
        suggestion="add it to the query, or leave it out of the order",
    )


def _period(column: BoundColumn) -> float:
    if column.granularity is None or not isinstance(column.use, DimensionUse):
        return -1.0
    return measure_period(column.use.dimension, column.granularity)


def _measures(conditions: Iterable[Condition]) -> Iterator[MeasureUse]:
    for condition in conditions:
        for use in uses_of(condition):
            if isinstance(use, MeasureUse):
                yield use
