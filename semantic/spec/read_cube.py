"""From the tree of a cube to its spec. Every key of Cube's format is named here once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from semantic.errors import Problem
from semantic.spec.cube import (
    CubeSpec,
    HierarchySpec,
    JoinSpec,
    SegmentSpec,
)
from semantic.spec.policy import read_access_policies
from semantic.spec.pre_aggregation import read_pre_aggregation, read_refresh_key
from semantic.spec.read_dimension import read_dimension
from semantic.spec.read_labels import read_aliases, read_labels
from semantic.spec.read_measure import read_measure
from semantic.spec.reader import MappingReader
from semantic.spec.source import MappingNode, ScalarNode

RELATIONSHIPS: Final = {
    "one_to_one": "one_to_one", "oneToOne": "one_to_one",
    "has_one": "one_to_one", "hasOne": "one_to_one",
    "one_to_many": "one_to_many", "oneToMany": "one_to_many",
    "has_many": "one_to_many", "hasMany": "one_to_many",
    "many_to_one": "many_to_one", "manyToOne": "many_to_one",
    "belongs_to": "many_to_one", "belongsTo": "many_to_one",
}  # fmt: skip

_CUBE_LATER = (
    "rewrite_queries", "context_members", "dialect",
)  # fmt: skip
_Spec = TypeVar("_Spec")


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
    refresh = read_refresh_key(reader)  # checked; what is served changes by snapshot: no effect
    spec = CubeSpec(
        name=name.value if name else "",
        sql=sql,
        sql_table=sql_table,
        labels=read_labels(reader),
        data_source=data_source,
        dimensions=_each(reader, "dimensions", read_dimension, problems),
        measures=_each(reader, "measures", read_measure, problems),
        segments=_each(reader, "segments", _read_segment, problems),
        joins=_each(reader, "joins", _read_join, problems),
        hierarchies=_each(reader, "hierarchies", _read_hierarchy, problems),
        span=name.span if name else node.span,
        calendar=bool(reader.flag("calendar")),
        pre_aggregations=_each(reader, "pre_aggregations", read_pre_aggregation, problems),
        policies=read_access_policies(reader),
        refresh_sql=refresh.sql if refresh is not None else None,
    )
    reader.text("sql_alias")  # names of columns and rollups in Cube: nothing here is called by it
    reader.finish(_CUBE_LATER)
    return spec if name else None


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


def _read_segment(reader: MappingReader, name: str) -> SegmentSpec | None:
    sql, labels, aliases = reader.sql("sql"), read_labels(reader), read_aliases(reader)
    reader.finish()
    if sql is None:
        if not reader.given("sql"):
            reader.report("missing_key", f"{reader.what} has no `sql`")
        return None
    return SegmentSpec(name, sql, labels, reader.node.span, aliases)


def _read_join(reader: MappingReader, name: str) -> JoinSpec | None:
    """Return a join; `alias` (Cube), or `name` with `cube`, tell two joins to one cube apart."""
    relationship, sql = reader.choice("relationship", RELATIONSHIPS), reader.sql("sql")
    alias, cube = reader.identifier("alias"), reader.identifier("cube")
    reader.finish()
    for key in ("relationship", "sql"):
        if not reader.given(key):
            reader.report("missing_key", f"{reader.what} has no `{key}`")
    if alias is not None and cube is not None:
        reader.report("conflicting_keys", f"{reader.what}: `name` is its name, so no `alias`")
    if relationship is None or sql is None:
        return None
    if alias is not None:
        return JoinSpec(alias.value, relationship, sql, reader.node.span, name)
    return JoinSpec(name, relationship, sql, reader.node.span, cube.value if cube else name)


def _read_hierarchy(reader: MappingReader, name: str) -> HierarchySpec | None:
    labels, levels = read_labels(reader), reader.texts("levels")
    reader.finish()
    if not levels:
        reader.report("missing_key", f"{reader.what} has no `levels`")
        return None
    return HierarchySpec(name, labels, levels, reader.node.span)
