"""From specs to cubes of the catalog: defaults, titles, resolved snippets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from semantic.catalog.catalog import (
    CaseBranch,
    CaseExpression,
    Cube,
    Dimension,
    DimensionType,
    Expression,
    Granularity,
    Hierarchy,
    Join,
    Measure,
    MeasureType,
    Relationship,
    Segment,
)
from semantic.catalog.names import humanise
from semantic.catalog.resolve import CubeNames, Resolver
from semantic.errors import Problem, Span, suggest
from semantic.spec.cube import (
    CaseSpec,
    CubeSpec,
    DimensionSpec,
    HierarchySpec,
    JoinSpec,
    MeasureSpec,
    SegmentSpec,
)
from semantic.spec.reader import Text
from semantic.spec.relation import check_relation, check_table

AGGREGATE_TYPES: Final = frozenset({"number", "number_agg", "string", "time", "boolean"})
"""Measure types whose SQL is about a group of rows, not about one row."""

_Item = TypeVar("_Item", DimensionSpec, MeasureSpec, SegmentSpec, JoinSpec, HierarchySpec)


def link_cube(spec: CubeSpec, names: Mapping[str, CubeNames], problems: list[Problem]) -> Cube:
    """Return the cube; what is wrong is added to `problems`, the cube is then for no use."""
    resolver = Resolver(spec.name, names, problems)
    title = spec.labels.title or humanise(spec.name)
    _check_member_names(spec, problems)
    dimensions = {
        item.name: _link_dimension(item, title, resolver)
        for item in _unique(spec.dimensions, "dimension", problems)
    }
    measures = {
        item.name: _link_measure(item, title, resolver)
        for item in _unique(spec.measures, "measure", problems)
    }
    segments = {
        item.name: _link_segment(item, title, resolver)
        for item in _unique(spec.segments, "segment", problems)
    }
    joins = {
        item.name: Join(
            spec.name,
            item.name,
            cast("Relationship", item.relationship),
            resolver.resolve(item.sql, "row"),
            item.span,
        )
        for item in _unique(spec.joins, "join", problems)
    }
    hierarchies = {
        item.name: _link_hierarchy(item, resolver)
        for item in _unique(spec.hierarchies, "hierarchy", problems)
    }
    table = check_table(spec.sql_table, problems) if spec.sql_table else None
    relation = check_relation(spec.sql, problems) if spec.sql else None
    tables = {*(table or ()), *(relation[1] if relation else ()), *resolver.tables}
    return Cube(
        name=spec.name,
        title=title,
        sql_table=spec.sql_table.value.strip() if spec.sql_table else None,
        sql=Expression((relation[0],), spec.sql.span) if relation and spec.sql else None,
        dimensions=MappingProxyType(dimensions),
        measures=MappingProxyType(measures),
        segments=MappingProxyType(segments),
        joins=MappingProxyType(joins),
        hierarchies=MappingProxyType(hierarchies),
        description=spec.labels.description,
        public=spec.labels.public is not False,
        data_source=spec.data_source,
        tables=tuple(sorted(tables)),
        meta=freeze(spec.labels.meta),
        span=spec.span,
    )


def freeze(meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return `meta` as a mapping that cannot be assigned to."""
    return MappingProxyType(dict(meta or {}))


def qualify(names: Iterable[Text], resolver: Resolver, allowed: str) -> tuple[str, ...]:
    """Return member names in full; `member` is the cube's own, `cube.member` another's."""
    found: list[str] = []
    for text in names:
        written = text.value.strip()
        if written.startswith("{") and written.endswith("}"):
            written = written[1:-1]
        path = written.split(".")
        cube = resolver.cube if len(path) == 1 or path[0] == "CUBE" else path[-2]
        known = resolver.names.get(cube)
        kind = known.kinds.get(path[-1]) if known else None
        if known is None or kind is None:
            near = [*resolver.names[resolver.cube].kinds] if known is None else [*known.kinds]
            resolver.problems.append(
                Problem(
                    "unknown_reference",
                    f"there is no member `{written}`",
                    text.span,
                    suggest(path[-1], near),
                )
            )
        elif allowed == "dimension" and kind != "dimension":
            resolver.problems.append(
                Problem("invalid_reference", f"`{written}` is no dimension", text.span)
            )
        else:
            found.append(f"{cube}.{path[-1]}")
    return tuple(found)


