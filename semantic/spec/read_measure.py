"""From the tree of a measure to its spec."""

from __future__ import annotations

from typing import Final

from semantic.spec.alerts import read_alerts
from semantic.spec.cube import MeasureSpec, MultiStageSpec, RollingWindowSpec, SwitchSpec
from semantic.spec.formats import is_number_format
from semantic.spec.read_kinds import read_kinds
from semantic.spec.read_labels import (
    any_format,
    read_aliases,
    read_currency,
    read_format,
    read_labels,
)
from semantic.spec.read_stage import read_mask, read_multi_stage, read_rolling_window, read_switch
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode

MEASURE_TYPES: Final = {
    name: name
    for name in (
        "count", "count_distinct", "count_distinct_approx", "sum", "avg", "min", "max",
        "number", "number_agg", "string", "time", "boolean", "rank", "running_total",
        "conversion",
    )
} | {
    "countDistinct": "count_distinct",
    "countDistinctApprox": "count_distinct_approx",
    "numberAgg": "number_agg",
    "runningTotal": "running_total",
}  # fmt: skip
NUMERIC_MEASURES: Final = frozenset(MEASURE_TYPES.values()) - {"string", "time", "boolean"}
_CALCULATED: Final = frozenset({"number", "number_agg", "string", "time", "boolean"})
_LATER = ("cumulative", "key")


def read_measure(reader: MappingReader, name: str) -> MeasureSpec | None:
    """Return the spec, or None without a usable type."""
    kind = reader.choice("type", MEASURE_TYPES)
    if not reader.given("type"):
        reader.report("missing_key", f"{reader.what} has no `type`")
    sql = _read_sql(reader)
    multi_stage, window = read_multi_stage(reader), read_rolling_window(reader)
    kind, window = _read_running_total(reader, kind, window)
    kinds = read_kinds(reader, kind)
    _check_source(reader, kind, sql, multi_stage)
    filters = _read_filters(reader, "filters")
    if filters and (kind in _CALCULATED or multi_stage is not None):
        reader.report(
            "invalid_value",
            f"{reader.what} is a {kind}: filters belong to the measures that it is made of",
            filters[0].span,
        )
    spec = MeasureSpec(
        name=name,
        type=kind or "number",
        sql=sql,
        labels=read_labels(reader, extended=True),
        filters=filters,
        format=read_format(reader, is_number_format if kind in NUMERIC_MEASURES else any_format),
        currency=read_currency(reader, numeric=kind in NUMERIC_MEASURES),
        drill_members=reader.texts("drill_members") or (),
        span=reader.node.span,
        drill_filters=_read_filters(reader, "drill_filters"),
        rolling_window=window,
        multi_stage=multi_stage,
        mask=read_mask(reader),
        aliases=read_aliases(reader),
        non_additive=kinds.non_additive,
        fill_nulls_with=kinds.fill,
        join_to_timespine=kinds.spined,
        conversion=kinds.conversion,
        alerts=read_alerts(reader),
    )
    reader.finish(_LATER)
    return spec if kind else None


def _read_sql(reader: MappingReader) -> Text | SwitchSpec | None:
    sql, node = reader.sql("sql"), reader.take("case")
    if node is None:
        return sql
    if sql is not None:
        reader.report("conflicting_keys", f"{reader.what} has both `sql` and `case`")
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", "`case` must be a mapping", node.span)
        return None
    if not reader.given("multi_stage"):
        reader.report("missing_key", f"`case` of {reader.what} needs `multi_stage: true`")
    return read_switch(node, reader)


def _read_running_total(
    reader: MappingReader, kind: str | None, window: RollingWindowSpec | None
) -> tuple[str | None, RollingWindowSpec | None]:
    """Return a running total as what it is: a sum over all that came before."""
    if kind != "running_total":
        return kind, window
    if window is not None:
        reader.report("conflicting_keys", f"{reader.what} is a running_total: no rolling_window")
    return "sum", RollingWindowSpec("fixed", "unbounded", None, "end", None)


def _check_source(
    reader: MappingReader,
    kind: str | None,
    sql: Text | SwitchSpec | None,
    multi_stage: MultiStageSpec | None,
) -> None:
    if kind == "rank":
        if multi_stage is None:
            reader.report("missing_key", f"{reader.what} is a rank: it needs `multi_stage: true`")
        elif not multi_stage.order_by:
            reader.report("missing_key", f"{reader.what} is a rank: it needs `order_by`")
        if sql is not None:
            reader.report("conflicting_keys", f"{reader.what} is a rank: it has no `sql`")
        return
    if multi_stage is not None and multi_stage.order_by:
        reader.report("conflicting_keys", f"{reader.what} is no rank: it has no `order_by`")
    if (
        kind not in {None, "count", "conversion"}
        and sql is None
        and not reader.given("sql", "case")
    ):
        reader.report("missing_key", f"{reader.what} is a {kind}: it has no `sql`")


def _read_filters(reader: MappingReader, key: str) -> tuple[Text, ...]:
    found: list[Text] = []
    for item in reader.items(key):
        inner = MappingReader(item, f"a filter of {reader.what}", reader.problems)
        condition = inner.sql("sql")
        inner.finish()
        if condition is not None:
            found.append(condition)
        elif not inner.given("sql"):
            inner.report("missing_key", f"{inner.what} has no `sql`")
    return tuple(found)
