"""All definitions, linked: an immutable value with a version.

Everything a request looks up is a dictionary access here, so the cost of a query does not grow
with the model. SQL snippets are kept as parsed `Expression`s: the text between the references,
and the references as resolved names. sqlglot has parsed, checked and rendered them once, at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from semantic.catalog.join_graph import JoinGraph
from semantic.errors import Span

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
]
DimensionType = Literal["string", "number", "boolean", "time", "geo"]
Relationship = Literal["one_to_one", "one_to_many", "many_to_one"]


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """`{CUBE}` or `{cube}`: stands for the alias of that cube's relation; a `.column` follows."""

    cube: str


@dataclass(frozen=True, slots=True)
class MemberReference:
    """`{CUBE.member}`, `{member}` or `{other.member}`: stands for that member's own SQL."""

    cube: str
    member: str
    granularity: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """One `sql:` snippet: text parts (already in the engine's dialect) and references, in order."""

    parts: tuple[str | ColumnReference | MemberReference, ...]
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
class Granularity:
    """A custom granularity of one time dimension."""

    name: str
    title: str
    interval: str
    offset: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension of a cube. `name` is the short name; the full name is `cube.name`."""

    cube: str
    name: str
    type: DimensionType
    sql: Expression | CaseExpression | None
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
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of a cube. `sql` is None only for a plain count."""

    cube: str
    name: str
    type: MeasureType
    sql: Expression | None
    title: str
    short_title: str
    description: str | None = None
    public: bool = True
    filters: tuple[Expression, ...] = ()
    format: str | None = None
    currency: str | None = None
    drill_members: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None


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


@dataclass(frozen=True, slots=True)
class Join:
    """A declared join, always LEFT JOIN from the declaring cube."""

    cube: str
    target: str
    relationship: Relationship
    sql: Expression
    span: Span | None = None


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

    @property
    def primary_key(self) -> tuple[Dimension, ...]:
        """The dimensions that together identify a row; () when none are declared."""
        return tuple(item for item in self.dimensions.values() if item.primary_key)


@dataclass(frozen=True, slots=True)
class ViewMember:
    """A member as a view shows it. `join_path` is the cubes from the view's root to its owner."""

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


@dataclass(frozen=True, slots=True)
class View:
    """A selection of members along join paths, with names of its own."""

    name: str
    title: str
    members: Mapping[str, ViewMember]
    folders: tuple[Folder, ...] = ()
    description: str | None = None
    public: bool = True
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The linked model. `version` is a hash of everything that can change an answer."""

    version: str
    cubes: Mapping[str, Cube]
    views: Mapping[str, View]
    join_graph: JoinGraph = field(default_factory=lambda: JoinGraph(MappingProxyType({})))
