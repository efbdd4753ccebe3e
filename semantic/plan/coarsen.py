"""Aggregates in two steps, where that reads less: rows by what they store, then by the keys.

    by customers.name, month of orders.created_at
    rows ─ GROUP BY orders.customer_id, orders.created_at ─ groups
    groups ─ LEFT JOIN customers ─ GROUP BY name, month ─ the answer

Joins that only give the groups their names, and the cutting of times to periods, are then done for
each group in place of each row: often a thousand times less often. It is the same answer because
the measures add up (count, sum, min, max), because rows of one group agree in everything that the
second step reads, and because a row that finds no partner, or several, does so with its group.

Whether it pays is a guess from statistics; the answer does not depend on it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from semantic.catalog.catalog import (
    Catalog,
    Dimension,
    Expression,
    ExpressionPart,
    Measure,
    MemberReference,
)
from semantic.plan.lineage import (
    Reach,
    expressions_of,
    find_item,
    reach_in,
    reach_of,
    references_in,
)
from semantic.plan.nodes import Aggregate, Coarsen, GroupKey, Link, Relation, Step
from semantic.plan.statistics import ColumnStatistics, Statistics
from semantic.plan.stored import column_of, find_column
from semantic.query.bound import Condition, DimensionUse, SegmentUse
from semantic.query.conditions import uses_of

_ADDITIVE: Final = frozenset({"count", "sum", "min", "max"})
_TERM: Final = r'\x00\d+\x00(?:\.(?:"[^"]+"|\w+))?'
_EQUALITY: Final = re.compile(rf"\s*\(*({_TERM}) = ({_TERM})\)*\s*")
_GUESS: Final = 50  # groups of a key of which nothing is known
# Nanoseconds of one core on a row, measured with DuckDB 1.5: to cut a time to its period, to make a
# group that is grouped again, and to look up one of few keys; then for each doubling beyond.
_CUTTING: Final = 70
_SECOND: Final = 100
_LEAST: Final = 15
_DOUBLING: Final = 22
_FEW_BITS: Final = 12


def coarsen(
    catalog: Catalog,
    aggregate: Aggregate,
    masked: Collection[tuple[str, str]],
    statistics: Statistics,
) -> Aggregate | Coarsen:
    """Return the aggregate in two steps where that is the same and pays, else as it is."""
    if not statistics.tables or not aggregate.keys or not _is_plain(catalog, aggregate):
        return aggregate
    table = statistics.table(catalog.cubes[aggregate.rows.cube].sql_table)
    if table is None:
        return aggregate
    finder = _Finder(catalog, aggregate, frozenset(cube for cube, _ in masked), statistics)
    cuts = list(finder.find())
    if not cuts:
        return aggregate
    if statistics.eager:
        return finder.make(cuts[0])
    cheapest = min(cuts, key=lambda cut: finder.cost(cut, table.rows))
    if finder.cost(cheapest, table.rows) >= finder.cost(_NOTHING, table.rows):
        return aggregate
    return finder.make(cheapest)


def leave_unjoined(catalog: Catalog, relation: Relation) -> Relation:
    """Return a relation for those who look up existing keys in it, without the join that finds them.

    Where the keys of joined rows are just what the join compares, the columns that are compared are
    the keys already; those that no row has are asked for by nobody.
    """
    if not isinstance(relation, Coarsen) or relation.steps or relation.kept or relation.times:
        return relation
    if len(relation.keys) != len(relation.links):
        return relation
    links = []
    for key in relation.keys:
        found = [link for link in relation.links if _is_key(catalog, link.target, key)]
        if len(found) != 1:
            return relation
        links += found
    return dataclasses.replace(relation, links=tuple(links), unjoined=True)


def _is_key(catalog: Catalog, expression: Expression, key: GroupKey) -> bool:
    """Whether a snippet is the column of a key, or the key by its name."""
    if key.granularity is not None or key.dimension.type == "time":
        return False
    if len(expression.parts) == 1 and isinstance(expression.parts[0], MemberReference):
        return find_item(catalog, expression.parts[0]) is key.dimension
    column = column_of(expression)
    return column is not None and column == column_of(key.dimension.sql)


@lru_cache(maxsize=4096)
def equalities_of(expression: Expression) -> tuple[tuple[Expression, Expression], ...] | None:
    """Return the two sides of each comparison of a join of equal columns or members, else None."""
    marked = "".join(
        part if isinstance(part, str) else f"\0{index}\0"
        for index, part in enumerate(expression.parts)
    )
    found = []
    for comparison in re.split(r"\bAND\b", marked, flags=re.IGNORECASE):
        matched = _EQUALITY.fullmatch(comparison)
        if matched is None:
            return None
        found.append((_term(expression, matched[1]), _term(expression, matched[2])))
    return tuple(found)


def _term(expression: Expression, text: str) -> Expression:
    number, rest = text[1:].split("\0")
    parts: tuple[ExpressionPart, ...] = (expression.parts[int(number)],)
    return Expression((*parts, rest) if rest else parts)


def _is_plain(catalog: Catalog, aggregate: Aggregate) -> bool:
    rows = aggregate.rows
    return (
        not aggregate.distinct
        and not rows.multiplying
        and not rows.attachments
        and not rows.switches
        and not any(shift.calendar for shift in rows.shifts)
        and all(leaf.type in _ADDITIVE for leaf in aggregate.leaves)
        and all(catalog.cubes[cube].sql_table is not None for cube in rows.cubes)
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which cubes are joined late, which times are cut late; about how many groups come first."""

    late: frozenset[str]
    times: tuple[Dimension, ...]
    groups: float


