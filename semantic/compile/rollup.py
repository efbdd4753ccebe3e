"""Rollups as SQL: the SELECT that makes a table, and an aggregate that reads one.

A table has a row for each group: `_k0`, ... the keys (dimensions as they are stored, times cut to
their period on the wall clock of the rollup's time zone), `_s0`, ... whether the segments hold, and
for each measure its state:

    count, sum, min, max      `_v`, of which a coarser group takes the sum, the least, the greatest
    avg                       `_v` the sum and `_n` how many values it has
    count_distinct            `_v` the list of its different values
    SQL of its own            `_v` the value itself, for groups that are not merged
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from semantic.catalog.catalog import Catalog, Dimension, Expression, Measure, Segment
from semantic.compile.aggregates import aggregate, operand
from semantic.compile.conditions import Operand
from semantic.compile.dialect import DUCKDB
from semantic.compile.scope import Place, Scope
from semantic.compile.volatile import is_volatile
from semantic.compile.writer import Placed, Writer, key_column, value_column
from semantic.errors import DucatError, InternalError
from semantic.plan.build import tables_of
from semantic.plan.lineage import is_typed
from semantic.plan.nodes import Aggregate, Attachment, Rolled
from semantic.plan.rollup import RollupDefinition, define_rollup
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import DimensionUse, Use
from semantic.query.context import SecurityContext

_ALIAS: Final = "_m"
_DISTINCT: Final = frozenset({"count_distinct", "count_distinct_approx"})
_NOBODY: Final = SecurityContext()


@dataclass(frozen=True, slots=True)
class RollupBuild:
    """How to make the table of a rollup, for one time zone.

    `definition` is a digest of the SELECT `sql`, which has no parameters and reads `tables`. `time`
    is the column by which it is cut into parts of the length `partition`, a TIMESTAMP without zone.
    `sums` are columns that DuckDB makes 128 bits wide; where all values fit into 64 they may be stored
    so: it is the same to whoever sums them, and twice as fast. With a `problem` there is no SELECT: no table can stand for the rows.
    """

    name: str
    timezone: str
    definition: str
    sql: str
    tables: tuple[str, ...]
    time: str | None
    partition: str | None
    problem: str | None
    scheduled: bool = True
    sums: tuple[str, ...] = ()


def rollup_builds(
    catalog: Catalog, timezones: Sequence[str], statistics: Statistics = UNKNOWN
) -> tuple[RollupBuild, ...]:
    """Return how to make every rollup of the model; those that need no time zone come once."""
    found = []
    for cube in catalog.cubes.values():
        for item in cube.pre_aggregations:
            name = f"{cube.name}.{item.name}"
            try:
                definition = define_rollup(catalog, cube, item, statistics)
                zones = tuple(timezones) if definition.local else ("UTC",)
                builds = [_build(catalog, definition, zone) for zone in zones]
            except DucatError as refused:
                why = str(refused)
                builds = [RollupBuild(name, "UTC", "", "", (), None, None, why)]
            found += [
                dataclasses.replace(build, scheduled=item.scheduled_refresh) for build in builds
            ]
    return tuple(found)


def _build(catalog: Catalog, definition: RollupDefinition, timezone: str) -> RollupBuild:
    sql = write_definition(catalog, definition, timezone)
    time = partition = None
    if definition.partition is not None:
        place, partition = definition.partition
        time = key_column(place)
    problem = None
    if is_volatile(sql):
        problem = "its SQL says something else each time that it runs"
    return RollupBuild(
        name=definition.name,
        timezone=timezone,
        definition=digest(sql),
        sql="" if problem else sql,
        tables=tables_of(catalog, (definition.rows,)),
        time=time,
        partition=partition,
        problem=problem,
        sums=tuple(
            value_column(place)
            for place, leaf in enumerate(definition.leaves)
            if leaf.type in {"sum", "avg"}
        ),
    )


def digest(sql: str) -> str:
    """Return what tells one definition from another."""
    return hashlib.sha256(sql.encode()).hexdigest()[:32]


def write_definition(catalog: Catalog, definition: RollupDefinition, timezone: str) -> str:
    """Return the SELECT that makes the table: a function of the model alone.

    Raises:
        DucatError: the members cannot be written.
    """
    writer = Writer(catalog, DUCKDB, timezone, {}, _NOBODY)
    scope = Scope(writer, definition.rows, _never_place)
    source = scope.source()
    listed = []
    for place, key in enumerate(definition.keys):
        text = scope.dimension(key.dimension) if key.granularity is None else scope.key(key)
        listed.append(f"{text} AS {key_column(place)}")
    for place, segment in enumerate(definition.segments):
        listed.append(f"{scope.segment(segment)} AS {_segment_column(place)}")
    groups = len(listed)
    for place, leaf in enumerate(definition.leaves):
        listed += _states(scope, leaf, place)
    if not listed:
        raise InternalError(f"the rollup {definition.name} has no members")
    text = f"SELECT {', '.join(listed)} {source}"
    if writer.parameters.values:
        raise InternalError(f"the rollup {definition.name} has parameters")
    if groups:
        text += f" GROUP BY {', '.join(str(place + 1) for place in range(groups))}"
    return text


def _states(scope: Scope, leaf: Measure, place: int) -> list[str]:
    value, number = value_column(place), _number_column(place)
    if not is_typed(leaf):
        if not isinstance(leaf.sql, Expression):
            raise InternalError(f"{leaf.cube}.{leaf.name} has no sql")
        return [f"({scope.expression(leaf.sql)}) AS {value}"]
    if leaf.type == "count" and leaf.sql is None and not leaf.filters:
        return [f"count(*) AS {value}"]
    text = operand(scope, leaf)
    if leaf.type == "avg":
        return [f"sum({text}) AS {value}", f"count({text}) AS {number}"]
    if leaf.type in _DISTINCT:
        return [f"list(DISTINCT {text}) FILTER (WHERE {text} IS NOT NULL) AS {value}"]
    return [f"{aggregate(scope.writer.dialect, leaf.type, text)} AS {value}"]


def _merged(leaf: Measure, place: int) -> str:
    """Return a measure of the groups of rows of the table."""
    value, number = f"{_ALIAS}.{value_column(place)}", f"{_ALIAS}.{_number_column(place)}"
    if not is_typed(leaf):
        return f"any_value({value})"  # one row in each group
    match leaf.type:
        case "count":
            return f"CAST(coalesce(sum({value}), 0) AS BIGINT)"
        case "avg":
            return f"(CAST(sum({value}) AS DOUBLE) / sum({number}))"
        case "sum" | "min" | "max":
            return f"{leaf.type}({value})"
        case "count_distinct" | "count_distinct_approx":
            return f"CAST(coalesce(len(list_distinct(flatten(list({value})))), 0) AS BIGINT)"
        case _:
            raise InternalError(f"{leaf.cube}.{leaf.name} cannot be merged")


def write_rolled(writer: Writer, relation: Rolled, place: Place) -> str:
    """Return the SELECT of an aggregate over the table of a rollup."""
    scope = RolledScope(writer, relation, place)
    keys = relation.keys
    listed = [f"{scope.key(key)} AS {key_column(index)}" for index, key in enumerate(keys)]
    whole, definition = relation.whole, relation.rollup
    if isinstance(whole, Aggregate):
        places = {(leaf.cube, leaf.name): place for place, leaf in enumerate(definition.leaves)}
        listed += [
            f"{_merged(leaf, places[leaf.cube, leaf.name])} AS {value_column(index)}"
            for index, leaf in enumerate(whole.leaves)
        ]
    text = f"SELECT {', '.join(listed) or '1 AS _one'} FROM {relation.table} AS {_ALIAS}"
    text += scope.where()
    if keys:
        text += f" GROUP BY {', '.join(str(index + 1) for index in range(len(keys)))}"
    return text


class RolledScope(Scope):
    """Members over the table of a rollup: its columns stand for what they were computed from."""

    __slots__ = ("_definition",)

    def __init__(self, writer: Writer, relation: Rolled, place: Place) -> None:
        super().__init__(writer, relation.whole.rows, place)
        self._definition = relation.rollup

    def alias(self, cube: str) -> str:
        """Columns of cubes are not there: what reads them was not matched."""
        raise InternalError(f"a rollup has no columns of {cube}")

    def segment(self, segment: Segment) -> str:
        """Return the column that says whether it holds."""
        for place, known in enumerate(self._definition.segments):
            if (known.cube, known.name) == (segment.cube, segment.name):
                return f"{_ALIAS}.{_segment_column(place)}"
        raise InternalError(f"a rollup has no segment {segment.cube}.{segment.name}")

    def operand(self, use: Use) -> Operand:
        """Return a member as a condition compares it: periods by the wall clock."""
        if isinstance(use, DimensionUse):
            cut = self._cut(use.dimension, None)
            if cut is not None:
                return Operand(cut, "time", local=True)
        return super().operand(use)

    def _period(self, dimension: Dimension, granularity: str | None) -> str:
        cut = self._cut(dimension, granularity)
        if cut is None:
            return super()._period(dimension, granularity)
        place = self._definition.find_cut(dimension, granularity)
        known = None if place is None else self._definition.keys[place]
        if known is not None and known.granularity == granularity:
            return cut
        return self.cut(dimension, granularity, cut)

    def _cut(self, dimension: Dimension, granularity: str | None) -> str | None:
        """Return the column of the periods of a time, shifted; None when it is there as stored."""
        place = self._definition.find_cut(dimension, granularity)
        if place is None:
            return None
        exact = self._definition.keys[place].granularity == granularity
        if not exact and self._definition.find_plain(dimension) is not None:
            return None
        return self._shifted(dimension, f"{_ALIAS}.{key_column(place)}")

    def _stored(self, dimension: Dimension) -> str:
        place = self._definition.find_plain(dimension)
        if place is None:
            raise InternalError(f"a rollup has no {dimension.cube}.{dimension.name}")
        return f"{_ALIAS}.{key_column(place)}"


def _segment_column(place: int) -> str:
    return f"_s{place}"


def _number_column(place: int) -> str:
    return f"_n{place}"


def _never_place(attachment: Attachment) -> Placed:
    raise InternalError(f"{attachment.dimension.cube}.{attachment.dimension.name} is computed")
