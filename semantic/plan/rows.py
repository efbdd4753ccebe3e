"""From a measure's cube and a frame to the rows that it is computed from.

The join graph gives the tree that Cube would use, from its root. Here it is walked from the
measure's cube instead: along a hop, or against it. What multiplies rows follows from the direction:
one_to_many along the hop, many_to_one against it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from semantic.catalog.catalog import Catalog, Dimension, Measure
from semantic.catalog.join_graph import JoinTree
from semantic.errors import NoJoinPathError, UnsafeAggregationError, UnsupportedError
from semantic.plan.frame import Frame, dimension_uses, names_in
from semantic.plan.lineage import (
    Item,
    Reach,
    computed_below,
    computed_in,
    is_computed,
    reach_in,
    reach_of,
    switches_below,
)
from semantic.plan.nodes import Attachment, GroupKey, MeasureName, Rows, Shift, Step
from semantic.query.bound import Condition, DimensionUse, Guard, OneOf, SegmentUse, Use
from semantic.query.conditions import uses_of
from semantic.spec.intervals import parse_interval

_UNEVEN = frozenset({"month", "quarter", "year"})
Attach = Callable[[Dimension, Frame], Attachment]
"""Makes the relation of a computed dimension."""


class RowFinder:
    """Finds rows for one query. `attach` makes the relations of computed dimensions."""

    __slots__ = ("_attach", "_catalog", "_ways", "followed", "others", "paths")

    def __init__(
        self,
        catalog: Catalog,
        attach: Attach,
        ways: Sequence[tuple[str, ...]],
        paths: Mapping[MeasureName, tuple[str, ...]],
    ) -> None:
        self._catalog = catalog
        self._attach = attach
        self._ways = _chain(ways)
        self.followed: set[tuple[str, ...]] = set()
        self.others: tuple[Measure, ...] = ()  # asked in the same evaluation
        self.paths = paths  # by which views reach measures

    @property
    def unfollowed(self) -> tuple[tuple[str, ...], ...]:
        """The join hints that no tree had a use for."""
        return tuple(way for way in self._ways if way not in self.followed)

    def find(self, measure: Measure | None, frame: Frame) -> tuple[JoinTree, Rows]:
        """Return the tree from its root, and the rows of the measure's cube (or of the root).

        Raises:
            NoJoinPathError, AmbiguousJoinPathError: the members cannot be joined.
        """
        tree, held = self._find_tree(measure, frame)
        cube = measure.cube if measure is not None else tree.root
        measures = () if measure is None else (measure,)
        return tree, self._make_rows(cube, tree, frame, held, measures)

    def find_all(self, measures: Sequence[Measure], frame: Frame) -> tuple[JoinTree, Rows]:
        """Return the tree of several measures together, and its rows from the root."""
        needed = Reach()
        for measure in measures:
            needed.add(self._measure_reach(measure))
        tree = self._grow(needed, frame, frame.all_conditions)
        return tree, self._make_rows(tree.root, tree, frame, frame, measures)

    def find_own(self, measure: Measure) -> Rows:
        """Return the rows of a measure's cube with what its SQL reads, and nothing else."""
        tree = self._grow(reach_of(self._catalog, measure), Frame(()), ())
        return self._make_rows(measure.cube, tree, Frame(()), Frame(()), (measure,))

    def from_root(self, tree: JoinTree, frame: Frame, rows: Rows) -> Rows:
        """Return the rows of the same tree that start at its root."""
        held = _keep(frame, (*rows.conditions, *rows.guards))
        return self._make_rows(tree.root, tree, frame, held, ())

    def reach(self, use: Use | SegmentUse) -> Reach:
        """Return what a member of the query needs to be joined."""
        match use:
            case DimensionUse():
                found = reach_of(self._catalog, use.dimension)
            case SegmentUse():
                found = reach_of(self._catalog, use.segment)
            case _:
                found = reach_of(self._catalog, use.measure)
        if len(use.path) > 1:
            found.paths[use.path] = None
        return found

    def _find_tree(self, measure: Measure | None, frame: Frame) -> tuple[JoinTree, Frame]:
        """Return the tree, and the frame with the conditions that hold for the measure."""
        conditions = frame.all_conditions
        try:
            return self._tree(measure, frame, conditions), frame
        except NoJoinPathError:
            if measure is None:
                raise
        hubs = tuple(other.cube for other in self.others)
        try:
            # The measures alone have no root, but with the others of the query they have.
            return self._tree(measure, frame, conditions, hubs), frame
        except NoJoinPathError:
            if not conditions:
                raise
        # Conditions on facts that this measure does not know hold for the other facts only.
        kept = tuple(item for item in conditions if self._joins(measure, frame, item))
        for item in frame.asked_conditions:
            if item not in kept and not any(
                self._joins(other, frame, item) for other in self.others if other is not measure
            ):
                break
        else:
            held = _keep(frame, kept)
            self._check_guards(measure, frame, held)
            return self._tree(measure, frame, kept), held
        return self._tree(measure, frame, conditions), frame

    def _check_guards(self, measure: Measure, frame: Frame, held: Frame) -> None:
        """Check that no guard is left out where rows that it protects are read.

        Raises:
            UnsupportedError: one is.
        """
        read = Reach({measure.cube: None})
        read.add(self._measure_reach(measure))
        for key in frame.keys:
            read.add(self.reach(DimensionUse(key.dimension, key.path)))
        for condition in held.asked_conditions:
            for use in uses_of(condition):
                read.add(self.reach(use))
        for guard in frame.guards:
            if guard not in held.guards and not guard.cubes.isdisjoint(read.cubes):
                raise UnsupportedError(
                    f"an access policy filters rows of {', '.join(sorted(guard.cubes))} by what "
                    f"{measure.cube}.{measure.name} cannot be joined to",
                    suggestion="ask for the measure without members of other cubes",
                )

    def _joins(self, measure: Measure, frame: Frame, condition: Condition) -> bool:
        try:
            self._tree(measure, frame, (condition,))
        except NoJoinPathError:
            return False
        return True

    def _tree(
        self,
        measure: Measure | None,
        frame: Frame,
        conditions: Iterable[Condition],
        hubs: Sequence[str] = (),
    ) -> JoinTree:
        needed = Reach()
        if measure is not None:
            needed.add(self._measure_reach(measure))
        tree = self._grow(needed, frame, conditions, hubs)
        return tree if not hubs else _prune(tree, frozenset(needed.cubes))

    def _grow(
        self,
        needed: Reach,
        frame: Frame,
        conditions: Iterable[Condition],
        hubs: Sequence[str] = (),
    ) -> JoinTree:
        """Members are mentioned in Cube's order, which decides between equal roots."""
        timed = [key for key in frame.keys if key.granularity is not None]
        plain = [key for key in frame.keys if key.granularity is None]
        for key in plain:
            needed.add(self.reach(DimensionUse(key.dimension, key.path)))
        for condition in conditions:
            for use in uses_of(condition):
                needed.add(self.reach(use))
        for key in timed:
            needed.add(self.reach(DimensionUse(key.dimension, key.path)))
            needed.add(self._granularity_reach(key))
        ways = tuple(needed.paths) + self._ways_for(needed)
        return self._catalog.join_graph.find_tree((*needed.cubes, *hubs), ways)

    def _measure_reach(self, measure: Measure) -> Reach:
        """Return what a measure needs; one that a view reaches by a path, along that path."""
        found = Reach({measure.cube: None})
        found.add(reach_of(self._catalog, measure))
        path = self.paths.get((measure.cube, measure.name))
        if path is not None:
            found.paths[path] = None
        return found

    def _ways_for(self, needed: Reach) -> tuple[tuple[str, ...], ...]:
        """Return the join hints of the query, each from its first to its last needed cube."""
        found: list[tuple[str, ...]] = []
        for way in self._ways:
            places = [index for index, cube in enumerate(way) if cube in needed.cubes]
            if len(places) > 1:
                found.append(way[places[0] : places[-1] + 1])
                self.followed.add(way)
        return tuple(found)

    def _granularity_reach(self, key: GroupKey) -> Reach:
        found = Reach()
        for granularity in key.dimension.granularities:
            if granularity.name == key.granularity and granularity.sql is not None:
                found.add(reach_in(self._catalog, granularity.sql))
        return found

    def _walk(self, tree: JoinTree, cube: str) -> tuple[Step, ...]:
        steps: list[Step] = []
        joined = [cube]
        waiting = list(tree.hops)
        while waiting:
            left = []
            for hop in waiting:
                kind = hop.join.relationship
                if hop.source in joined:
                    steps.append(Step(hop.source, hop.target, hop.join, kind == "one_to_many"))
                    joined.append(hop.target)
                elif hop.target in joined:
                    steps.append(Step(hop.target, hop.source, hop.join, kind == "many_to_one"))
                    joined.append(hop.source)
                else:
                    left.append(hop)
                    continue
                self._check(joined, steps[-1])
            waiting = left
        return tuple(steps)

    def _check(self, joined: Sequence[str], step: Step) -> None:
        reach = reach_in(self._catalog, step.join.sql)
        missing = [name for name in reach.cubes if name not in joined]
        if missing:
            raise UnsupportedError(
                f"the join of {step.target} to {step.source} reads {missing[0]}, "
                "which is not joined before it",
                suggestion=f"write the join with columns of {step.source} and {step.target} only",
            )

    def _make_rows(
        self,
        cube: str,
        tree: JoinTree,
        frame: Frame,
        held: Frame,
        measures: Sequence[Measure],
    ) -> Rows:
        """Return the rows of a tree, with what the members that are mentioned compute.

        `held` is the frame with the conditions that hold for these rows.
        """
        catalog = self._catalog
        conditions = held.all_conditions
        items: list[Item] = [key.dimension for key in frame.keys]
        for condition in conditions:
            for use in uses_of(condition):
                if isinstance(use, DimensionUse):
                    items.append(use.dimension)
                elif isinstance(use, SegmentUse):
                    items.append(use.segment)
        items += measures
        computed = [dimension for item in items for dimension in computed_below(catalog, item)]
        for hop in tree.hops:
            computed += computed_in(catalog, hop.join.sql)
        switches = [dimension for item in items for dimension in switches_below(catalog, item)]
        steps = self._walk(tree, cube)
        _check_moved(steps, frame.shifts, held.guards)
        return Rows(
            cube,
            _meet(steps, frame.shifts),
            held.asked_conditions,
            tuple(self._attach(item, frame) for item in _unique(computed)),
            frame.shifts,
            _unique(switches),
            tuple(guard.condition for guard in held.guards),
        )


