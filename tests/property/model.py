"""A small description of tables and models, from which both the YAML and the evaluator's view come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final, Literal

from tests.property.expressions import Constant, Expression, Member
from tests.property.queries import Filter
from tests.property.roles import make_roles, way_to
from tests.property.values import Row, Value

Relationship = Literal["one_to_one", "one_to_many", "many_to_one"]
DimensionType = Literal["string", "number", "boolean", "time", "switch"]
MeasureType = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "number", "string", "boolean", "rank"
]


NOTHING: Final = Constant(None)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: columns with their SQL types, and rows in the order of the columns."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Value, ...], ...]

    def read(self) -> list[Row]:
        """Return the rows by column."""
        names = [name for name, _ in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Case:
    """Conditions and their labels; a label is a text or an expression."""

    branches: tuple[tuple[Expression, str | Expression], ...]
    otherwise: str | Expression | None


@dataclass(frozen=True, slots=True)
class Granularity:
    """Periods of `amount` units: from `origin` on, or by the calendar and `offset` later.

    With `sql`, each row of a calendar says where its period begins.
    """

    name: str
    amount: int
    unit: str
    origin: date | None = None
    offset: tuple[int, str] | None = None
    sql: Expression | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """Which day of a calendar stands for another: the column that says it, for one shift."""

    amount: int
    unit: str
    prior: bool
    column: Expression


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is in it sees the rows for which all filters hold, and `masked` members as their masks."""

    filters: tuple[Filter, ...]
    masked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension. With `sub_query`, `sql` is about measures, which are grouped by the cube's key.

    With `propagates`, the conditions of the query hold for these measures too. A switch has `values`
    and no SQL: rows stand once for each of them.
    """

    name: str
    type: DimensionType
    sql: Expression | Case
    primary_key: bool = False
    sub_query: bool = False
    propagates: bool = False
    granularities: tuple[Granularity, ...] = ()
    values: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()
    mask: Expression = NOTHING


@dataclass(frozen=True, slots=True)
class Switch:
    """What a measure of stages is, by the value of a dimension."""

    by: Member
    branches: tuple[tuple[str, Member], ...]
    otherwise: Member | None


Reach = tuple[int, str] | Literal["unbounded"]
"""An amount of a unit, or no bound."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rolling window; with `to_date`, from the beginning of that period."""

    trailing: Reach | None = None
    leading: Reach | None = None
    offset: Literal["start", "end"] = "end"
    to_date: str | None = None


@dataclass(frozen=True, slots=True)
class TimeShift:
    """How a stage moves a time dimension, or all of the query: to what was `prior`, or comes next."""

    member: str | None
    amount: int
    unit: str
    prior: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """What a multi-stage measure changes for its inner stage: groups, conditions, times.

    `excludes` and `keeps` name members whose conditions it lifts, or alone keeps; `includes` are
    conditions more; `fixed`: it begins with those of the query. `ranks` is what a rank is ordered by.
    """

    group_by: tuple[str, ...] | None = None
    reduce_by: tuple[str, ...] = ()
    add_group_by: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    keeps: tuple[str, ...] | None = None
    includes: tuple[Filter, ...] = ()
    fixed: bool = False
    ranks: tuple[tuple[Expression, bool], ...] = ()
    shift: TimeShift | None = None


@dataclass(frozen=True, slots=True)
class SemiAdditive:
    """Only rows of the last (or first) time count, by its periods if there is a `period`."""

    time: Member
    last: bool
    period: str | None = None
    groupings: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure. `values` is the type of what it returns, `fill` stands for null in groups.

    `spined`: periods without a group are groups.
    """

    name: str
    type: MeasureType
    sql: Expression | Switch | None
    filters: tuple[Expression, ...] = ()
    values: DimensionType = "number"
    window: Window | None = None
    stage: Stage | None = None
    semi: SemiAdditive | None = None
    fill: int | None = None
    spined: bool = False
    mask: Value = None
    made_of: str = ""  # by a query, of this measure


@dataclass(frozen=True, slots=True)
class Segment:
    """A named condition on rows."""

    name: str
    sql: Expression


@dataclass(frozen=True, slots=True)
class Join:
    """A join as its cube declares it. With a `base`, the target is that cube in a role."""

    target: str
    relationship: Relationship
    on: Expression
    base: str = ""


@dataclass(frozen=True, slots=True)
class Cube:
    """A cube over the rows of a table for which `where` holds.

    With `policies` the caller sees a row when all filters of one of them hold; a member that some of
    them mask, for real in the rows of the others.
    """

    name: str
    table: str
    where: Expression | None = None
    dimensions: tuple[Dimension, ...] = ()
    measures: tuple[Measure, ...] = ()
    segments: tuple[Segment, ...] = ()
    joins: tuple[Join, ...] = ()
    policies: tuple[Policy, ...] = ()
    calendar: bool = False

    @property
    def hides(self) -> bool:
        """Whether the caller may not see all rows."""
        return bool(self.policies) and all(policy.filters for policy in self.policies)

    def masks(self, name: str) -> bool:
        """Whether the caller may see a member's mask, at least in some rows."""
        if not any(name in policy.masked for policy in self.policies):
            return False
        return all(name in policy.masked or policy.filters for policy in self.policies)

    @property
    def key(self) -> tuple[Dimension, ...]:
        """The dimensions that identify a row; none when rows may repeat."""
        return tuple(item for item in self.dimensions if item.primary_key)


@dataclass(frozen=True, slots=True)
class ViewPart:
    """The members of the cube at the end of a path, under names that begin with `prefix`."""

    path: tuple[str, ...]
    prefix: str = ""
    includes: tuple[str, ...] | None = None

    def holds(self, name: str) -> bool:
        """Whether the part shows the cube's member."""
        return self.includes is None or name in self.includes


@dataclass(frozen=True, slots=True)
class View:
    """A view: parts that start at one root."""

    name: str
    parts: tuple[ViewPart, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A member of a cube as a query names it: directly, or by a view's path."""

    cube: str
    item: Dimension | Measure | Segment
    path: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Tables, declared cubes and views, and the measures that a query makes of theirs."""

    tables: tuple[Table, ...]
    cubes: tuple[Cube, ...]
    views: tuple[View, ...] = ()
    made: tuple[tuple[str, Place], ...] = ()  # by a query

    @cached_property
    def every(self) -> tuple[Cube, ...]:
        """The cubes, and their roles."""
        return (*self.cubes, *make_roles(self.cubes))

    @cached_property
    def cube(self) -> Mapping[str, Cube]:
        """The cubes and roles by name."""
        return {cube.name: cube for cube in self.every}

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Every name that a query may use."""
        found = {
            f"{cube.name}.{item.name}": Place(cube.name, item, way_to(cube.name))
            for cube in self.every
            for item in items_of(cube)
        }
        for view in self.views:
            for part in view.parts:
                cube = self.cube[part.path[-1]]
                found.update(
                    (f"{view.name}.{part.prefix}{item.name}", Place(cube.name, item, part.path))
                    for item in items_of(cube)
                    if part.holds(item.name)
                )
        found.update(self.made)
        return found

    def item(self, cube: str, name: str) -> Dimension | Measure | Segment:
        """Return a member."""
        return self.places[f"{cube}.{name}"].item


def items_of(cube: Cube) -> Iterator[Dimension | Measure | Segment]:
    """Yield a cube's members."""
    yield from cube.dimensions
    yield from cube.measures
    yield from cube.segments
