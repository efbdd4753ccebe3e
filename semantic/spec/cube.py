"""The YAML format of cubes as frozen classes: what the author wrote, with places, unresolved.

None means "not given": defaults are the linker's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semantic.errors import Span
from semantic.spec.pre_aggregation import PreAggregationSpec
from semantic.spec.reader import Text

if TYPE_CHECKING:
    from semantic.spec.alerts import AlertSpec  # which holds filters, as policies do
    from semantic.spec.policy import AccessPolicySpec  # which reads filters, whose specs are here


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
class SwitchBranchSpec:
    """`when` of a `case` with `switch`."""

    values: tuple[str, ...]
    sql: Text


@dataclass(frozen=True, slots=True)
class SwitchSpec:
    """A `case` that chooses by a dimension."""

    switch: Text
    branches: tuple[SwitchBranchSpec, ...]
    otherwise: Text | None


@dataclass(frozen=True, slots=True)
class GranularitySpec:
    """A custom granularity: `interval`, or `sql`."""

    name: str
    title: str | None
    interval: str | None
    offset: str | None
    origin: str | None
    sql: Text | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """A mask: SQL, or a literal."""

    sql: Text | None
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class GrainSpec:
    """`grain`, or what `group_by`, `reduce_by` and `add_group_by` make of it; names as written."""

    mode: str
    keep_only: tuple[Text, ...] | None
    exclude: tuple[Text, ...]
    include: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class FilterTermSpec:
    """A filter written in the model. None among `values` is null."""

    member: Text
    operator: str
    values: tuple[str | None, ...]
    unless: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterTreeSpec:
    """`and` or `or` of filters."""

    word: str
    parts: tuple[ModelFilterSpec, ...]


ModelFilterSpec = FilterTermSpec | FilterTreeSpec


@dataclass(frozen=True, slots=True)
class FilterDirectiveSpec:
    """`filter` of a multi-stage measure."""

    mode: str
    keep_only: tuple[Text, ...] | None
    exclude: tuple[Text, ...]
    include: tuple[ModelFilterSpec, ...]


@dataclass(frozen=True, slots=True)
class TimeShiftSpec:
    """One `time_shift` of a measure, or of a calendar's dimension (then perhaps with `sql`)."""

    interval: str | None
    direction: str | None
    name: str | None
    time_dimension: Text | None
    sql: Text | None
    span: Span


@dataclass(frozen=True, slots=True)
class RankKeySpec:
    """One `order_by`."""

    sql: Text
    descending: bool


@dataclass(frozen=True, slots=True)
class RollingWindowSpec:
    """`rolling_window`."""

    kind: str
    trailing: str | None
    leading: str | None
    offset: str
    granularity: str | None


@dataclass(frozen=True, slots=True)
class MultiStageSpec:
    """What stands beside `multi_stage: true`."""

    grain: GrainSpec | None = None
    filter: FilterDirectiveSpec | None = None
    time_shifts: tuple[TimeShiftSpec, ...] = ()
    order_by: tuple[RankKeySpec, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link of a dimension."""

    name: str
    label: str
    url: Text | None
    dashboard: str | None
    parameters: tuple[tuple[str, str], ...]
    icon: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class DimensionSpec:
    """A dimension."""

    name: str
    type: str
    sql: Text | CaseSpec | SwitchSpec | None
    labels: Labels
    primary_key: bool
    format: str | None
    currency: str | None
    granularities: tuple[GranularitySpec, ...]
    latitude: Text | None
    longitude: Text | None
    span: Span
    sub_query: bool = False
    propagate_filters: bool = False
    multi_stage: GrainSpec | None = None
    values: tuple[str, ...] = ()
    time_shifts: tuple[TimeShiftSpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    mask: MaskSpec | None = None
    suggest_filter_values: bool = True
    order: str | None = None
    aliases: tuple[str, ...] = ()
    link_label: str | None = None


@dataclass(frozen=True, slots=True)
class NonAdditiveSpec:
    """`non_additive_dimension`: only the rows at the last (or first) time count."""

    time: Text
    last: bool
    groupings: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A dimension of base events and the one of conversions that is compared with it."""

    base: Text
    conversion: Text


@dataclass(frozen=True, slots=True)
class ConversionSpec:
    """`conversion`: which base events led to which conversions."""

    base_measure: Text
    conversion_measure: Text
    entity: PairSpec
    time: PairSpec
    window: str | None
    rate: bool
    properties: tuple[PairSpec, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MeasureSpec:
    """A measure."""

    name: str
    type: str
    sql: Text | SwitchSpec | None
    labels: Labels
    filters: tuple[Text, ...]
    format: str | None
    currency: str | None
    drill_members: tuple[Text, ...]
    span: Span
    drill_filters: tuple[Text, ...] = ()
    rolling_window: RollingWindowSpec | None = None
    multi_stage: MultiStageSpec | None = None
    mask: MaskSpec | None = None
    aliases: tuple[str, ...] = ()
    non_additive: NonAdditiveSpec | None = None
    fill_nulls_with: int | float | None = None
    join_to_timespine: bool = False
    conversion: ConversionSpec | None = None
    alerts: tuple[AlertSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentSpec:
    """A segment."""

    name: str
    sql: Text
    labels: Labels
    span: Span
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JoinSpec:
    """A join to the cube `cube`, which paths call `name`."""

    name: str
    relationship: str
    sql: Text
    span: Span
    cube: str = ""


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
    calendar: bool = False
    pre_aggregations: tuple[PreAggregationSpec, ...] = ()
    policies: tuple[AccessPolicySpec, ...] = ()
    refresh_sql: Text | None = None
