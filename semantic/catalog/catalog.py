"""All definitions, linked: an immutable value with a version.

Everything a request looks up is a dictionary access here, so the cost of a query does not grow
with the model. SQL snippets are kept as parsed `Expression`s: the text between the references,
and the references as resolved names. sqlglot has parsed, checked and rendered them once, at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from semantic.catalog.join_graph import JoinGraph
from semantic.errors import Span

if TYPE_CHECKING:
    from semantic.catalog.alerts import Alert
    from semantic.catalog.policy import AccessPolicy
    from semantic.catalog.pre_aggregation import PreAggregation

MeasureType = Literal[
    "count",
    "count_distinct",
    "count_distinct_approx",
    "sum",
    "avg",
    "min",
    "max",
    "number",
    "number_agg",
    "string",
    "time",
    "boolean",
    "rank",
]
DimensionType = Literal["string", "number", "boolean", "time", "geo", "switch"]
Relationship = Literal["one_to_one", "one_to_many", "many_to_one"]


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """`{CUBE}` or `{cube}`: stands for the alias of that cube's relation; a `.column` follows."""

    cube: str


@dataclass(frozen=True, slots=True)
class MemberReference:
    """`{CUBE.member}`, `{member}`, `{other.member}`: stands for that member's own SQL.

    `{orders.customer.city}` keeps the way: `path` is then every cube from the first to the owner,
    roles by their names: ("orders", "orders.customer"). Without a path the shortest joins are meant.
    """

    cube: str
    member: str
    granularity: str | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CubeSource:
    """`{cube.sql()}`: stands for the cube's `sql`, or its table, as a sub-select in brackets."""

    cube: str


@dataclass(frozen=True, slots=True)
class Argument:
    """The value number `index` of a filter, inside the template of a `FilterParameter`."""

    index: int


@dataclass(frozen=True, slots=True)
class FilterParameter:
    """`FILTER_PARAMS.cube.member.filter(...)`: the query's filters on the member, else `1 = 1`.

    `template` is the SQL of the column that is compared, when a text was given; with a lambda it
    is the condition itself, with an `Argument` wherever the lambda uses one of its parameters.
    """

    cube: str
    member: str
    template: tuple[TemplatePart, ...]
    is_lambda: bool = False


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """`FILTER_GROUP(...)`: its parameters, connected by AND and OR as the query connects them."""

    parameters: tuple[FilterParameter, ...]


@dataclass(frozen=True, slots=True)
class LocalTime:
    """`SQL_UTILS.convertTz(expression)`: a UTC time as the query's wall clock shows it."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class ContextValue:
    """`COMPILE_CONTEXT.securityContext.a.b`: a value of the caller's claims, always bound."""

    path: tuple[str, ...]


TemplatePart = str | ColumnReference | Argument
ExpressionPart = (
    str
    | ColumnReference
    | MemberReference
    | CubeSource
    | FilterParameter
    | FilterGroup
    | LocalTime
    | ContextValue
)


@dataclass(frozen=True, slots=True)
class Expression:
    """One `sql:` snippet: text parts (already in the engine's dialect) and references, in order."""

    parts: tuple[ExpressionPart, ...]
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class CaseBranch:
    """One `when` of a case dimension."""

    condition: Expression
    label: str | Expression


@dataclass(frozen=True, slots=True)
class CaseExpression:
    """A dimension's `case`: the first branch whose condition holds, else `otherwise`."""

    branches: tuple[CaseBranch, ...]
    otherwise: str | Expression | None


@dataclass(frozen=True, slots=True)
class SwitchBranch:
    """One `when` of a `case` with `switch`: the values that lead here, and the SQL."""

    values: tuple[str, ...]
    sql: Expression


@dataclass(frozen=True, slots=True)
class SwitchExpression:
    """A `case` with `switch`: chooses by the value of a dimension."""

    switch: MemberReference
    branches: tuple[SwitchBranch, ...]
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Granularity:
    """A custom granularity of one time dimension.

    Either `interval` with `offset` or `origin`, or (`sql`) the begin of the period a row lies in.
    A calendar cube may redefine a built-in one: then `name` is, say, "month".
    """

    name: str
    title: str
    interval: str | None
    offset: str | None = None
    origin: str | None = None
    sql: Expression | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Mask:
    """What a masked member shows: a literal (None is null), or SQL."""

    value: str | int | float | bool | None = None
    sql: Expression | None = None


