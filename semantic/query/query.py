"""What was asked: names only, no meaning yet.

`Query` is the one request form. REST JSON, GraphQL and SQL are spellings of it; nothing after
this file knows which of them was used. Member names are written `cube.member`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

DEFAULT_LIMIT: Final = 10_000
MAXIMUM_LIMIT: Final = 50_000

Operator = Literal[
    "equals",
    "notEquals",
    "contains",
    "notContains",
    "startsWith",
    "notStartsWith",
    "endsWith",
    "notEndsWith",
    "in",
    "notIn",
    "gt",
    "gte",
    "lt",
    "lte",
    "set",
    "notSet",
    "inDateRange",
    "notInDateRange",
    "onTheDate",
    "beforeDate",
    "beforeOrOnDate",
    "afterDate",
    "afterOrOnDate",
    "measureFilter",
]


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """A comparison of one member. A None among `values` is a null that was asked for.

    `measureFilter` has no values: the rows that the measure counts (drill-down asks it).
    """

    member: str
    operator: Operator
    values: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class AndFilter:
    """All of the parts hold."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class OrFilter:
    """At least one of the parts holds."""

    parts: tuple[Filter, ...]


Filter = MemberFilter | AndFilter | OrFilter


@dataclass(frozen=True, slots=True)
class TimeDimension:
    """A time member, cut to a granularity, limited to a range, or both.

    `date_range` is one relative text ("last 7 days"), or a start and an end as written.
    """

    dimension: str
    granularity: str | None = None
    date_range: str | tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key."""

    member: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class MaskedMember:
    """A member whose mask is to be shown, but in the rows that `unless` lets through."""

    member: str
    unless: Filter | None = None


@dataclass(frozen=True, slots=True)
class ShiftedMeasure:
    """A measure as it was an interval earlier (prior) or later (next), for the same groups.

    `name` is what the answer calls it; it stands among the measures of the query. Without a
    `time_dimension` the one of the query is moved.
    """

    name: str
    measure: str
    interval: str
    direction: Literal["prior", "next"] = "prior"
    time_dimension: str | None = None


Comparison = Literal["previous", "change", "change_percent"]


@dataclass(frozen=True, slots=True)
class Compare:
    """Sets beside measures what they were earlier, and how they changed.

    `to` is an interval ("1 year") or "previous period". `measures` None means all of the query.
    """

    to: str
    time_dimension: str | None = None
    measures: tuple[str, ...] | None = None
    show: tuple[Comparison, ...] = ("previous", "change", "change_percent")


@dataclass(frozen=True, slots=True)
class Query:
    """A request for members. `order` None means the default order, () means none.

    `limit` None means the default limit of the face that asked. `unlimited` is for internal
    callers that must see every row (an outer aggregate, a total).
    """

    measures: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    time_dimensions: tuple[TimeDimension, ...] = ()
    filters: tuple[Filter, ...] = ()
    segments: tuple[str, ...] = ()
    order: tuple[Order, ...] | None = None
    limit: int | None = None
    offset: int = 0
    timezone: str = "UTC"
    total: bool = False
    ungrouped: bool = False
    unlimited: bool = field(default=False)
    join_hints: tuple[tuple[str, ...], ...] = ()
    masked_members: tuple[MaskedMember, ...] = ()
    shifted: tuple[ShiftedMeasure, ...] = ()
    compare: Compare | None = None
