"""From specs to cubes of the catalog: defaults, titles, resolved snippets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, cast

from semantic.catalog.catalog import (
    Cube,
    Hierarchy,
    Join,
    Relationship,
    Segment,
)
from semantic.catalog.check_cube import find_cube_problems
from semantic.catalog.link_kinds import link_kinds
from semantic.catalog.link_members import freeze, link_dimension, link_measure, qualify
from semantic.catalog.link_policy import link_access_policy
from semantic.catalog.link_rollups import link_pre_aggregation, link_select
from semantic.catalog.names import humanise
from semantic.catalog.resolve import CubeNames, Resolver
from semantic.errors import Problem, Span
from semantic.spec.cube import (
    CubeSpec,
    DimensionSpec,
    HierarchySpec,
    JoinSpec,
    MeasureSpec,
    SegmentSpec,
)
from semantic.spec.pre_aggregation import PreAggregationSpec
from semantic.spec.relation import check_relation, check_table
from semantic.spec.sheet import DIALECT

_Item = TypeVar(
    "_Item", PreAggregationSpec, DimensionSpec, MeasureSpec, SegmentSpec, JoinSpec, HierarchySpec
)

_SECOND_JOIN: Final = "give one a name of its own: `name: customer`, `cube: users`"


def link_cube(
    spec: CubeSpec,
    names: Mapping[str, CubeNames],
    problems: list[Problem],
    dialect: str = DIALECT,
) -> Cube:
    """Return the cube; what is wrong is added to `problems`, the cube is then for no use."""
    resolver = Resolver(spec.name, names, problems, dialect=dialect)
    title = spec.labels.title or humanise(spec.name)
    _check_member_names(spec, problems)
    problems.extend(find_cube_problems(spec, names))
    dimensions = {
        item.name: link_dimension(item, title, resolver)
        for item in _unique(spec.dimensions, "dimension", problems)
    }
    measures = {
        item.name: link_kinds(item, link_measure(item, title, resolver), resolver)
        for item in _unique(spec.measures, "measure", problems)
    }
    segments = {
        item.name: _link_segment(item, title, resolver)
        for item in _unique(spec.segments, "segment", problems)
    }
    joins = {
        item.name: _link_join(item, spec.name, resolver)
        for item in _unique(spec.joins, "join", problems)
    }
    hierarchies = {
        item.name: _link_hierarchy(item, resolver)
        for item in _unique(spec.hierarchies, "hierarchy", problems)
    }
    link_select(spec.refresh_sql, "`refresh_key`", resolver)
    table = check_table(spec.sql_table, problems, dialect) if spec.sql_table else None
    relation = check_relation(spec.sql, problems, dialect) if spec.sql else None
    tables = {*(table or ()), *(relation.tables if relation else ()), *resolver.tables}
    return Cube(
        name=spec.name,
        title=title,
        sql_table=spec.sql_table.value.strip() if spec.sql_table else None,
        sql=resolver.resolve_relation(relation, spec.sql) if relation and spec.sql else None,
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
        calendar=spec.calendar,
        pre_aggregations=tuple(
            link_pre_aggregation(item, resolver)
            for item in _unique(spec.pre_aggregations, "pre-aggregation", problems)
        ),
        policies=tuple(
            link_access_policy(item, spec.name, names[spec.name].kinds, problems)
            for item in spec.policies
        ),
    )


def _link_join(spec: JoinSpec, cube: str, resolver: Resolver) -> Join:
    named = spec.name != spec.cube
    return Join(
        cube,
        f"{cube}.{spec.name}" if named else spec.cube,
        cast("Relationship", spec.relationship),
        resolver.resolve(spec.sql, "row", join=(spec.name, spec.cube) if named else None),
        spec.span,
        spec.name,
        spec.cube if named else "",
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
        aliases=spec.aliases,
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
                    _SECOND_JOIN if isinstance(item, JoinSpec) else None,
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
