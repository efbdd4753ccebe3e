"""Rollups: which aggregates a table computed ahead can answer in place of the rows.

A rollup holds, for each group of a cube's rows, the *state* of measures: what sums, counts, least and
greatest values of a coarser group can be made of. It is matched against single aggregates of a plan
(`Aggregate`, `Groups`), not against whole queries. So whatever stands above them, such as stages,
shifts, calculated measures or several facts side by side, is right with rollups because it is right
with rows, and parts of one query may come from different rollups.

An aggregate over rows R by keys K with conditions C is what the rollup says when

1. each row of the cube stands in exactly one group of the rollup: no join repeats it;
2. K and C are functions of what the rollup's groups have in common: its dimensions as they are
   stored, times cut to a period that each asked period is made of, segments by name;
3. every measure can be merged from its states. One that cannot is right only where each asked
   group is one group of the rollup;
4. both see the same: the same way of joins, the same time zone where a period depends on one,
   nothing masked for this caller.

Each refusal is a sentence (`RollupNote.why`): what would have to be different for a match.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from semantic.catalog.catalog import Catalog, Cube, Dimension, Measure, Segment
from semantic.catalog.pre_aggregation import PreAggregation
from semantic.errors import DucatError, UnsupportedError
from semantic.plan.frame import Frame
from semantic.plan.lineage import (
    Item,
    computed_below,
    find_item,
    is_typed,
    split,
    switches_below,
)
from semantic.plan.nodes import Attachment, GroupKey, Rows, Step
from semantic.plan.parts import depends_on_query, reads_local_time
from semantic.plan.rows import RowFinder
from semantic.plan.statistics import Statistics
from semantic.plan.stored import find_column
from semantic.query.bound import InSegment, SegmentUse
from semantic.query.granularities import measure_period

_CALENDAR: Final = frozenset({"day", "week", "month", "quarter", "year"})


@dataclass(frozen=True, slots=True)
class RollupDefinition:
    """What a rollup holds: `leaves` of the cube `rows.cube`, by `keys` and `segments`.

    A key with a granularity is a time cut to it, on the wall clock of a time zone; all others are
    stored as they are. `local` says whether anything depends on that time zone. `partition` is the
    place among the keys of the time by which it is cut into parts, and the length of a part.
    """

    name: str
    rows: Rows
    keys: tuple[GroupKey, ...]
    segments: tuple[Segment, ...]
    leaves: tuple[Measure, ...]
    local: bool
    partition: tuple[int, str] | None = None

    def find_plain(self, dimension: Dimension) -> int | None:
        """Return the place of the dimension as it is stored."""
        for place, key in enumerate(self.keys):
            if key.granularity is None and _same(key.dimension, dimension):
                return place
        return None

    def find_cut(self, dimension: Dimension, granularity: str | None = None) -> int | None:
        """Return the place of the time cut to the granularity, else of its finest periods."""
        found = [
            place
            for place, key in enumerate(self.keys)
            if key.granularity is not None and _same(key.dimension, dimension)
        ]
        for place in found:
            if self.keys[place].granularity == granularity:
                return place
        return min(found, key=self._length, default=None)

    def _length(self, place: int) -> float:
        key = self.keys[place]
        return measure_period(key.dimension, key.granularity or "")


def define_rollup(
    catalog: Catalog, cube: Cube, item: PreAggregation, statistics: Statistics
) -> RollupDefinition:
    """Return what the rollup has to hold.

    Raises:
        DucatError: no table can stand for its rows; the message says why.
    """
    if item.type != "rollup":
        raise _refuse(
            f"the type {item.type} is not built",
            "declare a rollup; measures of several cubes are put together from a rollup of each",
        )
    if item.build_range_start is not None or item.build_range_end is not None:
        raise _refuse(
            "it has a build range, and what lies outside of it could not be answered",
            "leave out build_range_start and build_range_end",
        )
    keys = tuple(_keys(catalog, item))
    segments = tuple(
        SegmentUse(found, reference.path or (reference.cube,))
        for reference in item.segments
        if isinstance(found := find_item(catalog, reference), Segment)
    )
    leaves = _leaves(catalog, cube, item)
    rows = _find_rows(catalog, cube, keys, segments, leaves)
    members: list[Item] = [key.dimension for key in keys]
    members += [use.segment for use in segments]
    members += leaves
    for member in members:
        if computed_below(catalog, member) or switches_below(catalog, member):
            raise _refuse(
                f"{member.cube}.{member.name} is computed from other groups",
                "leave it out of the rollup",
            )
    if depends_on_query(catalog, rows, members):
        raise _refuse(
            "its SQL reads the filters of the query or the claims of the caller",
            "declare it on a cube without FILTER_PARAMS and COMPILE_CONTEXT",
        )
    return RollupDefinition(
        name=f"{cube.name}.{item.name}",
        rows=rows,
        keys=keys,
        segments=tuple(use.segment for use in segments),
        leaves=leaves,
        local=reads_local_time(catalog, rows, members)
        or any(_is_local(catalog, statistics, key) for key in keys),
        partition=_partition(item, keys),
    )


def is_mergeable(leaf: Measure) -> bool:
    """Whether a measure of coarser groups can be made of its states."""
    return is_typed(leaf)


def chain(rows: Rows, cube: str) -> tuple[Step, ...]:
    """Return the joins that lead from the rows' cube to another."""
    steps = {step.target: step for step in rows.steps}
    found: list[Step] = []
    while cube != rows.cube and cube in steps:
        found.append(steps[cube])
        cube = steps[cube].source
    return tuple(found)


