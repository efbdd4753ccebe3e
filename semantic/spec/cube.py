"""The YAML format of cubes as frozen classes: what the author wrote, with places, unresolved.

None means "not given": defaults are the linker's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semantic.errors import Span
from semantic.spec.reader import Text


@dataclass(frozen=True, slots=True)
class Labels:
    """What every named thing may say about itself to people."""

    title: str | None = None
    description: str | None = None
    public: bool | None = None
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CaseBranchSpec:
    """`when`: a condition and its label, a text or SQL."""

    condition: Text
    label: str | Text


@dataclass(frozen=True, slots=True)
class CaseSpec:
    """A dimension's `case`."""

    branches: tuple[CaseBranchSpec, ...]
    otherwise: str | Text | None


@dataclass(frozen=True, slots=True)
class GranularitySpec:
    """A custom granularity."""

    name: str
    title: str | None
    interval: str
    offset: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class DimensionSpec:
    """A dimension."""

    name: str
    type: str
    sql: Text | CaseSpec | None
    labels: Labels
    primary_key: bool
    format: str | None
    currency: str | None
    granularities: tuple[GranularitySpec, ...]
    latitude: Text | None
    longitude: Text | None
    span: Span


@dataclass(frozen=True, slots=True)
class MeasureSpec:
    """A measure."""

    name: str
    type: str
    sql: Text | None
    labels: Labels
    filters: tuple[Text, ...]
    format: str | None
    currency: str | None
    drill_members: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SegmentSpec:
    """A segment."""

    name: str
    sql: Text
    labels: Labels
    span: Span


@dataclass(frozen=True, slots=True)
class JoinSpec:
    """A join to the cube `name`."""

    name: str
    relationship: str
    sql: Text
    span: Span


@dataclass(frozen=True, slots=True)
class HierarchySpec:
    """A hierarchy."""

    name: str
    labels: Labels
    levels: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class CubeSpec:
    """A cube, with everything that it extends merged in."""

    name: str
    sql: Text | None
    sql_table: Text | None
    labels: Labels
    data_source: str
    dimensions: tuple[DimensionSpec, ...]
    measures: tuple[MeasureSpec, ...]
    segments: tuple[SegmentSpec, ...]
    joins: tuple[JoinSpec, ...]
    hierarchies: tuple[HierarchySpec, ...]
    span: Span