def check_switches(catalog: Catalog, leaf: Measure, rows: Rows, frame: Frame) -> None:
    """Check that a measure reads no switch of which several values may stand in one group.

    Raises:
        UnsafeAggregationError: it does: a row of its cube has several values there.
    """
    if not rows.switches:
        return
    told = {(key.dimension.cube, key.dimension.name) for key in frame.keys}
    for condition in rows.conditions:
        if isinstance(condition, OneOf) and not condition.negated and not condition.null:
            use = condition.use
            if len(condition.values) == 1 and isinstance(use, DimensionUse):
                told.add((use.dimension.cube, use.dimension.name))
    for switch in switches_below(catalog, leaf):
        if (switch.cube, switch.name) not in told and len(switch.values) > 1:
            raise UnsafeAggregationError(
                f"{leaf.cube}.{leaf.name} reads {switch.cube}.{switch.name}, of which each row "
                "stands for several values",
                suggestion=f"group by {switch.cube}.{switch.name}, or filter by one of its values",
            )


def find_beyond(rows: Rows) -> set[str]:
    """Return the cubes that are reached through a join which may repeat rows."""
    found = {step.target for step in rows.multiplying}
    for step in rows.steps:
        if step.source in found:
            found.add(step.target)
    return found


def _keep(frame: Frame, conditions: Sequence[Condition]) -> Frame:
    """Return the frame with these of its conditions only."""
    return dataclasses.replace(
        frame,
        ranges=tuple(item for item in frame.ranges if item in conditions),
        conditions=tuple(item for item in frame.conditions if item in conditions),
        guards=tuple(guard for guard in frame.guards if guard.condition in conditions),
    )