def _keys(catalog: Catalog, item: PreAggregation) -> Iterator[GroupKey]:
    for reference in item.dimensions:
        found = find_item(catalog, reference)
        if isinstance(found, Dimension):
            yield GroupKey(found, reference.path or (reference.cube,), reference.granularity)
    for time in item.times:
        found = find_item(catalog, time.member)
        if isinstance(found, Dimension):
            path = time.member.path or (time.member.cube,)
            yield GroupKey(found, path, time.granularity)


def _leaves(catalog: Catalog, cube: Cube, item: PreAggregation) -> tuple[Measure, ...]:
    asked = [
        found
        for reference in item.measures
        if isinstance(found := find_item(catalog, reference), Measure)
    ]
    leaves, staged, _ = split(catalog, asked)
    for measure in (*staged.values(), *leaves.values()):
        if (measure.cube, measure.name) in staged or measure.non_additive is not None:
            raise _refuse(
                f"{measure.cube}.{measure.name} is no aggregate of rows",
                "put the measures that it is made of into the rollup",
            )
        if measure.cube != cube.name:
            raise _refuse(
                f"{measure.cube}.{measure.name} is a measure of another cube",
                f"declare a rollup of {measure.cube} for it",
            )
    return tuple(leaves.values())


def _find_rows(
    catalog: Catalog,
    cube: Cube,
    keys: tuple[GroupKey, ...],
    segments: Sequence[SegmentUse],
    leaves: Sequence[Measure],
) -> Rows:
    """Return the cube's rows with all that any of the members reads."""
    finder = RowFinder(catalog, _never_attach, (), {})
    frame = Frame(keys, conditions=tuple(InSegment(use) for use in segments))
    steps: dict[str, Step] = {}
    for leaf in leaves or (None,):
        _, rows = finder.find(leaf, frame)
        if rows.cube != cube.name:
            raise _refuse(f"its rows would be those of {rows.cube}", f"declare it on {rows.cube}")
        for step in rows.steps:
            if steps.setdefault(step.target, step) != step:
                raise _refuse(
                    f"its members reach {step.target} in two ways", "make two rollups of it"
                )
    found = Rows(cube.name, tuple(steps.values()))
    for step in found.multiplying:
        raise _refuse(
            f"the join {step.source} -> {step.target} repeats rows of {cube.name}",
            f"leave out members behind {step.target}",
        )
    return found


def _never_attach(dimension: Dimension, frame: Frame) -> Attachment:
    del frame
    raise _refuse(
        f"{dimension.cube}.{dimension.name} is computed from other groups",
        "leave it out of the rollup",
    )


def _is_local(catalog: Catalog, statistics: Statistics, key: GroupKey) -> bool:
    """Whether a key differs with the time zone: a day of a DATE is a day on every wall clock."""
    if key.granularity is None:
        return False
    custom = [item for item in key.dimension.granularities if item.name == key.granularity]
    known = find_column(catalog, statistics, key.dimension)
    is_date = known is not None and known.type == "DATE"
    return bool(custom) or not is_date or key.granularity not in _CALENDAR


def _partition(item: PreAggregation, keys: Sequence[GroupKey]) -> tuple[int, str] | None:
    if item.partition_granularity is None:
        return None
    for place in range(len(keys) - 1, -1, -1):
        if keys[place].granularity is not None:
            return place, item.partition_granularity
    return None


def _same(one: Dimension, other: Dimension) -> bool:
    return (one.cube, one.name) == (other.cube, other.name)


def _refuse(why: str, suggestion: str) -> DucatError:
    return UnsupportedError(why, suggestion=suggestion)
