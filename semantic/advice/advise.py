"""Proposes rollups: the fewest that answer the slowest share of what was asked.

    query log ─▶ shapes ─▶ plans over rows ─▶ needs ─▶ joined, as long as the table stays small ─▶ chosen

Whether a rollup answers a query is asked of the planner itself, with the rollup as if it were built: there
is no second matcher that could promise what the first does not keep. How many rows it would have is
counted over the tables in service.

Joining is greedy: of all pairs the one whose table is the smallest, until the smallest is too large. So
few tables serve many queries, and none comes near the size of the rows that it stands for.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from semantic.advice.needs import Need, list_needs
from semantic.advice.shapes import AskedShape
from semantic.catalog.catalog import Catalog, MemberReference
from semantic.compile.rollup import write_definition
from semantic.compile.statement import compile_plan
from semantic.errors import DucatError
from semantic.plan.build import build
from semantic.plan.candidates import RollupCandidate, RollupSet
from semantic.plan.nodes import Plan
from semantic.plan.rollup import RollupDefinition, define_rollup
from semantic.plan.statistics import Statistics
from semantic.query.bind import bind

_NOW: Final = datetime(2013, 3, 1, tzinfo=UTC)
_BUILT: Final = "as_if_built"
_BUILD: Final = "ducat rollups build"
_TO_BUILD: Final = f"a pre-aggregation of the model answers it when it is built: run `{_BUILD}`"
_SMALL: Final = 50_000  # rows that are read in a few milliseconds: two such tables may become one
_GROWTH: Final = 4  # else the joined table may have so many times the rows of the two
_LONGEST_NAME: Final = 48


@dataclass(frozen=True, slots=True)
class Limits:
    """What is worth proposing.

    Rollups for `share` of the logged time, at most `most`, none with more than `largest` of
    the rows of its cube, and at most `most`.
    """

    share: float = 0.8
    largest: float = 0.1
    most: int = 10


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rollup, how many rows its table and the cube would have, and what it answers.

    `seconds` is the logged time of the shapes that are answered from rollups only when it is built.
    """

    name: str
    need: Need
    rows: int
    source_rows: int
    shapes: tuple[AskedShape, ...]
    seconds: float
    timezones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unhelped:
    """A shape that no rollup would answer, and why."""

    shape: AskedShape
    why: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What to build. `seconds` is all of the logged time, `answered` that of what rollups answer now."""

    proposals: tuple[Proposal, ...]
    unhelped: tuple[Unhelped, ...]
    seconds: float
    answered: float


@dataclass(frozen=True, slots=True)
class _Group:
    """A rollup while it is chosen: its need, and how many rows its table would have."""

    need: Need
    rows: int


class Advisor:
    """Proposes rollups for one model; `count` runs a SELECT and returns how many rows it has."""

    def __init__(
        self, catalog: Catalog, statistics: Statistics, count: Callable[[str], int]
    ) -> None:
        self._catalog = catalog
        self._statistics = statistics
        self._count = count
        self._counted: dict[Need, int] = {}
        self._declared = _build_all(statistics)

    def advise(
        self,
        asked: Sequence[AskedShape],
        limits: Limits = DEFAULT_LIMITS,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Advice:
        """Return what to build for these queries.

        Raises:
            DucatError: a table cannot be counted.
        """
        total = sum(item.seconds for item in asked)
        unhelped: list[Unhelped] = []
        groups: list[_Group] = []
        wanted: set[int] = set()
        answered = reached = 0.0
        slowest = sorted(asked, key=lambda item: -item.seconds)
        for place, shape in enumerate(slowest):
            if reached >= limits.share * total:
                break
            reached += shape.seconds
            progress(f"planning {', '.join(shape.query.measures) or 'a query'}")
            try:
                if self._is_rolled(shape, self._statistics):
                    answered += shape.seconds
                    continue
                if self._is_rolled(shape, self._declared):
                    unhelped.append(Unhelped(shape, _TO_BUILD))
                    continue
                needs = self._find_needs(shape)
            except DucatError as refused:
                unhelped.append(Unhelped(shape, str(refused)))
                continue
            why = self._refuse(shape, needs, limits)
            if why:
                unhelped.append(Unhelped(shape, why))
                continue
            wanted.add(place)
            groups += [_Group(need, self._rows(need)) for need in needs]
        joined = self._join(groups, slowest, wanted, limits, progress)
        kept = self._drop_needless(joined, slowest, limits)
        left = self._left(kept, slowest, wanted)
        proposals = self._propose(kept, slowest)
        return Advice(tuple(proposals), (*unhelped, *left), total, answered)

    def _plan(self, shape: AskedShape, statistics: Statistics) -> Plan:
        bound = bind(self._catalog, shape.query, now=_NOW)
        return build(bound.catalog, bound, statistics)

    def _is_rolled(self, shape: AskedShape, statistics: Statistics) -> bool:
        """Whether it is answered without a look at the rows."""
        bound = bind(self._catalog, shape.query, now=_NOW)
        plan = build(bound.catalog, bound, statistics)
        return compile_plan(bound.catalog, plan).only_rollups

    def _find_needs(self, shape: AskedShape) -> list[Need]:
        plan = self._plan(shape, dataclasses.replace(self._statistics, rollups=RollupSet()))
        return list_needs(plan)

    def _refuse(self, shape: AskedShape, needs: Sequence[Need], limits: Limits) -> str:
        """Return why no rollup helps the shape; nothing when those of its needs answer it."""
        if not needs:
            return "it asks for rows, or reads them in a way that no rollup stands for"
        try:
            statistics = self._as_built(needs, shape.query.timezone)
        except DucatError as undefined:
            return str(undefined)
        if not self._is_rolled(shape, statistics):
            notes = [note.why for note in self._plan(shape, statistics).notes if not note.used]
            return notes[0] if notes else "it reads rows in a way that no rollup stands for"
        for need in needs:
            rows, source = self._rows(need), self._source_rows(need)
            if rows > limits.largest * source:
                return f"its rollup would have {rows:,} rows, of {source:,} of {need.cube}"
        return ""

    def _as_built(self, needs: Sequence[Need], *timezones: str) -> Statistics:
        """Return the statistics of the day when these rollups will be built.

        Raises:
            DucatError: no table can stand for one of them.
        """
        found: dict[str, list[RollupCandidate]] = {}
        for number, need in enumerate(dict.fromkeys(needs)):
            definition = self._define(need, f"suggested_{number}")
            for zone in dict.fromkeys(timezones) if definition.local else ("UTC",):
                found.setdefault(need.cube, []).append(
                    RollupCandidate(definition, zone, _BUILT, self._counted.get(need, 0))
                )
        candidates = {name: tuple(items) for name, items in found.items()}
        rollups = RollupSet(_BUILT, MappingProxyType(candidates))
        return dataclasses.replace(self._statistics, rollups=rollups)

    def _define(self, need: Need, name: str) -> RollupDefinition:
        cube = self._catalog.cubes[need.cube]
        return define_rollup(self._catalog, cube, need.declare(name), self._statistics)

    def _rows(self, need: Need) -> int:
        """Return how many rows the rollup's table would have."""
        known = self._counted.get(need)
        if known is None:
            sql = write_definition(self._catalog, self._define(need, "counted"), "UTC")
            known = self._counted[need] = self._count(sql)
        return known

    def _source_rows(self, need: Need) -> int:
        """Return how many rows the cube has."""
        cube = self._catalog.cubes[need.cube]
        found = self._statistics.table(cube.sql_table)
        if found is not None:
            return found.rows
        keys = frozenset(MemberReference(cube.name, item.name) for item in cube.primary_key)
        if not keys:
            return sys.maxsize  # a cube of SQL without a key: nothing to compare with
        return self._rows(Need(cube.name, frozenset(), keys, frozenset(), frozenset()))

    def _answered(self, groups: Sequence[_Group], shapes: Sequence[AskedShape]) -> frozenset[int]:
        """Return the places of the shapes that are answered from these rollups, were they built."""
        needs = [group.need for group in groups]
        found = set()
        for place, shape in enumerate(shapes):
            try:
                if self._is_rolled(shape, self._as_built(needs, shape.query.timezone)):
                    found.add(place)
            except DucatError:
                continue
        return frozenset(found)

    def _join(
        self,
        groups: Sequence[_Group],
        slowest: Sequence[AskedShape],
        wanted: set[int],
        limits: Limits,
        progress: Callable[[str], None],
    ) -> list[_Group]:
        """Return fewer rollups that answer all that these do."""
        kept = list(dict.fromkeys(groups))
        refused: set[tuple[Need, Need]] = set()
        while True:
            pairs = [
                (one, other)
                for one, other in itertools.combinations(kept, 2)
                if one.need.cube == other.need.cube and (one.need, other.need) not in refused
            ]
            progress(f"joining {len(kept)} rollups")
            found: list[tuple[int, _Group, _Group, Need]] = []
            for one, other in pairs:
                need = one.need.join(other.need)
                most = max(_SMALL, _GROWTH * (one.rows + other.rows))
                try:
                    rows = self._rows(need)
                except DucatError:
                    rows = sys.maxsize
                if rows <= min(most, limits.largest * self._source_rows(need)):
                    found.append((rows, one, other, need))
                else:
                    refused.add((one.need, other.need))
            if not found:
                return kept
            rows, one, other, need = min(found, key=lambda item: item[0])
            rest = [group for group in kept if group not in (one, other)]
            joined = [*rest, _Group(need, rows)]
            shapes = [slowest[place] for place in sorted(wanted)]
            if self._answered(joined, shapes) >= self._answered(kept, shapes):
                kept = list(dict.fromkeys(joined))
            else:
                refused.add((one.need, other.need))

    def _drop_needless(
        self, groups: Sequence[_Group], slowest: Sequence[AskedShape], limits: Limits
    ) -> list[_Group]:
        """Return those without which less would be answered: the best, when there are too many."""

        def worth(chosen: Sequence[_Group]) -> float:
            return sum(slowest[place].seconds for place in self._answered(chosen, slowest))

        kept = sorted(groups, key=lambda group: -group.rows)
        for group in tuple(kept):
            fewer = [item for item in kept if item is not group]
            if worth(fewer) >= worth(kept):
                kept = fewer
        while len(kept) > limits.most:
            least = max(kept, key=lambda group: worth([item for item in kept if item is not group]))
            kept = [item for item in kept if item is not least]
        return kept

    def _left(
        self, kept: Sequence[_Group], slowest: Sequence[AskedShape], wanted: set[int]
    ) -> list[Unhelped]:
        answered = self._answered(kept, slowest)
        why = "its rollup is not among the most useful ones"
        return [Unhelped(slowest[place], why) for place in sorted(wanted - answered)]

    def _propose(self, kept: Sequence[_Group], slowest: Sequence[AskedShape]) -> list[Proposal]:
        before = self._before(slowest)
        all_answered = self._answered(kept, slowest) - before
        found = []
        names: set[tuple[str, str]] = set()
        for group in kept:
            fewer = [item for item in kept if item is not group]
            lost = all_answered - self._answered(fewer, slowest)
            shapes = tuple(slowest[place] for place in sorted(lost))
            cube = self._catalog.cubes[group.need.cube]
            taken = {item.name for item in cube.pre_aggregations}
            taken |= {name for owner, name in names if owner == cube.name}
            name = _name(group.need, taken)
            names.add((cube.name, name))
            is_local = self._define(group.need, name).local
            zones = tuple(dict.fromkeys(item.query.timezone for item in shapes))
            found.append(
                Proposal(
                    name=name,
                    need=group.need,
                    rows=group.rows,
                    source_rows=self._source_rows(group.need),
                    shapes=shapes,
                    seconds=sum(item.seconds for item in shapes),
                    timezones=zones if is_local else ("UTC",),
                )
            )
        return sorted(found, key=lambda item: -item.seconds)

    def _before(self, slowest: Sequence[AskedShape]) -> frozenset[int]:
        """Return the places of what is answered from rollups already."""
        found = set()
        for place, shape in enumerate(slowest):
            try:
                if self._is_rolled(shape, self._statistics):
                    found.add(place)
            except DucatError:
                continue
        return frozenset(found)


def _build_all(statistics: Statistics) -> Statistics:
    """Return the statistics of the day when all that the model declares is built."""
    rollups = statistics.rollups
    candidates = {
        cube: tuple(
            dataclasses.replace(item, table=_BUILT) if _BUILD in item.missing else item
            for item in items
        )
        for cube, items in rollups.candidates.items()
    }
    built = dataclasses.replace(rollups, candidates=MappingProxyType(candidates))
    return dataclasses.replace(statistics, rollups=built)


def _name(need: Need, taken: set[str]) -> str:
    """Return a name that says by what it groups."""
    parts = [item.member for item in sorted(need.dimensions, key=str)]
    parts += [cut for _, cut in sorted(need.times, key=str)]
    whole = "by_" + "_".join(parts) if parts else "in_total"
    if len(whole) > _LONGEST_NAME:
        cuts = [cut for _, cut in sorted(need.times, key=str)]
        whole = "_".join(["by", str(len(need.dimensions)), "dimensions", *cuts])
    name, number = whole, 2
    while name in taken:
        name, number = f"{whole}_{number}", number + 1
    return name
