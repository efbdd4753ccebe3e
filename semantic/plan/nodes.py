"""How to answer, in business names: a tree of relations, each with its groups and its measures.

    Plan = relation → keep groups → order → offset, limit

A *relation* has one row for each of its groups: group keys, then the values of measures. The rules
that it follows are in ARCHITECTURE.md ("What a query means").

- `Aggregate` reads `Rows` (a cube and the joins outward from it) and aggregates its measures, each
  row of the cube once in each group.
- `Coarsen` is an `Aggregate` that groups rows by few stored values first: the same, sooner.
- `Groups` are the groups of rows, without measures.
- `Rolled` is one of these two, read from a table that was computed ahead.
- `Merge` puts relations of the same groups together; what one of them lacks is empty.
- `Regroup`, `Spread`, `Rank` and `Compute` are the outer stages of multi-stage measures.
- `Series`, `Roll` and `Periods` make rolling windows.
- `SemiAdditive` aggregates the rows at the first or last time, `Spine` has the periods without rows,
  `Conversions` sets conversions beside the events that led to them.

Calculated measures have no place in relations: they are arithmetic over the values of a relation,
written where they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from semantic.catalog.catalog import Dimension, Expression, Join, Measure
from semantic.plan.candidates import RollupNote
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundColumn, BoundOrder, Condition

if TYPE_CHECKING:
    from semantic.plan.rollup import RollupDefinition

MeasureName = tuple[str, str]
"""Cube and measure."""


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What rows are grouped by: a dimension, a time cut to a granularity."""

    dimension: Dimension
    path: tuple[str, ...]
    granularity: str | None = None

    @property
    def name(self) -> tuple[str, str, str | None]:
        """What tells keys apart."""
        return (self.dimension.cube, self.dimension.name, self.granularity)


@dataclass(frozen=True, slots=True)
class Shift:
    """Moves a time dimension: what lies `sign` x `interval` away stands here.

    `moved` is set for calendars: the column that says where, in place of the calendar's key.
    """

    cube: str
    member: str
    interval: str | None
    sign: Literal[1, -1]
    moved: Expression | None = None
    calendar: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """LEFT JOIN `target`; `multiplies` when one row may then find several."""

    source: str
    target: str
    join: Join
    multiplies: bool


