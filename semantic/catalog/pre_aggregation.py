"""Pre-aggregations as the model declares them. They change no answer: see `semantic/plan/rollup.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from semantic.catalog.catalog import Expression, MemberReference
from semantic.errors import Span

PreAggregationType = Literal["rollup", "original_sql", "rollup_join", "rollup_lambda"]


@dataclass(frozen=True, slots=True)
class RollupTime:
    """A time dimension of a rollup, and what it is cut to."""

    member: MemberReference
    granularity: str


@dataclass(frozen=True, slots=True)
class RefreshKey:
    """When a pre-aggregation is built anew: `every` is an interval or cron."""

    every: str | None = None
    sql: Expression | None = None
    timezone: str | None = None
    incremental: bool = False
    update_window: str | None = None
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class RollupIndex:
    """An index of a rollup's table."""

    name: str
    columns: tuple[str, ...]
    type: Literal["regular", "aggregate"] = "regular"


@dataclass(frozen=True, slots=True)
class PreAggregation:
    """A pre-aggregation of a cube. `rollups` are names of others, `cube.name`."""

    name: str
    type: PreAggregationType
    measures: tuple[MemberReference, ...] = ()
    dimensions: tuple[MemberReference, ...] = ()
    segments: tuple[MemberReference, ...] = ()
    times: tuple[RollupTime, ...] = ()
    partition_granularity: str | None = None
    refresh_key: RefreshKey | None = None
    build_range_start: Expression | None = None
    build_range_end: Expression | None = None
    rollups: tuple[str, ...] = ()
    indexes: tuple[RollupIndex, ...] = ()
    union_with_source_data: bool = False
    allow_non_strict_date_range_match: bool = True
    scheduled_refresh: bool = True
    external: bool = True
    span: Span | None = None
