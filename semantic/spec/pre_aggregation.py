"""The YAML format of pre-aggregations: frozen classes, and the reader."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from semantic.errors import Span
from semantic.spec.intervals import UNITS, is_timezone, parse_interval
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, ScalarNode

TYPES: Final = {
    "rollup": "rollup",
    "original_sql": "original_sql", "originalSql": "original_sql",
    "rollup_join": "rollup_join", "rollupJoin": "rollup_join",
    "rollup_lambda": "rollup_lambda", "rollupLambda": "rollup_lambda",
}  # fmt: skip
_EVERY = re.compile(r"[0-9]+ (second|minute|hour|day|week)s?\Z")
_CRON = re.compile(r"([0-9*,/\-]+ +){4,5}[0-9*,/\-A-Za-z]+\Z")
_LATER = (
    "use_original_sql_pre_aggregations", "unique_key_columns", "stream_offset",
    "output_column_types", "auto_rollup", "max_pre_aggregations",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RollupTimeSpec:
    """A time dimension and its granularity."""

    member: Text
    granularity: str


@dataclass(frozen=True, slots=True)
class RefreshKeySpec:
    """`refresh_key`."""

    every: str | None
    sql: Text | None
    timezone: str | None
    incremental: bool
    update_window: str | None
    immutable: bool


@dataclass(frozen=True, slots=True)
class RollupIndexSpec:
    """One of `indexes`."""

    name: str
    columns: tuple[Text, ...]
    type: str


@dataclass(frozen=True, slots=True)
class PreAggregationSpec:
    """A pre-aggregation."""

    name: str
    type: str
    measures: tuple[Text, ...]
    dimensions: tuple[Text, ...]
    segments: tuple[Text, ...]
    times: tuple[RollupTimeSpec, ...]
    partition_granularity: str | None
    refresh_key: RefreshKeySpec | None
    build_range_start: Text | None
    build_range_end: Text | None
    rollups: tuple[Text, ...]
    indexes: tuple[RollupIndexSpec, ...]
    union_with_source_data: bool
    allow_non_strict_date_range_match: bool
    scheduled_refresh: bool
    external: bool
    span: Span


def read_pre_aggregation(reader: MappingReader, name: str) -> PreAggregationSpec | None:
    """Return the spec of one pre-aggregation."""
    kind = reader.choice("type", TYPES) or "rollup"
    rollups = reader.texts("rollups") or ()
    if kind in {"rollup_join", "rollup_lambda"} and not rollups:
        reader.report("missing_key", f"{reader.what} is a {kind}: it needs `rollups`")
    spec = PreAggregationSpec(
        name=name,
        type=kind,
        measures=reader.texts("measures") or (),
        dimensions=reader.texts("dimensions") or (),
        segments=reader.texts("segments") or (),
        times=_read_times(reader),
        partition_granularity=reader.choice("partition_granularity", {u: u for u in UNITS}),
        refresh_key=read_refresh_key(reader),
        build_range_start=_read_range(reader, "build_range_start"),
        build_range_end=_read_range(reader, "build_range_end"),
        rollups=rollups,
        indexes=_read_indexes(reader),
        union_with_source_data=bool(reader.flag("union_with_source_data")),
        allow_non_strict_date_range_match=reader.flag("allow_non_strict_date_range_match")
        is not False,
        scheduled_refresh=reader.flag("scheduled_refresh") is not False,
        external=reader.flag("external") is not False,
        span=reader.node.span,
    )
    timed = bool(spec.times) or reader.given("time_dimension", "time_dimensions")
    if spec.partition_granularity is not None and not timed:
        reader.report(
            "missing_key",
            f"{reader.what} has `partition_granularity`, no time to make parts of",
            None,
            "add `time_dimension` and `granularity`",
        )
    reader.flag("read_only")
    reader.text("sql_alias")
    reader.finish(_LATER)
    return spec


def read_refresh_key(reader: MappingReader) -> RefreshKeySpec | None:
    """Take `refresh_key`; an interval or cron, SQL, or immutable."""
    node = reader.take("refresh_key")
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", "`refresh_key` must be a mapping", node.span)
        return None
    inner = MappingReader(node, f"`refresh_key` of {reader.what}", reader.problems)
    sql, every = inner.sql("sql"), inner.text("every")
    timezone, immutable = inner.text("timezone"), bool(inner.flag("immutable"))
    incremental, window = bool(inner.flag("incremental")), inner.text("update_window")
    inner.finish()
    key = RefreshKeySpec(every, sql, timezone, incremental, window, immutable)
    _check_refresh_key(key, inner)
    return key


def _check_refresh_key(key: RefreshKeySpec, inner: MappingReader) -> None:
    every, sql, timezone, window = key.every, key.sql, key.timezone, key.update_window
    if key.immutable and (sql is not None or every is not None):
        inner.report("conflicting_keys", f"{inner.what} is immutable: it has no `sql` and `every`")
    if sql is None and every is None and not key.immutable:
        inner.report("missing_key", f"{inner.what} has neither `sql`, `every` nor `immutable`")
    cron = every is not None and _EVERY.match(every) is None
    if cron and not _CRON.match(every or ""):
        inner.report("invalid_value", f"`{(every or '')[:60]}` is neither an interval nor cron")
    if cron and sql is not None:
        inner.report(
            "conflicting_keys", f"{inner.what}: `sql` goes with an interval, not with cron"
        )
    if every is not None and every.split(" ")[0].strip("0") == "" and not cron:
        inner.report("invalid_value", f"`{every}` is no time: it would never end")
    if timezone is not None and not is_timezone(timezone):
        inner.report("invalid_value", f"`{timezone[:60]}` is no time zone", None, "write UTC")
    if timezone is not None and not cron:
        inner.report("conflicting_keys", f"{inner.what}: `timezone` belongs to a cron")
    if window is not None and parse_interval(window) is None:
        inner.report("invalid_value", f"`update_window: {window[:60]}` is no interval")


def _read_times(reader: MappingReader) -> tuple[RollupTimeSpec, ...]:
    found: list[RollupTimeSpec] = []
    node, granularity = reader.take("time_dimension"), reader.text("granularity")
    if isinstance(node, ScalarNode):
        if granularity is None:
            reader.report("missing_key", f"{reader.what} has `time_dimension`, no `granularity`")
        else:
            found.append(RollupTimeSpec(Text(node.value, node), granularity))
    elif node is not None:
        reader.report("wrong_type", "`time_dimension` must be text", node.span)
    elif granularity is not None:
        reader.report("missing_key", f"{reader.what} has `granularity`, no `time_dimension`")
    for item in reader.items("time_dimensions"):
        inner = MappingReader(item, f"a time dimension of {reader.what}", reader.problems)
        member, cut = inner.take("dimension"), inner.text("granularity")
        inner.finish()
        if isinstance(member, ScalarNode) and cut is not None:
            found.append(RollupTimeSpec(Text(member.value, member), cut))
        else:
            inner.report("missing_key", f"{inner.what} needs `dimension` and `granularity`")
    return tuple(found)


def _read_range(reader: MappingReader, key: str) -> Text | None:
    node = reader.take(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", f"`{key}` must be a mapping with `sql`", node.span)
        return None
    inner = MappingReader(node, f"`{key}` of {reader.what}", reader.problems)
    sql = inner.sql("sql")
    inner.finish()
    if not inner.given("sql"):
        inner.report("missing_key", f"{inner.what} has no `sql`")
    return sql


def _read_indexes(reader: MappingReader) -> tuple[RollupIndexSpec, ...]:
    found: list[RollupIndexSpec] = []
    for item in reader.items("indexes"):
        inner = MappingReader(item, f"an index of {reader.what}", reader.problems)
        name, columns = inner.name(), inner.texts("columns")
        kind = inner.choice("type", {"regular": "regular", "aggregate": "aggregate"}) or "regular"
        inner.finish(("sql",))
        if name is not None and columns:
            found.append(RollupIndexSpec(name.value, columns, kind))
        elif not columns:
            inner.report("missing_key", f"{inner.what} has no `columns`")
    return tuple(found)