@dataclass(frozen=True, slots=True)
class Attachment:
    """A relation with one row per `keys`, joined once `after` is: values of a computed dimension.

    `dimension` is the sub-query or multi-stage dimension whose measures it holds.
    """

    dimension: Dimension
    relation: Relation
    keys: tuple[GroupKey, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """A cube's rows, joined outward, never losing a row of it, that pass the conditions.

    `guards` are conditions of access policies: about the real rows, whatever is masked or shifted.
    """

    cube: str
    steps: tuple[Step, ...]
    conditions: tuple[Condition, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    shifts: tuple[Shift, ...] = ()
    switches: tuple[Dimension, ...] = ()  # without SQL: each row stands once for each value
    guards: tuple[Condition, ...] = ()

    @property
    def cubes(self) -> tuple[str, ...]:
        """Every cube that is read."""
        return (self.cube, *(step.target for step in self.steps))

    @property
    def multiplying(self) -> tuple[Step, ...]:
        """The joins that may repeat the rows of the cube."""
        return tuple(step for step in self.steps if step.multiplies)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Measures of `rows.cube`. `distinct`: count each of its keys once in a group.

    `own` are the cube's rows with what its measures read, when an aggregate written in SQL has to
    be evaluated on the distinct keys.
    """

    rows: Rows
    keys: tuple[GroupKey, ...]
    leaves: tuple[Measure, ...]
    distinct: bool = False
    own: Rows | None = None

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """What it holds, in order."""
        return tuple((leaf.cube, leaf.name) for leaf in self.leaves)


@dataclass(frozen=True, slots=True)
class Link:
    """A join that groups are given: their column `source` equals `target` of the joined cube."""

    step: Step
    source: Expression
    target: Expression


@dataclass(frozen=True, slots=True)
class Coarsen:
    """`whole` in two steps: rows by few stored values, then these groups by the keys.

    The first step reads `rows`, which lack the joins that only keys need, and groups them by the
    `kept` keys, by the stored value of `times`, and by what the `links` compare. Those joins come
    then, `links` first. `later` are the places of conditions on shifted `times`, held in between.
    With `unjoined` the groups are those of the first step: `links` compare with nothing but the keys,
    and whoever reads the groups looks for keys that there are.
    """

    whole: Aggregate
    rows: Rows
    kept: tuple[GroupKey, ...]
    times: tuple[Dimension, ...]
    links: tuple[Link, ...]
    steps: tuple[Step, ...]
    later: tuple[int, ...]
    unjoined: bool = False

    @property
    def keys(self) -> tuple[GroupKey, ...]:
        """Those of the whole."""
        return self.whole.keys

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """What the whole holds."""
        return self.whole.measures


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of rows."""

    rows: Rows
    keys: tuple[GroupKey, ...]

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Rolled:
    """`whole`, from the table of a rollup that says the same (see `rollup.py`)."""

    whole: Aggregate | Groups
    rollup: RollupDefinition
    table: str

    @property
    def keys(self) -> tuple[GroupKey, ...]:
        """Those of the whole."""
        return self.whole.keys

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """What the whole holds."""
        return self.whole.measures


@dataclass(frozen=True, slots=True)
class Merge:
    """Relations of the same keys, put together null-safe.

    `fills`: a measure that a group lacks takes the value of its aggregate over no rows; otherwise
    it is null.
    """

    parts: tuple[Relation, ...]
    keys: tuple[GroupKey, ...]
    fills: bool

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """What its parts hold."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.measures))


@dataclass(frozen=True, slots=True)
class Regroup:
    """The outer stage over finer groups: `measure` aggregates its SQL over the rows of `source`.

    With `plain`, the rows of the source are not aggregated: one row stays for each of them.
    """

    source: Relation
    keys: tuple[GroupKey, ...]
    measure: Measure
    plain: bool = False

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """The one measure."""
        return ((self.measure.cube, self.measure.name),)


@dataclass(frozen=True, slots=True)
class Spread:
    """The outer stage over coarser groups: the value of `source` stands in each part of its group.

    `groups` says which groups there are.
    """

    source: Relation
    groups: Relation
    keys: tuple[GroupKey, ...]
    measure: Measure

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """The one measure."""
        return ((self.measure.cube, self.measure.name),)


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of a group among those with the same `within`."""

    source: Relation
    keys: tuple[GroupKey, ...]
    within: tuple[GroupKey, ...]
    measure: Measure

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """The one measure."""
        return ((self.measure.cube, self.measure.name),)


@dataclass(frozen=True, slots=True)
class Bounds:
    """First and last time of the rows: one row with both."""

    rows: Rows
    time: GroupKey


@dataclass(frozen=True, slots=True)
class Series:
    """Periods of a time dimension, one after the other: where each begins and ends.

    From `start` to `end` (local wall clock texts, end exclusive), or where `bounds` says.
    `calendar` reads them from the rows of a calendar cube, whose granularity is SQL.
    """

    time: GroupKey
    start: str | None
    end: str | None
    bounds: Bounds | None
    calendar: Rows | None = None


@dataclass(frozen=True, slots=True)
class Roll:
    """For each period, `leaf` over the rows whose time lies in the window of the period.

    `source` has either raw rows of the cube (`Rows`), or a relation at the finer key `time`.
    `keys` contain keys of the rolling time (from the periods) and others (from the rows). Where
    every window is made of whole `parts` (a granularity), rows are aggregated by them first.
    """

    source: Rows | Relation
    series: Series
    time: GroupKey
    keys: tuple[GroupKey, ...]
    measure: Measure
    parts: str | None = None

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """The one measure."""
        return ((self.measure.cube, self.measure.name),)


@dataclass(frozen=True, slots=True)
class SemiAdditive:
    """`leaf` over the rows whose `time` is the last (or first) of its part.

    The parts are the rows of one combination of `within`. `distinct` as in `Aggregate`.
    """

    rows: Rows
    keys: tuple[GroupKey, ...]
    leaf: Measure
    time: GroupKey
    within: tuple[GroupKey, ...]
    last: bool
    distinct: bool = False

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """The one measure."""
        return ((self.leaf.cube, self.leaf.name),)


@dataclass(frozen=True, slots=True)
class Spine:
    """A group for each period of the series in which no group of `sources` lies.

    Its other keys are null. A series without start and end lasts from the first to the last period
    of the sources.
    """

    sources: tuple[Relation, ...]
    keys: tuple[GroupKey, ...]
    series: Series

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Conversions:
    """`measure` in the groups of `base`, the relation of its base measure.

    `events` are the base events with these keys, `converted` the conversions: each belongs to the
    latest of the events that could have led to it.
    """

    base: Relation
    events: Rows
    converted: Rows
    keys: tuple[GroupKey, ...]
    measure: Measure

    @property
    def measures(self) -> tuple[MeasureName, ...]:
        """The one measure."""
        return ((self.measure.cube, self.measure.name),)


Relation = (
    Aggregate
    | Coarsen
    | Groups
    | Rolled
    | Merge
    | Regroup
    | Spread
    | Rank
    | Roll
    | SemiAdditive
    | Spine
    | Conversions
)


@dataclass(frozen=True, slots=True)
class Ungrouped:
    """The joined rows themselves: dimensions, and measures as the value of their row."""

    rows: Rows
    leaves: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer. `calculated` are the measures that are arithmetic over others.

    `limit` is the number of rows to fetch; `tables` are the physical tables that are read, by a
    rollup too. `statistics` are those that it was made by; `notes` say what became of each rollup.
    """

    source: Relation | Ungrouped
    columns: tuple[BoundColumn, ...]
    calculated: Mapping[MeasureName, Measure]
    groups: tuple[Condition, ...]
    order: tuple[BoundOrder, ...]
    limit: int | None
    offset: int
    timezone: str
    tables: tuple[str, ...]
    masks: Mapping[tuple[str, str], Condition | None]
    statistics: Statistics = UNKNOWN
    notes: tuple[RollupNote, ...] = ()
