"""BoundQuery to Plan: finds the joins, and for each measure a stage that counts each row once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

from semantic.catalog.catalog import Catalog, Dimension, Measure, Segment
from semantic.catalog.join_graph import JoinTree
from semantic.errors import UnsafeAggregationError, UnsupportedError
from semantic.plan.lineage import cubes_in, cubes_of, is_typed, leaves_of, measures_in
from semantic.plan.nodes import Combined, KeyStage, Leaf, Plan, RowSet, RowStage, Source, Stage
from semantic.query.bound import BoundQuery, DimensionUse, MeasureUse, SegmentUse, Use
from semantic.query.conditions import uses_of

_INSENSITIVE = frozenset({"min", "max", "count_distinct", "count_distinct_approx"})


def build(catalog: Catalog, bound: BoundQuery) -> Plan:
    """Return how to answer the query.

    One row more than the limit is fetched when the limit is ours, to know whether it cut.

    Raises:
        NoJoinPathError, AmbiguousJoinPathError: the members cannot be joined.
        UnsafeAggregationError: a measure would be counted more than once, and nothing tells its
            rows apart; or a measure refers across a join that repeats its rows.
        UnsupportedError: a measure is of a kind that is not answered.
    """
    asked = [use.measure for use in _measure_uses(bound)]
    leaves = {(leaf.cube, leaf.name): leaf for leaf in leaves_of(catalog, asked)}
    tree = _find_tree(catalog, bound)
    rows = RowSet(tree, bound.rows, bound.grouping)
    stages = _stages(catalog, rows, leaves.values())
    return Plan(
        rows=rows,
        stages=stages,
        sources=_sources(catalog, stages, asked),
        columns=bound.columns,
        groups=bound.groups,
        order=bound.order,
        limit=bound.limit + 1 if bound.defaulted and bound.limit is not None else bound.limit,
        offset=bound.offset,
        timezone=bound.timezone,
        tables=_tables(catalog, tree, stages),
    )


def _measure_uses(bound: BoundQuery) -> Iterator[MeasureUse]:
    for column in bound.columns:
        if isinstance(column.use, MeasureUse):
            yield column.use
    for condition in bound.groups:
        for use in uses_of(condition):
            if isinstance(use, MeasureUse):
                yield use


def _find_tree(catalog: Catalog, bound: BoundQuery) -> JoinTree:
    """Find the joins. Members are mentioned in Cube's order, which decides between equal roots."""
    cubes: dict[str, None] = {}
    paths: dict[tuple[str, ...], None] = {}
    for use in _mentions(bound):
        item = _item(use)
        cubes.update({item.cube: None} | cubes_of(catalog, item))
        if len(use.path) > 1:
            paths[use.path] = None
    tree = catalog.join_graph.find_tree(tuple(cubes), tuple(paths))
    _check_joins(catalog, tree)
    return tree


def _mentions(bound: BoundQuery) -> Iterator[Use | SegmentUse]:
    conditions = [use for condition in bound.rows for use in uses_of(condition)]
    yield from _measure_uses(bound)
    yield from (column.use for column in bound.grouping if column.granularity is None)
    yield from conditions
    yield from (column.use for column in bound.grouping if column.granularity is not None)


def _item(use: Use | SegmentUse) -> Dimension | Measure | Segment:
    match use:
        case DimensionUse():
            return use.dimension
        case MeasureUse():
            return use.measure
        case SegmentUse():
            return use.segment
        case _ as unreachable:
            assert_never(unreachable)


def _check_joins(catalog: Catalog, tree: JoinTree) -> None:
    """Refuse a join condition that reads a cube which is not joined yet where it stands."""
    joined = {tree.root}
    for hop in tree.hops:
        joined.add(hop.target)
        missing = [cube for cube in cubes_in(catalog, hop.join.sql) if cube not in joined]
        if missing:
            raise UnsupportedError(
                f"the join of {hop.target} to {hop.source} reads {missing[0]}, "
                "which is not joined before it",
                suggestion=f"write the join with columns of {hop.source} and {hop.target} only",
            )


