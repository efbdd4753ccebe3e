"""From the tree of a dimension to its spec."""

from __future__ import annotations

from typing import Final

from semantic.spec.cube import (
    CaseBranchSpec,
    CaseSpec,
    DimensionSpec,
    GrainSpec,
    GranularitySpec,
    Labels,
    LinkSpec,
    SwitchSpec,
)
from semantic.spec.formats import is_dimension_format
from semantic.spec.intervals import UNITS, check_granularity
from semantic.spec.read_labels import (
    read_aliases,
    read_currency,
    read_format,
    read_labels,
    read_link_label,
)
from semantic.spec.read_stage import read_grain, read_mask, read_switch, read_time_shifts
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, ScalarNode, SequenceNode, is_nothing

DIMENSION_TYPES: Final = {
    name: name for name in ("string", "number", "boolean", "time", "geo", "switch")
}
_PLAIN_TYPES: Final = frozenset({"string", "number", "boolean", "time"})
_PLAIN_KEYS: Final = frozenset({"name", "type", "sql", "title", "description", "primary_key"})
_LATER = ("key", "values_as_segments", "field_type", "case_sensitive")


def read_dimension(reader: MappingReader, name: str) -> DimensionSpec | None:
    """Return the spec, or None without a usable type."""
    plain = _read_plain(reader, name)
    if plain is not None:
        return plain
    kind = reader.choice("type", DIMENSION_TYPES)
    if not reader.given("type"):
        reader.report("missing_key", f"{reader.what} has no `type`")
    sql = _read_sql(reader)
    latitude = _read_coordinate(reader, "latitude")
    longitude = _read_coordinate(reader, "longitude")
    values = _read_values(reader)
    _check_source(reader, kind, sql, (latitude, longitude), values)
    sub_query = bool(reader.flag("sub_query"))
    propagate = bool(reader.flag("propagate_filters_to_sub_query"))
    if propagate and not sub_query:
        reader.report("conflicting_keys", f"{reader.what} propagates filters and is no sub_query")
    multi_stage = _read_multi_stage(reader)
    granularities = _read_granularities(reader, kind)
    spec = DimensionSpec(
        name=name,
        type=kind or "string",
        sql=sql,
        labels=read_labels(reader),
        primary_key=bool(reader.flag("primary_key")),
        format=read_format(reader, lambda value: is_dimension_format(value, kind or "string")),
        currency=read_currency(reader, numeric=kind == "number"),
        granularities=granularities,
        latitude=latitude,
        longitude=longitude,
        span=reader.node.span,
        sub_query=sub_query,
        propagate_filters=propagate,
        multi_stage=multi_stage,
        values=values,
        time_shifts=read_time_shifts(reader, calendar=True),
        links=_read_links(reader),
        mask=read_mask(reader),
        suggest_filter_values=reader.flag("suggest_filter_values") is not False,
        order=reader.choice("order", {"asc": "asc", "desc": "desc"}),
        aliases=read_aliases(reader),
        link_label=read_link_label(reader),
    )
    reader.finish(_LATER)
    return spec if kind else None


def _read_plain(reader: MappingReader, name: str) -> DimensionSpec | None:
    """Return what most dimensions are: a type, SQL and labels, all well written.

    None leaves everything to be taken, checked and reported key by key.
    """
    if not reader.given_keys() <= _PLAIN_KEYS:
        return None
    kind, sql, key = reader.peek("type"), reader.peek("sql"), reader.peek("primary_key")
    if not (isinstance(kind, ScalarNode) and kind.value in _PLAIN_TYPES):
        return None
    if not (isinstance(sql, ScalarNode) and sql.value.strip()) or is_nothing(sql):
        return None
    words: list[str | None] = []
    for node in (reader.peek("title"), reader.peek("description")):
        word = node.plain() if isinstance(node, ScalarNode) else node
        if node is not None and not isinstance(word, str):
            return None
        words.append(word if isinstance(word, str) else None)
    primary = key.plain() if isinstance(key, ScalarNode) else key
    if key is not None and not isinstance(primary, bool):
        return None
    return DimensionSpec(
        name=name,
        type=kind.value,
        sql=Text(sql.value, sql),
        labels=Labels(words[0], words[1], None, None),
        primary_key=bool(primary),
        format=None,
        currency=None,
        granularities=(),
        latitude=None,
        longitude=None,
        span=reader.node.span,
    )


