"""BoundQuery to Plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from semantic.catalog.catalog import Catalog, CubeSource, Measure
from semantic.errors import UnsafeAggregationError, UnsupportedError
from semantic.plan.evaluate import Evaluator
from semantic.plan.frame import Frame
from semantic.plan.lineage import measures_of, split
from semantic.plan.nodes import GroupKey, MeasureName, Plan, Relation, Rows, Ungrouped
from semantic.plan.rows import RowFinder
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.plan.walk import rows_of
from semantic.query.bound import (
    BoundQuery,
    DimensionUse,
    MeasureUse,
    Within,
)
from semantic.query.conditions import uses_of


def build(catalog: Catalog, bound: BoundQuery, statistics: Statistics = UNKNOWN) -> Plan:
    """Return how to answer the query.

    One row more than the limit is fetched when the limit is ours, to know whether it cut. What is
    known of the tables decides between plans that give the same answer.

    Raises:
        NoJoinPathError, AmbiguousJoinPathError: the members cannot be joined.
        UnsafeAggregationError: a measure would be counted more than once, and nothing tells its
            rows apart; or a measure refers across a join that repeats its rows.
        UnsupportedError: a measure is of a kind that is not answered.
    """
    frame = _root_frame(bound)
    uses = list(_measure_uses(bound))
    asked = [use.measure for use in uses]
    leaves, staged, calculated = split(catalog, asked)
    facts = tuple(_all_leaves(catalog, asked).values())
    evaluator = Evaluator(catalog, bound, frame, facts, _paths(catalog, uses), statistics)
    source: Relation | Ungrouped
    if bound.ungrouped:
        if staged:
            first = next(iter(staged.values()))
            raise UnsupportedError(
                f"{first.cube}.{first.name} is computed in stages: it has no value in one row",
                suggestion="leave it out, or leave out `ungrouped`",
            )
        source = _ungrouped(evaluator.finder, frame, tuple(leaves.values()))
    else:
        source = evaluator.evaluate(frame, asked)
    for way in evaluator.finder.unfollowed:
        raise UnsupportedError(
            f"the join hint {' -> '.join(way)} leads to nothing that the query asks for",
            suggestion="leave it out, or ask for members of both of its ends",
        )
    return Plan(
        source=source,
        columns=bound.columns,
        calculated=MappingProxyType(calculated),
        groups=bound.groups,
        order=bound.order,
        limit=bound.limit + 1 if bound.defaulted and bound.limit is not None else bound.limit,
        offset=bound.offset,
        timezone=bound.timezone,
        tables=tables_of(catalog, rows_of(source)),
        masks=bound.masks,
        statistics=statistics,
        notes=tuple(evaluator.notes),
    )


def _root_frame(bound: BoundQuery) -> Frame:
    dated = sum(found is not None for found in bound.ranges)
    ranges = tuple(item for item in bound.rows[:dated] if isinstance(item, Within))
    keys = tuple(
        GroupKey(column.use.dimension, column.use.path, column.granularity)
        for column in bound.grouping
        if isinstance(column.use, DimensionUse)
    )
    return Frame(keys, ranges, bound.rows[dated:], guards=bound.guards)


def _measure_uses(bound: BoundQuery) -> Iterator[MeasureUse]:
    for column in bound.columns:
        if isinstance(column.use, MeasureUse):
            yield column.use
    for condition in bound.groups:
        for use in uses_of(condition):
            if isinstance(use, MeasureUse):
                yield use
    for item in bound.order:
        if isinstance(item.key, MeasureUse):
            yield item.key


def _all_leaves(catalog: Catalog, measures: Iterable[Measure]) -> dict[MeasureName, Measure]:
    """Return the measures that rows are read for, those inside of stages too."""
    leaves, staged, _ = split(catalog, measures)
    for measure in staged.values():
        below = measures_of(catalog, measure)
        if measure.conversion is not None:  # what converts is read apart from the query
            below = below[:1]
        if below:
            leaves |= _all_leaves(catalog, below)
        else:
            leaves[measure.cube, measure.name] = measure
    return leaves


def _paths(catalog: Catalog, uses: Iterable[MeasureUse]) -> Mapping[MeasureName, tuple[str, ...]]:
    """Return the paths by which views reach measures, for all that they are made of in their cube.

    Raises:
        UnsupportedError: one measure is reached in two ways.
    """
    found: dict[MeasureName, tuple[str, ...]] = {}
    for use in uses:
        if len(use.path) == 1:
            continue
        waiting = [use.measure]
        while waiting:
            measure = waiting.pop()
            name = (measure.cube, measure.name)
            if measure.cube != use.measure.cube or found.get(name) == use.path:
                continue
            if name in found:
                raise UnsupportedError(
                    f"{measure.cube}.{measure.name} is asked along {'.'.join(found[name])} and "
                    f"along {'.'.join(use.path)} at once",
                    suggestion="ask for the measure of one view at a time",
                )
            found[name] = use.path
            waiting += measures_of(catalog, measure)
    return found


def _ungrouped(finder: RowFinder, frame: Frame, leaves: tuple[Measure, ...]) -> Ungrouped:
    """Return the rows of the one tree of everything that is asked, from its root."""
    tree, rows = finder.find_all(leaves, frame)
    del tree
    for leaf in leaves:
        if leaf.non_additive is not None:
            raise UnsupportedError(
                f"{leaf.cube}.{leaf.name} counts the rows of one time only: it has no value in one row",
                suggestion="leave it out, or leave out `ungrouped`",
            )
        if leaf.type in {"number", "number_agg"}:
            raise UnsafeAggregationError(
                f"{leaf.cube}.{leaf.name} is an aggregate written in SQL: it has no value in one row",
                suggestion="leave it out, or leave out `ungrouped`",
            )
    return Ungrouped(rows, leaves)


def tables_of(catalog: Catalog, rows: Iterable[Rows]) -> tuple[str, ...]:
    """Return the physical tables that rows are read from."""
    cubes = dict.fromkeys(cube for item in rows for cube in item.cubes)
    waiting = list(cubes)
    while waiting:
        relation = catalog.cubes[waiting.pop()].sql
        for part in relation.parts if relation is not None else ():
            if isinstance(part, CubeSource) and part.cube not in cubes:
                cubes[part.cube] = None
                waiting.append(part.cube)
    return tuple(dict.fromkeys(table for cube in cubes for table in catalog.cubes[cube].tables))