@dataclass(frozen=True, slots=True)
class CalendarShift:
    """A time shift that a calendar's time dimension defines: found by `name`, or by interval.

    `sql` is the shifted time of the row; without it the interval is subtracted or added.
    """

    name: str | None
    interval: str | None
    direction: Literal["prior", "next"] | None
    sql: Expression | None


@dataclass(frozen=True, slots=True)
class Link:
    """A link that a dimension offers: to a URL (SQL) or a dashboard."""

    name: str
    label: str
    url: Expression | None
    dashboard: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    icon: str | None = None
    target: Literal["blank", "self"] | None = None


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """`rolling_window`. A bound of None is the row's own period; intervals as "7 day"."""

    kind: Literal["fixed", "to_date"]
    trailing: str | None = None  # an interval, or "unbounded"
    leading: str | None = None
    offset: Literal["start", "end"] = "end"
    granularity: str | None = None  # of to_date


@dataclass(frozen=True, slots=True)
class Grain:
    """`grain`, `group_by`, `reduce_by`, `add_group_by`: what the inner stage is grouped by.

    relative: the query's groups, only those in `keep_only` (when given), without `exclude`, plus
    `include`. fixed: `keep_only` and `include` whatever the outer stage is grouped by.
    """

    mode: Literal["relative", "fixed"] = "relative"
    keep_only: tuple[MemberReference, ...] | None = None
    exclude: tuple[MemberReference, ...] = ()
    include: tuple[MemberReference, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterTerm:
    """A filter written in the model. None among `values` is null."""

    member: MemberReference
    operator: str
    values: tuple[str | None, ...]
    unless: tuple[MemberReference, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterTree:
    """Filters of the model that all hold ("and") or of which one holds ("or")."""

    word: Literal["and", "or"]
    parts: tuple[ModelFilter, ...]


ModelFilter = FilterTerm | FilterTree


@dataclass(frozen=True, slots=True)
class FilterDirective:
    """`filter` of a multi-stage measure: the filters of its inner stage.

    relative: those around it without `exclude` (or only `keep_only`), plus `include`. fixed: those
    of the query itself so changed, whatever stages stand between.
    """

    mode: Literal["relative", "fixed"] = "relative"
    keep_only: tuple[MemberReference, ...] | None = None  # members and segments
    exclude: tuple[MemberReference, ...] = ()
    include: tuple[ModelFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeShift:
    """One `time_shift`: `interval` and `direction`, or the `name` of a calendar's shift.

    `time_dimension` None shifts every time dimension of the query.
    """

    interval: str | None
    direction: Literal["prior", "next"] | None
    name: str | None = None
    time_dimension: MemberReference | None = None


@dataclass(frozen=True, slots=True)
class RankKey:
    """One `order_by` of a rank."""

    sql: Expression
    descending: bool


@dataclass(frozen=True, slots=True)
class MultiStage:
    """What `multi_stage: true` unlocks on a measure."""

    grain: Grain | None = None
    filter: FilterDirective | None = None
    time_shifts: tuple[TimeShift, ...] = ()
    order_by: tuple[RankKey, ...] = ()


@dataclass(frozen=True, slots=True)
class NonAdditive:
    """Only rows at the last (or first) `time` count, of each combination of `groupings`."""

    time: MemberReference
    last: bool
    groupings: tuple[MemberReference, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One side of a conversion: what counts its events, whose they are and when they happen."""

    measure: MemberReference
    entity: MemberReference
    time: MemberReference
    properties: tuple[MemberReference, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """Base events and conversions; `window` as "7 day", None is unlimited.

    `rate`: conversions for each base event, else their number. `properties` of both sides are
    compared pairwise.
    """

    base: Event
    converted: Event
    window: str | None = None
    rate: bool = True


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension of a cube. `name` is the short name; the full name is `cube.name`."""

    cube: str
    name: str
    type: DimensionType
    sql: Expression | CaseExpression | SwitchExpression | None
    title: str
    short_title: str
    description: str | None = None
    public: bool = True
    primary_key: bool = False
    format: str | None = None
    currency: str | None = None
    granularities: tuple[Granularity, ...] = ()
    latitude: Expression | None = None
    longitude: Expression | None = None
    sub_query: bool = False  # `sql` names a measure of another cube: its value for each row
    propagate_filters: bool = False  # the query's filters hold in the sub-query too
    multi_stage: Grain | None = None  # `sql` names measures, at the query's groups plus `include`
    values: tuple[str, ...] = ()  # of a switch without sql
    time_shifts: tuple[CalendarShift, ...] = ()
    links: tuple[Link, ...] = ()
    mask: Mask | None = None
    suggest_filter_values: bool = True
    order: Literal["asc", "desc"] | None = None
    aliases: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None
    link_label: str | None = None  # of `format: {type: link, label}`


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of a cube. `sql` is None for a plain count and for a rank."""

    cube: str
    name: str
    type: MeasureType
    sql: Expression | SwitchExpression | None
    title: str
    short_title: str
    description: str | None = None
    public: bool = True
    filters: tuple[Expression, ...] = ()
    format: str | None = None
    currency: str | None = None
    drill_members: tuple[str, ...] = ()
    drill_filters: tuple[Expression, ...] = ()
    rolling_window: RollingWindow | None = None
    multi_stage: MultiStage | None = None
    mask: Mask | None = None
    aliases: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None
    non_additive: NonAdditive | None = None
    fill_nulls_with: int | float | None = None  # what stands for null in a group
    join_to_timespine: bool = False  # grouped by time, every period is a group
    conversion: Conversion | None = None  # of a number without sql


@dataclass(frozen=True, slots=True)
class Segment:
    """A named condition of a cube."""

    cube: str
    name: str
    sql: Expression
    title: str
    short_title: str
    description: str | None = None
    public: bool = True
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A declared join, always LEFT JOIN from the declaring cube.

    `name` is what paths call it: the target's name, or the name (Cube: `alias`) that tells two joins
    to one cube apart. Under such a name a *role* of the cube is joined: `target` is then the role,
    "orders.customer", a cube of the catalog with everything of `users` but that name, and `base`
    is "users". Of a join under the target's own name `base` is empty, or the target.
    """

    cube: str
    target: str
    relationship: Relationship
    sql: Expression
    span: Span | None = None
    name: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Levels from coarse to fine; full dimension names."""

    name: str
    title: str
    levels: tuple[str, ...]
    public: bool = True


@dataclass(frozen=True, slots=True)
class Cube:
    """A resolved cube: `extends` is merged in. Exactly one of `sql` and `sql_table` is set."""

    name: str
    title: str
    sql_table: str | None
    sql: Expression | None
    dimensions: Mapping[str, Dimension]
    measures: Mapping[str, Measure]
    segments: Mapping[str, Segment]
    joins: Mapping[str, Join]
    hierarchies: Mapping[str, Hierarchy] = field(default_factory=lambda: MappingProxyType({}))
    description: str | None = None
    public: bool = True
    data_source: str = "default"
    tables: tuple[str, ...] = ()  # the physical tables its SQL reads, for freshness
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None
    calendar: bool = False
    role_of: str | None = None  # the cube that this one is a role of
    pre_aggregations: tuple[PreAggregation, ...] = ()
    policies: tuple[AccessPolicy, ...] = ()  # none: everyone may see what is public

    @property
    def primary_key(self) -> tuple[Dimension, ...]:
        """The dimensions that together identify a row; () when none are declared."""
        return tuple(item for item in self.dimensions.values() if item.primary_key)


@dataclass(frozen=True, slots=True)
class ViewMember:
    """A member as a view shows it.

    `join_path` is the cubes from the view's root to its owner, roles by their names:
    ("orders", "orders.customer"). `cube` is the last of them.
    """

    view: str
    name: str
    kind: Literal["measure", "dimension", "segment", "hierarchy"]
    cube: str
    member: str
    join_path: tuple[str, ...]
    title: str
    short_title: str
    description: str | None = None
    format: str | None = None
    public: bool = True
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Folder:
    """A named group of a view's members, for people who look for them."""

    name: str
    members: tuple[str, ...]
    folders: tuple[Folder, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewGroup:
    """A named group of views."""

    name: str
    title: str
    views: tuple[str, ...]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A selection of members along join paths, with names of its own.

    `filters` hold in every query of the view, but for those released by a filter of the query on
    one of their `unless` members. Members in them are named as MemberReference(view, member).
    """

    name: str
    title: str
    members: Mapping[str, ViewMember]
    folders: tuple[Folder, ...] = ()
    filters: tuple[ModelFilter, ...] = ()
    groups: tuple[str, ...] = ()
    description: str | None = None
    public: bool = True
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None
    policies: tuple[AccessPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """The linked model. `version` is a hash of everything that can change an answer."""

    version: str
    cubes: Mapping[str, Cube]
    views: Mapping[str, View]
    view_groups: tuple[ViewGroup, ...] = ()
    join_graph: JoinGraph = field(default_factory=lambda: JoinGraph(MappingProxyType({})))
    alerts: tuple[Alert, ...] = ()