_NOTHING: Final = _Cut(frozenset(), (), 0)


class _Finder:
    """Looks for what of one aggregate can wait for the second step."""

    __slots__ = ("_aggregate", "_catalog", "_masked", "_statistics", "_steps")

    def __init__(
        self,
        catalog: Catalog,
        aggregate: Aggregate,
        masked: frozenset[str],
        statistics: Statistics,
    ) -> None:
        self._catalog = catalog
        self._aggregate = aggregate
        self._masked = masked
        self._statistics = statistics
        self._steps = {step.target: step for step in aggregate.rows.steps}

    def find(self) -> Iterator[_Cut]:
        """Yield what can wait: the most of it, then less and less."""
        late = self._late_cubes()
        columns: dict[str, str] = {}
        times: dict[tuple[str, str], Dimension] = {}
        keys = self._aggregate.keys
        # A time waits with all its periods, or not at all: those of a calendar have other columns.
        stuck = {key.dimension.name for key in keys if self._stored(key) is None}
        for key in keys:
            found = self._stored(key)
            if found is None or found[0] in late or key.dimension.name in stuck:
                continue
            if columns.setdefault(found[1], found[0]) == found[0]:  # one cube for each name
                times[key.dimension.cube, key.dimension.name] = key.dimension
        cut = self._cut(late, tuple(times.values()))
        while cut is not None:
            yield cut
            cut = self._shorten(cut)

    def cost(self, cut: _Cut, rows: float) -> float:
        """Return about how long it takes, in nanoseconds of one core; nothing waiting is direct."""
        final, cutting = 1.0, 0
        waiting = {(item.cube, item.name) for item in cut.times}
        for key in self._aggregate.keys:
            final *= self._size_of_key(key)
            cutting += key.dimension.type == "time" and (
                (key.dimension.cube, key.dimension.name) not in waiting
            )
        final = min(final, rows)
        groups = min(cut.groups, rows) if cut is not _NOTHING else final
        early = late = 0.0
        for step in self._aggregate.rows.steps:
            table = self._statistics.table(self._catalog.cubes[step.target].sql_table)
            probe = _per_row(table.rows if table is not None else rows)
            if step.target in cut.late:
                late += probe
            else:
                early += probe
        first = rows * (early + cutting * _CUTTING + _per_row(groups))
        return first if cut is _NOTHING else first + groups * (late + _SECOND + _per_row(final))

    def _shorten(self, cut: _Cut) -> _Cut | None:
        """Return a cut in which what makes most groups waits no longer."""
        sizes = [(self._size_of_link(step), step.target) for step in self._links(cut.late)]
        sizes += [(self._size_of_time(item), "") for item in cut.times]
        if not sizes:
            return None
        _, cube = max(sizes)
        if cube:
            return self._cut(cut.late - {cube}, cut.times)
        widest = max(cut.times, key=self._size_of_time)
        return self._cut(cut.late, tuple(item for item in cut.times if item is not widest))

    def make(self, cut: _Cut) -> Coarsen:
        """Return the aggregate in two steps."""
        whole, rows = self._aggregate, self._aggregate.rows
        waiting = {(item.cube, item.name) for item in cut.times}
        kept = tuple(
            key
            for key in whole.keys
            if (key.dimension.cube, key.dimension.name) not in waiting
            and not self._is_late(key, cut.late)
        )
        shifted = {(item.cube, item.member) for item in rows.shifts} & waiting
        later = tuple(
            place
            for place, condition in enumerate(rows.conditions)
            if shifted and _names_in(condition) and _names_in(condition) <= shifted
        )
        first = tuple(step for step in rows.steps if step.target not in cut.late)
        return Coarsen(
            whole=whole,
            rows=type(rows)(rows.cube, first, rows.conditions, (), rows.shifts, (), rows.guards),
            kept=kept,
            times=cut.times,
            links=tuple(link for step in self._links(cut.late) for link in self._link(step)),
            steps=tuple(
                step for step in rows.steps if step.target in cut.late and step.source in cut.late
            ),
            later=later,
        )

    # -- what can wait ---------------------------------------------------------------------------

    def _late_cubes(self) -> frozenset[str]:
        """Return the cubes that nothing but whole keys reads, joined by equal columns."""
        early = {self._aggregate.rows.cube}
        for leaf in self._aggregate.leaves:
            early |= set(reach_of(self._catalog, leaf).cubes)
        rows = self._aggregate.rows
        for condition in (*rows.conditions, *rows.guards):
            for use in uses_of(condition):
                if isinstance(use, DimensionUse):
                    early |= set(reach_of(self._catalog, use.dimension).cubes)
                elif isinstance(use, SegmentUse):
                    early |= set(reach_of(self._catalog, use.segment).cubes)
        early |= {cube for cube in self._steps if cube in self._masked}
        late = {cube for cube in self._steps if cube not in early}
        return self._settle(late)

    def _settle(self, late: Collection[str]) -> frozenset[str]:
        """Return the largest part of `late` that can wait: with all that is joined through it."""
        left = set(late)
        while True:
            gone = {
                cube
                for cube in left
                if any(
                    step.source == cube and step.target not in left for step in self._steps.values()
                )
                or (self._steps[cube].source not in left and not self._link(self._steps[cube]))
            }
            for key in self._aggregate.keys:
                reached = set(self._reach(key).cubes)
                if reached & left and not (reached <= left and self._is_closed(key)):
                    gone |= reached & left
            if not gone:
                return frozenset(left)
            left -= gone

    def _is_late(self, key: GroupKey, late: frozenset[str]) -> bool:
        return bool(late) and set(self._reach(key).cubes) <= late

    def _is_closed(self, key: GroupKey) -> bool:
        """Whether the texts of a key name no other cube than by reference."""
        others = [cube for cube in self._aggregate.rows.cubes if cube not in self._reach(key).cubes]
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, others))})\"?\s*\.") if others else None
        return pattern is None or not any(
            pattern.search(text) for text in _texts(self._catalog, key.dimension)
        )

    def _reach(self, key: GroupKey) -> Reach:
        found = reach_of(self._catalog, key.dimension)
        for granularity in key.dimension.granularities:
            if granularity.name == key.granularity and granularity.sql is not None:
                found.add(reach_in(self._catalog, granularity.sql))
        return found

    def _stored(self, key: GroupKey) -> tuple[str, str] | None:
        """Return the column of a time key, when its periods can be cut from the column alone."""
        dimension = key.dimension
        if dimension.type != "time" or dimension.cube in self._masked:
            return None
        named = next(
            (item for item in dimension.granularities if item.name == key.granularity), None
        )
        if named is not None and named.sql is not None:
            return None
        known = self._column(dimension)
        return column_of(dimension.sql) if known is not None and known.is_exact else None

    def _links(self, late: frozenset[str]) -> list[Step]:
        """Return the joins from what is read first to what waits."""
        return [
            step
            for step in self._aggregate.rows.steps
            if step.target in late and step.source not in late
        ]

    def _link(self, step: Step) -> tuple[Link, ...]:
        """Return the comparisons of a join, source first; nothing when it is not made of them."""
        found = []
        for one, other in equalities_of(step.join.sql) or ():
            sides = [set(reach_in(self._catalog, item).cubes) for item in (one, other)]
            if sides[1] == {step.target} and step.target not in sides[0]:
                found.append(Link(step, one, other))
            elif sides[0] == {step.target} and step.target not in sides[1]:
                found.append(Link(step, other, one))
            else:
                return ()
        if any(set(reach_in(self._catalog, link.source).cubes) != {step.source} for link in found):
            return ()
        return tuple(found)

    # -- how many groups -------------------------------------------------------------------------

    def _cut(self, late: frozenset[str], times: tuple[Dimension, ...]) -> _Cut | None:
        late = self._settle(late)
        if not late and not times:
            return None
        waiting = {(item.cube, item.name) for item in times}
        groups = 1.0
        for key in self._aggregate.keys:
            name = (key.dimension.cube, key.dimension.name)
            if name not in waiting and not self._is_late(key, late):
                groups *= self._size_of_key(key)
        for item in times:
            groups *= self._size_of_time(item)
        for step in self._links(late):
            groups *= self._size_of_link(step)
        return _Cut(late, times, groups)

    def _size_of_key(self, key: GroupKey) -> float:
        known = self._column(key.dimension)
        if known is None or key.dimension.type == "time":
            return 2 if key.dimension.type == "boolean" else _GUESS
        return max(1, known.distinct)

    def _size_of_time(self, dimension: Dimension) -> float:
        known = self._column(dimension)
        return _GUESS if known is None else max(1, known.distinct)

    def _size_of_link(self, step: Step) -> float:
        """Return about how many keys a join compares: most of those that the joined table has.

        Counts of values are too low where a table was filled at once (a third of the truth for the
        keys of a large one); numbers of rows are right.
        """
        table = self._statistics.table(self._catalog.cubes[step.target].sql_table)
        return math.inf if table is None else max(1, table.rows)

    def _column(self, dimension: Dimension) -> ColumnStatistics | None:
        return find_column(self._catalog, self._statistics, dimension)


def _per_row(keys: float) -> float:
    """Return how long a row takes to find its place among so many keys."""
    return _LEAST + _DOUBLING * max(0.0, math.log2(max(keys, 1)) - _FEW_BITS)


def _names_in(condition: Condition) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for use in uses_of(condition):
        if not isinstance(use, DimensionUse):
            return set()
        found.add((use.dimension.cube, use.dimension.name))
    return found


def _texts(catalog: Catalog, item: Dimension | Measure) -> Iterator[str]:
    """Yield the texts of a member's snippets, and of those that they name."""
    waiting: list[Expression] = list(expressions_of(item))
    seen: Sequence[object] = ()
    while waiting:
        expression = waiting.pop()
        yield from (part for part in expression.parts if isinstance(part, str))
        for reference in references_in(expression):
            named = find_item(catalog, reference)
            if isinstance(named, Dimension) and named not in seen:
                seen = (*seen, named)
                waiting += expressions_of(named)