def _read_sql(reader: MappingReader) -> Text | CaseSpec | SwitchSpec | None:
    sql: Text | CaseSpec | SwitchSpec | None = reader.sql("sql")
    node = reader.take("case")
    if node is not None and sql is not None:
        reader.report("conflicting_keys", f"{reader.what} has both `sql` and `case`")
    if isinstance(node, MappingNode):
        if "switch" in node.entries:
            return read_switch(node, reader)
        return _read_case(node, reader)
    if node is not None:
        reader.report("wrong_type", "`case` must be a mapping", node.span)
    return sql


def _check_source(
    reader: MappingReader,
    kind: str | None,
    sql: Text | CaseSpec | SwitchSpec | None,
    coordinates: tuple[Text | None, Text | None],
    values: tuple[str, ...],
) -> None:
    """Report what a type needs and what it cannot have."""
    if kind == "geo":
        if None in coordinates or sql is not None:
            reader.report(
                "missing_key", f"{reader.what} is geo: it has `latitude` and `longitude`, no `sql`"
            )
        return
    if any(coordinates):
        reader.report("conflicting_keys", f"{reader.what} is not geo: no latitude or longitude")
    if kind == "switch":
        if not values:
            reader.report("missing_key", f"{reader.what} is a switch: it needs `values`")
        return
    if values:
        reader.report("conflicting_keys", f"{reader.what} is no switch: it has no `values`")
    if kind and sql is None and not reader.given("sql", "case"):
        reader.report("missing_key", f"{reader.what} has neither `sql` nor `case`")


def _read_values(reader: MappingReader) -> tuple[str, ...]:
    node = reader.take("values")
    if node is None:
        return ()
    if not isinstance(node, SequenceNode):
        reader.report("wrong_type", "`values` must be a list", node.span)
        return ()
    found = [item.value for item in node.items if isinstance(item, ScalarNode)]
    if len(found) < len(node.items):
        reader.report("wrong_type", "each of `values` must be text", node.span)
    if len(set(found)) < len(found):
        reader.report("duplicate_name", f"`values` of {reader.what} repeat", node.span)
    return tuple(found)


def _read_multi_stage(reader: MappingReader) -> GrainSpec | None:
    flag = reader.flag("multi_stage")
    if flag:
        return read_grain(reader) or GrainSpec("relative", None, (), ())
    for key in ("grain", "group_by", "reduce_by", "add_group_by"):
        if reader.given(key):
            reader.take(key)
            reader.report("missing_key", f"`{key}` of {reader.what} needs `multi_stage: true`")
    return None