def _check_moved(steps: Iterable[Step], shifts: Iterable[Shift], guards: Sequence[Guard]) -> None:
    """Check that no guard is about what stands behind the join to a moved calendar.

    Raises:
        UnsupportedError: one is: the rows are joined to another day than their own.
    """
    if not guards:
        return
    moved = {shift.cube for shift in shifts if shift.calendar}
    for step in steps:
        if step.source in moved:
            moved.add(step.target)
    for guard in guards:
        if moved & {cube for cube, _ in names_in(guard.condition)}:
            raise UnsupportedError(
                "an access policy filters rows by the time dimension that would be shifted, "
                "or by what is joined to it",
                suggestion="ask for the earlier time by its own date range",
            )


def _meet(steps: tuple[Step, ...], shifts: Iterable[Shift]) -> tuple[Step, ...]:
    """Return the steps, those to a moved calendar as ones that may find several of its days.

    A month before the 29th, 30th and 31st of March is one day, and so may a column of the
    calendar's own say.
    """
    moved = {
        shift.cube
        for shift in shifts
        if shift.calendar
        and (
            shift.moved is not None
            or not _UNEVEN.isdisjoint(parse_interval(shift.interval or "") or ())
        )
    }
    if not moved:
        return steps
    return tuple(
        dataclasses.replace(step, multiplies=True) if step.target in moved else step
        for step in steps
    )


