"""From a frame and measures to the relation that holds them: the heart of the planner.

    evaluate(frame, measures):
        leaves  → one Aggregate per cube and set of rows, and the groups from the root   ┐ Merge,
        staged  → the relation of each multi-stage measure or rolling window             ┘ null-safe

Inner stages are evaluations of the same kind with another frame, so everything nests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from semantic.catalog.catalog import Catalog, Dimension, Measure
from semantic.catalog.join_graph import JoinTree
from semantic.errors import UnsafeAggregationError, UnsupportedError
from semantic.plan.candidates import RollupNote
from semantic.plan.coarsen import coarsen, leave_unjoined
from semantic.plan.conversion import plan_conversions
from semantic.plan.frame import Frame, unique_keys
from semantic.plan.grain import find_inner_frame, keys_of, without_member
from semantic.plan.kinds import plan_semi_additive, plan_spine
from semantic.plan.lineage import computed_below, is_typed, measures_of, reach_of, split
from semantic.plan.nodes import (
    Aggregate,
    Attachment,
    GroupKey,
    Groups,
    MeasureName,
    Merge,
    Rank,
    Regroup,
    Relation,
    Rows,
    Spread,
)
from semantic.plan.rolling import Windows
from semantic.plan.rollup_match import Asked, find_rollup
from semantic.plan.rows import (
    RowFinder,
    check_switches,
    find_beyond,
    without_computed,
    without_made_of,
)
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery

_INSENSITIVE = frozenset({"min", "max", "count_distinct", "count_distinct_approx"})


@dataclass(slots=True)
class _Leaves:
    """Leaves of one cube over the same rows."""

    tree: JoinTree
    rows: Rows
    plain: list[Measure]
    distinct: list[Measure]
    semi_additive: list[tuple[Measure, bool]]  # and whether joins repeat its rows


class Evaluator:
    """Evaluates frames of one query. Equal evaluations give the same relation."""

    __slots__ = (
        "_bound",
        "_catalog",
        "_finder",
        "_known",
        "_root",
        "_statistics",
        "_windows",
        "notes",
    )

    def __init__(
        self,
        catalog: Catalog,
        bound: BoundQuery,
        root: Frame,
        asked: Sequence[Measure],
        paths: Mapping[MeasureName, tuple[str, ...]],
        statistics: Statistics = UNKNOWN,
    ) -> None:
        self._catalog = catalog
        self._statistics = statistics
        self.notes: dict[RollupNote, None] = {}  # what became of rollups
        self._bound = bound
        self._root = root
        self._finder = RowFinder(catalog, self._attach, bound.joins, paths)
        self._finder.others = tuple(asked)
        self._windows = Windows(catalog, bound, self._finder, self.evaluate)
        self._known: list[tuple[Frame, tuple[tuple[str, str], ...], Relation]] = []

    @property
    def finder(self) -> RowFinder:
        """What finds the rows."""
        return self._finder

    def evaluate(self, frame: Frame, measures: Iterable[Measure]) -> Relation:
        """Return a relation with the frame's keys that holds what `measures` are made of.

        Raises:
            NoJoinPathError, AmbiguousJoinPathError: the members cannot be joined.
            UnsafeAggregationError: a measure would be counted more than once.
            UnsupportedError: a measure is of a kind that is not answered so.
        """
        leaves, staged, _ = split(self._catalog, measures)
        names = (*leaves, *staged)
        for known_frame, known_names, known in self._known:
            if known_names == names and known_frame == frame:
                return known
        parts: list[Relation] = []
        conversions = [item for item in staged.values() if item.conversion is not None]
        if leaves or conversions or not staged:
            parts.append(self._leaves(frame, tuple(leaves.values()), conversions))
        parts += [self._stage(frame, item) for item in staged.values() if item.conversion is None]
        if len(parts) == 1:
            relation = parts[0]
        else:
            for part in parts:
                if isinstance(part, Regroup) and part.plain:
                    raise _not_aggregated(part.measure)
            relation = Merge(tuple(parts), frame.keys, fills=False)
        self._known.append((frame, names, relation))
        return relation

    def _leaves(
        self, frame: Frame, leaves: Sequence[Measure], conversions: Sequence[Measure]
    ) -> Relation:
        """Return the relation of measures that rows are read for, each at its own cube."""
        if not leaves and not conversions:
            _, rows = self._finder.find(None, frame)
            return self._read(Groups(rows, frame.keys))
        gathered: list[_Leaves] = []
        for leaf in leaves:
            tree, rows = self._finder.find(leaf, frame)
            found = next((item for item in gathered if item.rows == rows), None)
            if found is None:
                found = _Leaves(tree, rows, [], [], [])
                gathered.append(found)
            repeats = self._repeats(leaf, rows, frame)
            if leaf.non_additive is not None:
                found.semi_additive.append((leaf, repeats))
            else:
                (found.distinct if repeats else found.plain).append(leaf)
        parts: list[Relation] = []
        roots: list[tuple[JoinTree, Relation]] = []
        for item in gathered:
            if item.plain:
                whole = Aggregate(item.rows, frame.keys, tuple(item.plain))
                parts.append(self._read(whole))
            parts += self._distinct(frame, item)
            parts += self._semi_additive(frame, item)
        for item in gathered:
            # Groups of rows that start at the root, where the measure may have no row.
            if (
                frame.keys
                and item.tree.root != item.rows.cube
                and item.tree not in [tree for tree, _ in roots]
            ):
                rows = self._finder.from_root(item.tree, frame, item.rows)
                roots.append((item.tree, self._read(Groups(rows, frame.keys))))
        spines = self._spines(frame, gathered, parts, roots)
        parts += [*(groups for _, groups in roots), *spines]
        for measure in conversions:
            parts += self._convert(frame, measure)
        return parts[0] if len(parts) == 1 else Merge(tuple(parts), frame.keys, fills=True)

    def _read(self, whole: Aggregate | Groups) -> Relation:
        """Return an aggregate as it costs least: from a rollup, in two steps, or from the rows."""
        bound, known = self._bound, self._statistics
        if whole.rows.cube in known.rollups.candidates or known.rollups.undefined:
            asked = Asked(whole, bound.masks, bound.timezone)
            rolled, notes = find_rollup(self._catalog, asked, known.rollups)
            self.notes.update(dict.fromkeys(notes))
            if rolled is not None:
                return rolled
        if isinstance(whole, Groups):
            return whole
        return coarsen(self._catalog, whole, bound.masks, known)

    def _repeats(self, leaf: Measure, rows: Rows, frame: Frame) -> bool:
        """Whether joins repeat rows of the leaf's cube, so that its aggregate would notice.

        Raises:
            UnsafeAggregationError: the leaf reads across a join that repeats its rows, or a switch
                of which several values stand in one group.
        """
        check_switches(self._catalog, leaf, rows, frame)
        multiplying = rows.multiplying
        grouped = {(key.dimension.cube, key.dimension.name) for key in frame.keys}
        if not multiplying:
            loose = any(
                (item.cube, item.name) not in grouped and len(item.values) > 1
                for item in rows.switches
            )
            return loose and leaf.type not in _INSENSITIVE
        beyond = find_beyond(rows)
        for cube in reach_of(self._catalog, leaf).cubes:
            if cube in beyond:
                raise UnsafeAggregationError(
                    f"{leaf.cube}.{leaf.name} refers across the join {multiplying[0].source} -> "
                    f"{multiplying[0].target} ({multiplying[0].join.relationship}), which repeats "
                    f"the rows of {leaf.cube}",
                    suggestion=f"make it a measure of {cube}",
                )
        return leaf.type not in _INSENSITIVE

    def _distinct(self, frame: Frame, item: _Leaves) -> list[Relation]:
        """Return aggregates over distinct keys: typed leaves together, others each on its own."""
        if not item.distinct:
            return []
        self._check_key(item.rows, item.distinct[0])
        typed = tuple(leaf for leaf in item.distinct if is_typed(leaf))
        found: list[Relation] = []
        if typed:
            found.append(self._read(Aggregate(item.rows, frame.keys, typed, distinct=True)))
        for leaf in item.distinct:
            if not is_typed(leaf):
                own = self._finder.find_own(leaf)
                if own.multiplying:
                    raise UnsafeAggregationError(
                        f"{leaf.cube}.{leaf.name} reads joined rows that repeat its own",
                        suggestion="make it a measure of the joined cube",
                    )
                whole = Aggregate(item.rows, frame.keys, (leaf,), distinct=True, own=own)
                found.append(self._read(whole))
        return found

    def _check_key(self, rows: Rows, leaf: Measure) -> None:
        """Check that rows which joins repeat can be told apart."""
        if not self._catalog.cubes[rows.cube].primary_key:
            joins = " and ".join(
                f"{step.source} -> {step.target} ({step.join.relationship})"
                for step in rows.multiplying
            )
            switches = " and ".join(f"{item.cube}.{item.name}" for item in rows.switches)
            why = f"the join {joins} repeats" if joins else f"the values of {switches} repeat"
            raise UnsafeAggregationError(
                f"{leaf.cube}.{leaf.name} would count rows of {rows.cube} more than once: "
                f"{why} them, and {rows.cube} has no primary key to tell them apart",
                suggestion=f"give {rows.cube} a dimension with `primary_key: true`",
            )

    def _semi_additive(self, frame: Frame, item: _Leaves) -> Iterator[Relation]:
        for leaf, repeats in item.semi_additive:
            if repeats:
                self._check_key(item.rows, leaf)
            yield plan_semi_additive(
                self._catalog, self._bound, frame, item.rows, leaf, distinct=repeats
            )

    def _spines(
        self,
        frame: Frame,
        gathered: Sequence[_Leaves],
        parts: Sequence[Relation],
        roots: Sequence[tuple[JoinTree, Relation]],
    ) -> list[Relation]:
        """Return the periods in which measures that ask for all of them have no groups."""
        found: list[Relation] = []
        for item in gathered:
            own = [groups for tree, groups in roots if tree == item.tree]
            semi_additive = [leaf for leaf, _ in item.semi_additive]
            for leaf in (*item.plain, *item.distinct, *semi_additive):
                if leaf.join_to_timespine:
                    made = [part for part in parts if (leaf.cube, leaf.name) in part.measures]
                    spine = plan_spine(self._catalog, self._finder, frame, leaf, [*made, *own])
                    if spine is not None and spine not in found:
                        found.append(spine)
        return found

    def _convert(self, frame: Frame, measure: Measure) -> Iterator[Relation]:
        """Yield the relation of a conversion measure, and the periods that it lacks."""
        relation = plan_conversions(
            self._catalog, self._bound, self._finder, self.evaluate, frame, measure
        )
        yield relation
        if measure.join_to_timespine:
            spine = plan_spine(self._catalog, self._finder, frame, measure, [relation])
            if spine is not None:
                yield spine

    def _stage(self, frame: Frame, measure: Measure) -> Relation:
        """Return the relation of a staged measure."""
        if measure.rolling_window is not None:
            return self._windows.roll(frame, measure)
        below = measures_of(self._catalog, measure)
        inner = find_inner_frame(self._catalog, measure, frame, self._root, self._bound)
        staged = self._outer(frame, inner, measure, below)
        if not frame.keys or not _drops(frame, inner):
            return staged
        # What was filtered away must not come back as groups, only count inside of values.
        groups = self.evaluate(without_member(frame, measure), below)
        return Spread(staged, groups, frame.keys, measure)

    def _outer(
        self, frame: Frame, inner: Frame, measure: Measure, below: Sequence[Measure]
    ) -> Relation:
        """Return the outer stage over the inner one, at the frame's keys."""
        source = self.evaluate(inner, below)
        if measure.type == "rank":
            if len(inner.keys) != len(frame.keys):
                raise _not_aggregated(measure)
            return Rank(source, frame.keys, keys_of(measure, frame, self._root), measure)
        outer = {key.name for key in frame.keys}
        missing = outer - {key.name for key in inner.keys}
        added = {key.name for key in inner.keys} - outer
        if added and not is_typed(measure):
            if missing:
                raise _not_aggregated(measure)
            return Regroup(source, frame.keys, measure, plain=True)
        if not missing:
            return Regroup(source, frame.keys, measure)
        if added:
            shared = tuple(key for key in frame.keys if key.name not in missing)
            source = Regroup(source, shared, measure)
        groups = self.evaluate(without_member(frame, measure), below)
        return Spread(source, groups, frame.keys, measure)

    def _attach(self, dimension: Dimension, frame: Frame) -> Attachment:
        """Return the relation of a computed dimension: one row per key of its own.

        It is an evaluation of its own: what the query asks beside it excuses nothing in it.
        """
        below = measures_of(self._catalog, dimension)
        finder = self._finder
        others, paths = finder.others, finder.paths
        finder.others, finder.paths = tuple(split(self._catalog, below)[0].values()), {}
        try:
            return self._make_attachment(dimension, frame, below)
        finally:
            finder.others, finder.paths = others, paths

    def _make_attachment(
        self, dimension: Dimension, frame: Frame, below: Sequence[Measure]
    ) -> Attachment:
        if dimension.sub_query:
            cube = self._catalog.cubes[dimension.cube]
            if not cube.primary_key:
                raise UnsupportedError(
                    f"{dimension.cube}.{dimension.name} is a sub_query, and {cube.name} has no "
                    "primary key to join it by",
                    suggestion=f"give {cube.name} a dimension with `primary_key: true`",
                )
            keys = tuple(GroupKey(item, (item.cube,)) for item in cube.primary_key)
            if any((item.cube, item.name) in self._bound.masks for item in cube.primary_key):
                raise UnsupportedError(
                    f"{dimension.cube}.{dimension.name} is a sub_query, joined by a key that is masked",
                    suggestion=f"leave out the primary key of {cube.name}",
                )
            inner = Frame(keys)
            if dimension.propagate_filters:
                inner = without_made_of(self._catalog, frame, dimension).with_keys(keys)
            # The rows that it reads are its own: so are the policies' conditions on them.
            own = self._bound.inner.get((dimension.cube, dimension.name), ())
            added = tuple(guard for guard in own if guard not in inner.guards)
            inner = dataclasses.replace(inner, guards=(*inner.guards, *added))
            relation = leave_unjoined(self._catalog, self.evaluate(inner, below))
            return Attachment(dimension, relation, keys, dimension.cube)
        include = dimension.multi_stage.include if dimension.multi_stage is not None else ()
        plain = [key for key in frame.keys if not computed_below(self._catalog, key.dimension)]
        included = [
            GroupKey(
                self._catalog.cubes[item.cube].dimensions[item.member],
                item.path or (item.cube,),
                item.granularity,
            )
            for item in include
        ]
        keys = unique_keys([*plain, *included])
        conditions = without_computed(self._catalog, frame.conditions)
        inner = Frame(keys, frame.ranges, conditions, guards=frame.guards)
        return Attachment(dimension, self.evaluate(inner, below), keys, None)


def _drops(frame: Frame, inner: Frame) -> bool:
    """Whether the inner stage sees rows that the outer one filters away."""
    kept = (*inner.ranges, *inner.conditions)
    return any(item not in kept for item in (*frame.ranges, *frame.conditions))


def _not_aggregated(measure: Measure) -> UnsupportedError:
    return UnsupportedError(
        f"{measure.cube}.{measure.name} has one value for each of its inner groups and its type "
        f"{measure.type} does not aggregate them, so it cannot stand beside other measures",
        suggestion="give it a type that aggregates (sum, avg, min, max), or ask for it alone",
    )