def _read_links(reader: MappingReader) -> tuple[LinkSpec, ...]:
    found: list[LinkSpec] = []
    for item in reader.items("links"):
        inner = MappingReader(item, f"a link of {reader.what}", reader.problems)
        name, label = inner.name(), inner.text("label")
        url, dashboard = inner.sql("url"), inner.text("dashboard")
        icon = inner.text("icon")
        target = inner.choice("target", {"blank": "blank", "self": "self"})
        parameters: list[tuple[str, str]] = []
        for node in inner.items("params"):
            pair = MappingReader(node, f"a parameter of {inner.what}", reader.problems)
            key, value = pair.text("key"), pair.text("value")
            pair.finish()
            if key is None or value is None:
                pair.report("missing_key", f"{pair.what} needs `key` and `value`")
            else:
                parameters.append((key, value))
        inner.finish()
        if (url is None) == (dashboard is None):
            inner.report("conflicting_keys", f"{inner.what} has either `url` or `dashboard`")
        elif name is not None and label is not None:
            found.append(
                LinkSpec(name.value, label, url, dashboard, tuple(parameters), icon, target)
            )
        elif label is None:
            inner.report("missing_key", f"{inner.what} has no `label`")
    return tuple(found)


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
        branch.finish()
        if condition is not None and label is not None:
            branches.append(CaseBranchSpec(condition, label))
        elif condition is None:
            branch.report("missing_key", f"{branch.what} has no `sql`")
    otherwise: str | Text | None = None
    if (other := reader.take("else")) is not None:
        if isinstance(other, MappingNode):
            inner = MappingReader(other, f"`else` of {outer.what}", outer.problems)
            otherwise = _read_label(inner)
            inner.finish()
        else:
            reader.report("wrong_type", "`else` must be a mapping with `label`", other.span)
    reader.finish()
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
        if not inner.given("sql"):
            inner.report("missing_key", f"{inner.what} has no `sql`")
        return sql
    if isinstance(node, ScalarNode):
        return node.value
    if node is None:
        reader.report("missing_key", f"{reader.what} has no `label`")
    else:
        reader.report("wrong_type", "`label` must be text or a mapping with `sql`", node.span)
    return None


def _read_granularities(reader: MappingReader, kind: str | None) -> tuple[GranularitySpec, ...]:
    """Take `granularities`: a list, or a mapping whose `custom` is one."""
    entry = reader.node.entries.get("granularities")
    source, key = reader, "granularities"
    if entry is not None and isinstance(entry[1], MappingNode) and _is_selection(entry[1]):
        reader.take("granularities")
        source, key = (
            MappingReader(entry[1], f"`granularities` of {reader.what}", reader.problems),
            "custom",
        )
    found: list[GranularitySpec] = []
    for item in source.items(key):
        read = _read_granularity(item, reader, found)
        if read is not None:
            found.append(read)
    if source is not reader:
        included = source.node.entries.get("includes")
        if included and isinstance(included[1], ScalarNode) and included[1].value == "*":
            source.take("includes")  # every built-in one, as without it
        source.finish(("includes", "excludes"))
    if found and kind not in {"time", None}:
        reader.report("invalid_value", f"{reader.what} is no time: it has no granularities")
    return tuple(found)


def _is_selection(node: MappingNode) -> bool:
    return bool({"includes", "excludes", "custom"} & set(node.entries))


def _read_granularity(
    node: MappingNode, outer: MappingReader, known: list[GranularitySpec]
) -> GranularitySpec | None:
    reader = MappingReader(node, f"a granularity of {outer.what}", outer.problems)
    name, interval = reader.name(), reader.text("interval")
    offset, origin = reader.text("offset"), reader.text("origin")
    title, shown, sql = reader.text("title"), reader.text("format"), reader.sql("sql")
    reader.finish()
    if name is None:
        return None
    if name.value in {item.name for item in known}:
        reader.report("duplicate_name", f"granularity `{name.value}` exists", name.span)
        return None
    if sql is not None:
        if interval or offset or origin:
            reader.report(
                "conflicting_keys", f"{reader.what} has `sql`: no interval, offset, origin"
            )
        return GranularitySpec(name.value, title, None, None, None, sql, shown)
    if interval is None:
        reader.report("missing_key", f"{reader.what} has neither `interval` nor `sql`")
    elif (wrong := check_granularity(interval, offset, origin)) is not None:
        reader.report("invalid_value", wrong)
    elif name.value in UNITS:
        reader.report(
            "invalid_value", f"`{name.value}` is a built-in granularity", name.span,
            "a calendar redefines it by `sql`",
        )  # fmt: skip
    else:
        return GranularitySpec(name.value, title, interval, offset, origin, None, shown)
    return None