def _link_dimension(spec: DimensionSpec, cube_title: str, resolver: Resolver) -> Dimension:
    short = spec.labels.title or humanise(spec.name)
    # Cube hides primary keys unless told otherwise.
    public = spec.labels.public if spec.labels.public is not None else not spec.primary_key
    return Dimension(
        cube=resolver.cube,
        name=spec.name,
        type=cast("DimensionType", spec.type),
        sql=_link_dimension_sql(spec.sql, resolver),
        title=f"{cube_title} {short}",
        short_title=short,
        description=spec.labels.description,
        public=public,
        primary_key=spec.primary_key,
        format=spec.format,
        currency=spec.currency,
        granularities=tuple(
            Granularity(
                item.name,
                item.title or humanise(item.name),
                item.interval,
                item.offset,
                item.origin,
            )
            for item in spec.granularities
        ),
        latitude=resolver.resolve(spec.latitude, "row") if spec.latitude else None,
        longitude=resolver.resolve(spec.longitude, "row") if spec.longitude else None,
        meta=freeze(spec.labels.meta),
        span=spec.span,
    )


def _link_dimension_sql(
    sql: Text | CaseSpec | None, resolver: Resolver
) -> Expression | CaseExpression | None:
    match sql:
        case None:
            return None
        case Text():
            return resolver.resolve(sql, "row")
        case CaseSpec():
            branches = tuple(
                CaseBranch(
                    resolver.resolve(branch.condition, "row"), _link_label(branch.label, resolver)
                )
                for branch in sql.branches
            )
            otherwise = None if sql.otherwise is None else _link_label(sql.otherwise, resolver)
            return CaseExpression(branches, otherwise)


def _link_label(label: str | Text, resolver: Resolver) -> str | Expression:
    return label if isinstance(label, str) else resolver.resolve(label, "row")


def _link_measure(spec: MeasureSpec, cube_title: str, resolver: Resolver) -> Measure:
    short = spec.labels.title or humanise(spec.name)
    sql = None
    if spec.sql is not None:
        sql = resolver.resolve(spec.sql, "aggregate" if spec.type in AGGREGATE_TYPES else "row")
    return Measure(
        cube=resolver.cube,
        name=spec.name,
        type=cast("MeasureType", spec.type),
        sql=sql,
        title=f"{cube_title} {short}",
        short_title=short,
        description=spec.labels.description,
        public=spec.labels.public is not False,
        filters=tuple(resolver.resolve(item, "row") for item in spec.filters),
        format=spec.format,
        currency=spec.currency,
        drill_members=qualify(spec.drill_members, resolver, "any"),
        meta=freeze(spec.labels.meta),
        span=spec.span,
    )


def _link_segment(spec: SegmentSpec, cube_title: str, resolver: Resolver) -> Segment:
    short = spec.labels.title or humanise(spec.name)
    return Segment(
        cube=resolver.cube,
        name=spec.name,
        sql=resolver.resolve(spec.sql, "row"),
        title=f"{cube_title} {short}",
        short_title=short,
        description=spec.labels.description,
        public=spec.labels.public is not False,
        meta=freeze(spec.labels.meta),
        span=spec.span,
    )


def _link_hierarchy(spec: HierarchySpec, resolver: Resolver) -> Hierarchy:
    return Hierarchy(
        name=spec.name,
        title=spec.labels.title or humanise(spec.name),
        levels=qualify(spec.levels, resolver, "dimension"),
        public=spec.labels.public is not False,
    )


def _unique(items: tuple[_Item, ...], noun: str, problems: list[Problem]) -> Iterable[_Item]:
    seen: dict[str, Span] = {}
    for item in items:
        if item.name in seen:
            problems.append(
                Problem(
                    "duplicate_name",
                    f"{noun} `{item.name}` is declared twice; first on line {seen[item.name].line}",
                    item.span,
                )
            )
            continue
        seen[item.name] = item.span
        yield item


def _check_member_names(spec: CubeSpec, problems: list[Problem]) -> None:
    """Dimensions, measures and segments of a cube share one set of names."""
    kinds: tuple[tuple[str, Iterable[DimensionSpec | MeasureSpec | SegmentSpec]], ...] = (
        ("dimension", spec.dimensions),
        ("measure", spec.measures),
        ("segment", spec.segments),
    )
    seen: dict[str, str] = {}
    problems.extend(
        Problem(
            "duplicate_name",
            f"`{item.name}` is a {seen[item.name]} and a {kind} of {spec.name}",
            item.span,
        )
        for kind, items in kinds
        for item in items
        if seen.setdefault(item.name, kind) != kind
    )
