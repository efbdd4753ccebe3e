"""From the tree of a cube to its spec. Every key of Cube's format is named here once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from semantic.errors import Problem
from semantic.spec.cube import (
    CaseBranchSpec,
    CaseSpec,
    CubeSpec,
    DimensionSpec,
    GranularitySpec,
    HierarchySpec,
    JoinSpec,
    Labels,
    MeasureSpec,
    SegmentSpec,
)
from semantic.spec.formats import is_dimension_format, is_number_format
from semantic.spec.intervals import UNITS, check_granularity
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, ScalarNode

MEASURE_TYPES: Final = {
    name: name
    for name in (
        "count", "count_distinct", "count_distinct_approx", "sum", "avg", "min", "max",
        "number", "number_agg", "string", "time", "boolean",
    )
} | {
    "countDistinct": "count_distinct",
    "countDistinctApprox": "count_distinct_approx",
    "numberAgg": "number_agg",
}  # fmt: skip
NUMERIC_MEASURES: Final = frozenset(MEASURE_TYPES.values()) - {"string", "time", "boolean"}
DIMENSION_TYPES: Final = {name: name for name in ("string", "number", "boolean", "time", "geo")}
RELATIONSHIPS: Final = {
    "one_to_one": "one_to_one", "oneToOne": "one_to_one",
    "has_one": "one_to_one", "hasOne": "one_to_one",
    "one_to_many": "one_to_many", "oneToMany": "one_to_many",
    "has_many": "one_to_many", "hasMany": "one_to_many",
    "many_to_one": "many_to_one", "manyToOne": "many_to_one",
    "belongs_to": "many_to_one", "belongsTo": "many_to_one",
}  # fmt: skip

_CUBE_LATER = (
    "sql_alias", "refresh_key", "calendar", "rewrite_queries", "pre_aggregations",
    "access_policy", "context_members", "dialect",
)  # fmt: skip
_MEASURE_LATER = (
    "rolling_window", "multi_stage", "grain", "filter", "time_shift", "case", "order_by",
    "group_by", "reduce_by", "add_group_by", "drill_filters", "mask", "aliases", "cumulative",
    "key",
)  # fmt: skip
_DIMENSION_LATER = (
    "sub_query", "propagate_filters_to_sub_query", "multi_stage", "add_group_by", "time_shift",
    "links", "mask", "order", "key", "suggest_filter_values", "values_as_segments",
    "field_type", "aliases", "values", "case_sensitive",
)  # fmt: skip
_Spec = TypeVar("_Spec")
_CURRENCY = re.compile(r"[A-Za-z]{3}\Z")


def read_cube(node: MappingNode, problems: list[Problem]) -> CubeSpec | None:
    """Return the spec of one cube, or None when it has no usable name."""
    probe = node.entries.get("name")
    label = f"cube `{probe[1].value}`" if probe and isinstance(probe[1], ScalarNode) else "a cube"
    reader = MappingReader(node, label, problems)
    name = reader.name()
    sql, sql_table = reader.sql("sql"), reader.sql("sql_table")
    if sql and sql_table:
        reader.report("conflicting_keys", f"{label} has both `sql` and `sql_table`", sql.span)
    if not reader.given("sql", "sql_table"):
        reader.report("missing_key", f"{label} has neither `sql_table` nor `sql`")
    data_source = reader.text("data_source") or "default"
    if data_source != "default":
        reader.report("unsupported", f"`data_source: {data_source}` is not supported yet")
    reader.take("extends")  # merged already
    spec = CubeSpec(
        name=name.value if name else "",
        sql=sql,
        sql_table=sql_table,
        labels=read_labels(reader),
        data_source=data_source,
        dimensions=_each(reader, "dimensions", _read_dimension, problems),
        measures=_each(reader, "measures", _read_measure, problems),
        segments=_each(reader, "segments", _read_segment, problems),
        joins=_each(reader, "joins", _read_join, problems),
        hierarchies=_each(reader, "hierarchies", _read_hierarchy, problems),
        span=name.span if name else node.span,
    )
    reader.finish(_CUBE_LATER)
    return spec if name else None


def read_labels(reader: MappingReader) -> Labels:
    """Take the keys that every named thing may have."""
    return Labels(
        title=reader.text("title"),
        description=reader.text("description"),
        public=reader.flag("public", "shown"),
        meta=reader.mapping("meta"),
    )


def _each(
    reader: MappingReader,
    key: str,
    read: Callable[[MappingReader, str], _Spec | None],
    problems: list[Problem],
) -> tuple[_Spec, ...]:
    """Read the items of a list, each by `read`; items without a usable name are left out."""
    found: list[_Spec] = []
    noun = {"hierarchies": "hierarchy"}.get(key, key.removesuffix("s"))
    for node in reader.items(key):
        probe = node.entries.get("name")
        given = probe[1].value if probe and isinstance(probe[1], ScalarNode) else None
        item = MappingReader(node, f"{noun} `{given}`" if given else f"a {noun}", problems)
        name = item.name()
        spec = read(item, name.value if name else "")
        if name is not None and spec is not None:
            found.append(spec)
    return tuple(found)


def _read_dimension(reader: MappingReader, name: str) -> DimensionSpec | None:
    kind = reader.choice("type", DIMENSION_TYPES, ("switch",))
    if not reader.given("type"):
        reader.report("missing_key", f"{reader.what} has no `type`")
    sql: Text | CaseSpec | None = reader.sql("sql")
    case_node = reader.take("case")
    if case_node is not None and sql is not None:
        reader.report("conflicting_keys", f"{reader.what} has both `sql` and `case`")
    if isinstance(case_node, MappingNode):
        sql = _read_case(case_node, reader)
    elif case_node is not None:
        reader.report("wrong_type", "`case` must be a mapping", case_node.span)
    latitude, longitude = (
        _read_coordinate(reader, "latitude"),
        _read_coordinate(reader, "longitude"),
    )
    if kind == "geo":
        if latitude is None or longitude is None or sql is not None:
            reader.report(
                "missing_key", f"{reader.what} is geo: it has `latitude` and `longitude`, no `sql`"
            )
    elif latitude or longitude:
        reader.report("conflicting_keys", f"{reader.what} is not geo: no latitude or longitude")
    elif kind and sql is None and not reader.given("sql", "case"):
        reader.report("missing_key", f"{reader.what} has neither `sql` nor `case`")
    granularities = _read_granularities(reader, kind)
    spec = DimensionSpec(
        name=name,
        type=kind or "string",
        sql=sql,
        labels=read_labels(reader),
        primary_key=bool(reader.flag("primary_key")),
        format=_read_format(reader, lambda value: is_dimension_format(value, kind or "string")),
        currency=_read_currency(reader, numeric=kind == "number"),
        granularities=granularities,
        latitude=latitude,
        longitude=longitude,
        span=reader.node.span,
    )
    reader.finish(_DIMENSION_LATER)
    return spec if kind else None


def _read_coordinate(reader: MappingReader, key: str) -> Text | None:
    node = reader.take(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", f"`{key}` must be a mapping with `sql`", node.span)
        return None
    inner = MappingReader(node, f"`{key}`", reader.problems)
    sql = inner.sql("sql")
    inner.finish()
    if sql is None:
        inner.report("missing_key", f"`{key}` has no `sql`")
    return sql


def _read_case(node: MappingNode, outer: MappingReader) -> CaseSpec | None:
    reader = MappingReader(node, f"`case` of {outer.what}", outer.problems)
    branches: list[CaseBranchSpec] = []
    for item in reader.items("when"):
        branch = MappingReader(item, f"`when` of {outer.what}", outer.problems)
        condition, label = branch.sql("sql"), _read_label(branch)
        branch.finish(("value",))
        if condition is not None and label is not None:
            branches.append(CaseBranchSpec(condition, label))
        elif condition is None:
            branch.report("missing_key", f"{branch.what} has no `sql`")
    otherwise: str | Text | None = None
    if (other := reader.take("else")) is not None:
        if isinstance(other, MappingNode):
            inner = MappingReader(other, f"`else` of {outer.what}", outer.problems)
            otherwise = _read_label(inner)
            inner.finish(("sql",))
        else:
            reader.report("wrong_type", "`else` must be a mapping with `label`", other.span)
    reader.finish(("switch",))
    if not branches:
        reader.report("missing_key", f"{reader.what} has no `when`")
        return None
    return CaseSpec(tuple(branches), otherwise)


def _read_label(reader: MappingReader) -> str | Text | None:
    node = reader.take("label")
    if isinstance(node, MappingNode):
        inner = MappingReader(node, f"`label` in {reader.what}", reader.problems)
        sql = inner.sql("sql")
        inner.finish()
        return sql
    if isinstance(node, ScalarNode):
        return node.value
    if node is None:
        reader.report("missing_key", f"{reader.what} has no `label`")
    else:
        reader.report("wrong_type", "`label` must be text or a mapping with `sql`", node.span)
    return None


def _read_granularities(reader: MappingReader, kind: str | None) -> tuple[GranularitySpec, ...]:
    entry = reader.node.entries.get("granularities")
    if entry is not None and isinstance(entry[1], MappingNode):
        reader.take("granularities")
        inner = MappingReader(entry[1], "`granularities`", reader.problems)
        inner.finish(("includes", "excludes", "custom"))
        return ()
    found: list[GranularitySpec] = []
    for item in reader.items("granularities"):
        inner = MappingReader(item, f"a granularity of {reader.what}", reader.problems)
        name, interval = inner.name(), inner.text("interval")
        offset, origin = inner.text("offset"), inner.text("origin")
        title = inner.text("title")
        inner.finish(("sql", "format"))
        if interval is None:
            inner.report("missing_key", f"{inner.what} has no `interval`")
        elif (wrong := check_granularity(interval, offset, origin)) is not None:
            inner.report("invalid_value", wrong)
        elif name is not None and name.value in UNITS:
            inner.report("invalid_value", f"`{name.value}` is a built-in granularity", name.span)
        elif name is not None and name.value in {known.name for known in found}:
            inner.report("duplicate_name", f"granularity `{name.value}` exists", name.span)
        elif name is not None:
            found.append(GranularitySpec(name.value, title, interval, offset, origin))
    if found and kind not in {"time", None}:
        reader.report("invalid_value", f"{reader.what} is no time: it has no granularities")
    return tuple(found)


def _read_measure(reader: MappingReader, name: str) -> MeasureSpec | None:
    kind = reader.choice("type", MEASURE_TYPES, ("rank", "running_total"))
    if not reader.given("type"):
        reader.report("missing_key", f"{reader.what} has no `type`")
    sql = reader.sql("sql")
    later = ("multi_stage", "case", "rolling_window")  # reported on their own
    if kind not in {None, "count"} and not reader.given("sql", *later):
        reader.report("missing_key", f"{reader.what} is a {kind}: it has no `sql`")
    filters: list[Text] = []
    for item in reader.items("filters"):
        inner = MappingReader(item, f"a filter of {reader.what}", reader.problems)
        condition = inner.sql("sql")
        inner.finish()
        if condition is not None:
            filters.append(condition)
        elif not inner.given("sql"):
            inner.report("missing_key", f"{inner.what} has no `sql`")
    if filters and kind in {"number", "number_agg", "string", "time", "boolean"}:
        reader.report(
            "invalid_value",
            f"{reader.what} is a {kind}: filters belong to the measures that it is made of",
            filters[0].span,
        )
    spec = MeasureSpec(
        name=name,
        type=kind or "number",
        sql=sql,
        labels=read_labels(reader),
        filters=tuple(filters),
        format=_read_format(reader, is_number_format if kind in NUMERIC_MEASURES else _any_format),
        currency=_read_currency(reader, numeric=kind in NUMERIC_MEASURES),
        drill_members=reader.texts("drill_members") or (),
        span=reader.node.span,
    )
    reader.finish(_MEASURE_LATER)
    return spec if kind else None


def _any_format(value: str) -> bool:
    return "%" in value or is_number_format(value)


def _read_format(reader: MappingReader, accepts: Callable[[str], bool]) -> str | None:
    node = reader.take("format")
    if node is None:
        return None
    if isinstance(node, MappingNode):
        reader.report("unsupported", f"a mapping as `format` of {reader.what}", node.span)
        return None
    if isinstance(node, ScalarNode) and accepts(node.value):
        return node.value
    reader.report(
        "invalid_value",
        f"`format` of {reader.what} is not one that its type can have",
        node.span,
        "use number_0, percent_1, currency_2, abbr, id, a d3-format, or link and imageUrl "
        "for text, strftime for times",
    )
    return None


def _read_currency(reader: MappingReader, *, numeric: bool) -> str | None:
    value = reader.text("currency")
    if value is None:
        return None
    if not numeric:
        reader.report("invalid_value", f"{reader.what} is no number: it has no currency")
    elif not _CURRENCY.match(value):
        reader.report("invalid_value", f"`{value}` is no ISO 4217 currency", None, "write USD")
    return value.upper()


def _read_segment(reader: MappingReader, name: str) -> SegmentSpec | None:
    sql, labels = reader.sql("sql"), read_labels(reader)
    reader.finish(("aliases",))
    if sql is None:
        if not reader.given("sql"):
            reader.report("missing_key", f"{reader.what} has no `sql`")
        return None
    return SegmentSpec(name, sql, labels, reader.node.span)


def _read_join(reader: MappingReader, name: str) -> JoinSpec | None:
    relationship, sql = reader.choice("relationship", RELATIONSHIPS), reader.sql("sql")
    reader.finish(("alias",))
    for key in ("relationship", "sql"):
        if not reader.given(key):
            reader.report("missing_key", f"{reader.what} has no `{key}`")
    if relationship is None or sql is None:
        return None
    return JoinSpec(name, relationship, sql, reader.node.span)


def _read_hierarchy(reader: MappingReader, name: str) -> HierarchySpec | None:
    labels, levels = read_labels(reader), reader.texts("levels")
    reader.finish()
    if not levels:
        reader.report("missing_key", f"{reader.what} has no `levels`")
        return None
    return HierarchySpec(name, labels, levels, reader.node.span)
