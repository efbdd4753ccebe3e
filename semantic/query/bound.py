"""A query whose names are members of the catalog and whose values have types.

Views are gone here: every use of a member names a cube's member and the path of joins by which the
view reaches it; only the columns keep the names that were asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from semantic.catalog.catalog import Catalog, Dimension, Measure, Segment
from semantic.query.dates import Instant, Interval
from semantic.query.query import Query

Value = str | bool | int | float | Decimal | datetime | Instant
Pattern = Literal["contains", "startsWith", "endsWith"]
Comparator = Literal[">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class DimensionUse:
    """A cube's dimension.

    `path` leads from a view's root (or the first cube that the caller wrote) to its cube, roles by
    their names; or it is that cube alone, and the shortest joins are meant.
    """

    dimension: Dimension
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasureUse:
    """A cube's measure, reached by `path`."""

    measure: Measure
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SegmentUse:
    """A cube's segment, reached by `path`."""

    segment: Segment
    path: tuple[str, ...]


Use = DimensionUse | MeasureUse


@dataclass(frozen=True, slots=True)
class IsNull:
    """The member is null, or (`negated`) is not."""

    use: Use
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """The member equals one of the values, or is null when `null` was among them.

    Negated: it equals none of them; a null passes, unless `null` was among them.
    """

    use: Use
    values: tuple[Value, ...]
    null: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """The member's text contains, starts or ends with one of the values, ignoring case.

    Nulls behave as in `OneOf`.
    """

    use: Use
    pattern: Pattern
    values: tuple[str, ...]
    null: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class Compares:
    """The member is greater or less than one of the values."""

    use: Use
    comparator: Comparator
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """The time lies in the half-open interval; None is unbounded. Negated: outside, or null."""

    use: Use
    start: Instant | None
    end: Instant | None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InSegment:
    """The segment's condition holds."""

    use: SegmentUse


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


Condition = IsNull | OneOf | Matches | Compares | Within | InSegment | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Guard:
    """What access policies demand of rows: it holds of the real rows, unmasked and unshifted.

    `cubes` are those that it protects: where their rows are read it must hold, or be refused.
    """

    condition: Condition
    cubes: frozenset[str]


@dataclass(frozen=True, slots=True)
class BoundColumn:
    """A column of the answer, labelled as the caller's cube or view labels it."""

    name: str
    member: str
    use: Use
    granularity: str | None  # a built-in one, or one that the dimension defines
    title: str
    short_title: str
    description: str | None
    format: str | None
    currency: str | None

    @property
    def is_measure(self) -> bool:
        """Whether the column aggregates; the others are what it is grouped by."""
        return isinstance(self.use, MeasureUse)


@dataclass(frozen=True, slots=True)
class BoundOrder:
    """A sort key: the index of a column, or a measure that only a filter mentions."""

    key: int | MeasureUse
    descending: bool


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """A query that can be answered.

    `columns`: dimensions, then time dimensions with a granularity, then measures. `rows` are the
    conditions on rows (dimensions, segments, date ranges), `groups` those on measures. `guards` are
    the conditions of access policies on the rows of the query, in all of its stages; `inner` those
    on the rows that a sub-query dimension reads, by that dimension. `ranges`
    are the date ranges as they were understood. `defaulted` is True when the limit is ours. `joins`
    are ways that the joins must go (Cube's `joinHints`), as paths of cubes. `masks` are members
    whose mask is shown instead, but in the rows for which the condition (if any) holds. `ungrouped`
    asks for rows, not groups. `now` is what relative dates of the model count from. `catalog` is what
    it is to be planned with: the model, with the measures that the query makes.
    """

    query: Query
    catalog: Catalog
    columns: tuple[BoundColumn, ...]
    rows: tuple[Condition, ...]
    groups: tuple[Condition, ...]
    ranges: tuple[Interval | None, ...]
    order: tuple[BoundOrder, ...]
    limit: int | None
    defaulted: bool
    offset: int
    timezone: str
    now: datetime
    ungrouped: bool = False
    joins: tuple[tuple[str, ...], ...] = ()
    masks: Mapping[tuple[str, str], Condition | None] = field(
        default_factory=lambda: MappingProxyType({})
    )
    guards: tuple[Guard, ...] = ()
    inner: Mapping[tuple[str, str], tuple[Guard, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    apart: tuple[Condition, ...] = ()  # of access policies, on rows that are read apart

    @property
    def grouping(self) -> tuple[BoundColumn, ...]:
        """The columns that a row of the answer stands for."""
        return tuple(column for column in self.columns if not column.is_measure)