def _stages(catalog: Catalog, rows: RowSet, leaves: Iterable[Measure]) -> tuple[Stage, ...]:
    """Return the stages, those that hold every group first."""
    dense: list[Measure] = []
    sparse: dict[str, list[Measure]] = {}
    keyed: dict[tuple[str, bool], list[Measure]] = {}
    for leaf in leaves:
        if not is_typed(leaf) and leaf.filters:
            raise UnsupportedError(
                f"the measure {leaf.cube}.{leaf.name} is of type {leaf.type} and has filters",
                suggestion="write the condition into its SQL: `FILTER (WHERE …)`",
            )
        if _needs_keys(catalog, rows.tree, leaf):
            keyed.setdefault((leaf.cube, not is_typed(leaf)), []).append(leaf)
        elif is_typed(leaf) or leaf.cube == rows.tree.root:
            dense.append(leaf)
        else:
            sparse.setdefault(leaf.cube, []).append(leaf)
    keys = [
        _key_stage(catalog, rows.tree, cube, found, sparse=is_sparse)
        for (cube, is_sparse), found in keyed.items()
    ]
    whole: list[Stage] = [RowStage(tuple(dense))] if dense else []
    whole += [stage for stage in keys if not stage.sparse]
    if not whole and rows.grouping:
        whole.append(RowStage(()))  # only to name the groups
    partial: list[Stage] = [RowStage(tuple(found), cube) for cube, found in sparse.items()]
    partial += [stage for stage in keys if stage.sparse]
    return (*whole, *partial)


def _needs_keys(catalog: Catalog, tree: JoinTree, leaf: Measure) -> bool:
    """Whether the joined rows cannot be aggregated as they are."""
    others = [cube for cube in cubes_of(catalog, leaf) if cube != leaf.cube]
    if tree.multiplying(leaf.cube):
        return bool(others) or leaf.type not in _INSENSITIVE
    # A cube that the measure means to reach by its own joins, but that the query reaches otherwise.
    below, reachable = tree.below(leaf.cube), catalog.join_graph.reachable(leaf.cube)
    return any(cube not in below and cube in reachable for cube in others)


def _key_stage(
    catalog: Catalog, tree: JoinTree, cube: str, leaves: Sequence[Measure], *, sparse: bool
) -> KeyStage:
    because = tree.multiplying(cube)
    key = catalog.cubes[cube].primary_key
    if not key:
        hops = " and ".join(
            f"{hop.source} -> {hop.target} ({hop.join.relationship})" for hop in because
        )
        raise UnsafeAggregationError(
            f"{leaves[0].cube}.{leaves[0].name} would count rows of {cube} more than once: "
            f"the join {hops} repeats them, and {cube} has no primary key to tell them apart",
            suggestion=f"give {cube} a dimension with `primary_key: true`",
        )
    others: dict[str, None] = {}
    for leaf in leaves:
        others.update(cubes_of(catalog, leaf))
    others.pop(cube, None)
    if any(set(cubes_of(catalog, item)) - {cube} for item in key):
        raise UnsupportedError(
            f"the primary key of {cube} refers to other cubes",
            suggestion="make the key of columns of its own",
        )
    own = catalog.join_graph.find_tree((), tuple((cube, other) for other in others) or ((cube,),))
    _check_joins(catalog, own)
    for hop in own.multiplying(cube):
        raise UnsafeAggregationError(
            f"{leaves[0].cube}.{leaves[0].name} refers across the join {hop.source} -> "
            f"{hop.target} ({hop.join.relationship}), which repeats the rows of {cube}",
            suggestion=f"make it a measure of {hop.target}",
        )
    return KeyStage(cube, own, tuple(leaves), because, sparse)


def _sources(
    catalog: Catalog, stages: Sequence[Stage], asked: Iterable[Measure]
) -> Mapping[tuple[str, str], Source]:
    sources: dict[tuple[str, str], Source] = {
        (leaf.cube, leaf.name): Leaf(number, index)
        for number, stage in enumerate(stages)
        for index, leaf in enumerate(stage.leaves)
    }
    waiting = list(asked)
    while waiting:
        measure = waiting.pop()
        if (measure.cube, measure.name) not in sources and measure.sql is not None:
            sources[measure.cube, measure.name] = Combined(measure.sql)
            waiting.extend(measures_in(catalog, measure.sql))
    return MappingProxyType(sources)


def _tables(catalog: Catalog, tree: JoinTree, stages: Iterable[Stage]) -> tuple[str, ...]:
    cubes = dict.fromkeys(tree.cubes)
    for stage in stages:
        if isinstance(stage, KeyStage):
            cubes.update(dict.fromkeys(stage.tree.cubes))
    return tuple(dict.fromkeys(table for cube in cubes for table in catalog.cubes[cube].tables))