def _chain(ways: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return join hints put end to end: Cube sends [a, b], [b, c] for a way from a to c."""
    found: list[tuple[str, ...]] = []
    for way in ways:
        if found and way and found[-1][-1] == way[0]:
            found[-1] = (*found[-1], *way[1:])
        elif way:
            found.append(way)
    return tuple(found)


def _prune(tree: JoinTree, needed: frozenset[str]) -> JoinTree:
    """Return the tree without the branches that lead to nothing needed."""
    hops = list(tree.hops)
    for hop in reversed(tree.hops):
        if hop.target not in needed and all(other.source != hop.target for other in hops):
            hops.remove(hop)
    return JoinTree(tree.root, tuple(hops))


def _unique(dimensions: Iterable[Dimension]) -> tuple[Dimension, ...]:
    return tuple({(item.cube, item.name): item for item in dimensions}.values())


def without_computed(catalog: Catalog, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return the conditions that mention no multi-stage dimension."""
    return tuple(
        condition
        for condition in conditions
        if not any(
            use.dimension.multi_stage is not None and is_computed(catalog, use.dimension)
            for use in dimension_uses([condition])
        )
    )


def without_made_of(catalog: Catalog, frame: Frame, dimension: Dimension) -> Frame:
    """Return the frame without conditions on a computed dimension and on what is made of it."""
    name = (dimension.cube, dimension.name)

    def is_made(condition: Condition) -> bool:
        items: list[Item] = []
        for use in uses_of(condition):
            if isinstance(use, DimensionUse):
                items.append(use.dimension)
            elif isinstance(use, SegmentUse):
                items.append(use.segment)
        below = [part for item in items for part in computed_below(catalog, item)]
        return any((part.cube, part.name) == name for part in below)

    return dataclasses.replace(
        frame,
        ranges=tuple(item for item in frame.ranges if not is_made(item)),
        conditions=tuple(item for item in frame.conditions if not is_made(item)),
    )
