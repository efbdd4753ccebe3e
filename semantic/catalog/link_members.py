"""From specs of dimensions and measures to members of the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from semantic.catalog.catalog import (
    CalendarShift,
    CaseBranch,
    CaseExpression,
    Dimension,
    DimensionType,
    Expression,
    FilterDirective,
    FilterTerm,
    FilterTree,
    Grain,
    Granularity,
    Link,
    Mask,
    Measure,
    MeasureType,
    MemberReference,
    ModelFilter,
    MultiStage,
    RankKey,
    RollingWindow,
    SwitchBranch,
    SwitchExpression,
    TimeShift,
)
from semantic.catalog.names import humanise
from semantic.catalog.resolve import Resolver, Usage, base_of
from semantic.errors import Problem, suggest
from semantic.spec.cube import (
    CaseSpec,
    DimensionSpec,
    FilterDirectiveSpec,
    FilterTermSpec,
    FilterTreeSpec,
    GrainSpec,
    MaskSpec,
    MeasureSpec,
    ModelFilterSpec,
    MultiStageSpec,
    RollingWindowSpec,
    SwitchSpec,
    TimeShiftSpec,
)
from semantic.spec.reader import Text

AGGREGATE_TYPES: Final = frozenset({"number", "number_agg", "string", "time", "boolean"})
"""Measure types whose SQL is about a group of rows, not about one row."""

_DIMENSION: Final = frozenset({"dimension"})
_FILTERED: Final = frozenset({"dimension", "measure", "segment"})


def link_dimension(spec: DimensionSpec, cube_title: str, resolver: Resolver) -> Dimension:
    """Return the dimension; what is wrong is added to the resolver's problems."""
    short = spec.labels.title or humanise(spec.name)
    # Cube hides primary keys unless told otherwise.
    public = spec.labels.public if spec.labels.public is not None else not spec.primary_key
    usage: Usage = "computed" if spec.sub_query or spec.multi_stage is not None else "row"
    sql = _link_sql(spec.sql, usage, resolver)
    if spec.sub_query and not _names_measure(sql, resolver):
        resolver.problems.append(
            Problem(
                "invalid_reference",
                f"{resolver.cube}.{spec.name} is a sub_query and names no measure",
                spec.span,
                "write {other.measure} as its `sql`",
            )
        )
    return Dimension(
        cube=resolver.cube,
        name=spec.name,
        type=cast("DimensionType", spec.type),
        sql=sql,
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
                resolver.resolve(item.sql, "row") if item.sql is not None else None,
                item.format,
            )
            for item in spec.granularities
        ),
        latitude=resolver.resolve(spec.latitude, "row") if spec.latitude else None,
        longitude=resolver.resolve(spec.longitude, "row") if spec.longitude else None,
        sub_query=spec.sub_query,
        propagate_filters=spec.propagate_filters,
        multi_stage=_link_grain(spec.multi_stage, resolver),
        values=spec.values,
        time_shifts=tuple(_link_calendar_shift(item, resolver) for item in spec.time_shifts),
        links=tuple(
            Link(
                item.name,
                item.label,
                resolver.resolve(item.url, "row") if item.url is not None else None,
                item.dashboard,
                item.parameters,
                item.icon,
                cast("Literal['blank', 'self'] | None", item.target),
            )
            for item in spec.links
        ),
        mask=_link_mask(spec.mask, resolver),
        suggest_filter_values=spec.suggest_filter_values,
        order=cast("Literal['asc', 'desc'] | None", spec.order),
        aliases=spec.aliases,
        meta=freeze(spec.labels.meta),
        span=spec.span,
        link_label=spec.link_label,
    )


def link_measure(spec: MeasureSpec, cube_title: str, resolver: Resolver) -> Measure:
    """Return the measure; what is wrong is added to the resolver's problems."""
    short = spec.labels.title or humanise(spec.name)
    usage: Usage = "aggregate" if spec.type in AGGREGATE_TYPES else "row"
    if spec.multi_stage is not None:
        usage = "stage"
    sql = None if _is_plain_count(spec) else _link_measure_sql(spec.sql, usage, resolver)
    if spec.multi_stage is not None and spec.type != "rank" and not _names_measure(sql, resolver):
        resolver.problems.append(
            Problem(
                "invalid_reference",
                f"{resolver.cube}.{spec.name} is multi_stage and names no measure",
                spec.span,
                "write {measure} in its `sql`, or leave out `multi_stage`",
            )
        )
    return Measure(
        cube=resolver.cube,
        name=spec.name,
        type=cast("MeasureType", "number" if spec.type == "conversion" else spec.type),
        sql=sql,
        title=f"{cube_title} {short}",
        short_title=short,
        description=spec.labels.description,
        public=spec.labels.public is not False,
        filters=tuple(resolver.resolve(item, "row") for item in spec.filters),
        format=spec.format,
        currency=spec.currency,
        drill_members=qualify(spec.drill_members, resolver, "any"),
        drill_filters=tuple(resolver.resolve(item, "row") for item in spec.drill_filters),
        rolling_window=_link_window(spec.rolling_window),
        multi_stage=_link_stage(spec.multi_stage, resolver),
        mask=_link_mask(spec.mask, resolver, measure=True),
        aliases=spec.aliases,
        meta=freeze(spec.labels.meta),
        span=spec.span,
    )


def _names_measure(
    sql: Expression | CaseExpression | SwitchExpression | None, resolver: Resolver
) -> bool:
    """Whether SQL names a measure; SQL with problems of its own is not judged."""
    match sql:
        case Expression():
            found = [sql]
        case SwitchExpression():
            found = [branch.sql for branch in sql.branches]
            found += [sql.otherwise] if sql.otherwise is not None else []
        case CaseExpression():
            found = [branch.condition for branch in sql.branches]
            labels = [*(branch.label for branch in sql.branches), sql.otherwise]
            found += [label for label in labels if isinstance(label, Expression)]
        case None:
            return False
    return any(not item.parts for item in found) or any(
        isinstance(part, MemberReference)
        and resolver.names[base_of(part.cube, resolver.names)].kinds[part.member] == "measure"
        for item in found
        for part in item.parts
    )


def _link_measure_sql(
    sql: Text | SwitchSpec | None, usage: Usage, resolver: Resolver
) -> Expression | SwitchExpression | None:
    match sql:
        case None:
            return None
        case Text():
            return resolver.resolve(sql, usage)
        case SwitchSpec():
            return _link_switch(sql, usage, resolver)


def _is_plain_count(spec: MeasureSpec) -> bool:
    """Whether a count says `COUNT(*)` as its SQL: it counts rows, as without it."""
    if spec.type != "count" or not isinstance(spec.sql, Text):
        return False
    return "".join(spec.sql.value.split()).upper() == "COUNT(*)"


def _link_sql(
    sql: Text | CaseSpec | SwitchSpec | None, usage: Usage, resolver: Resolver
) -> Expression | CaseExpression | SwitchExpression | None:
    match sql:
        case None:
            return None
        case Text():
            return resolver.resolve(sql, usage)
        case SwitchSpec():
            return _link_switch(sql, usage, resolver)
        case CaseSpec():
            branches = tuple(
                CaseBranch(
                    resolver.resolve(branch.condition, usage),
                    _link_label(branch.label, usage, resolver),
                )
                for branch in sql.branches
            )
            otherwise = sql.otherwise
            label = None if otherwise is None else _link_label(otherwise, usage, resolver)
            return CaseExpression(branches, label)


def _link_label(label: str | Text, usage: Usage, resolver: Resolver) -> str | Expression:
    return label if isinstance(label, str) else resolver.resolve(label, usage)


def _link_switch(spec: SwitchSpec, usage: Usage, resolver: Resolver) -> SwitchExpression | None:
    chooser = resolver.resolve_member(spec.switch, _DIMENSION)
    branches = tuple(
        SwitchBranch(branch.values, resolver.resolve(branch.sql, usage)) for branch in spec.branches
    )
    otherwise = None if spec.otherwise is None else resolver.resolve(spec.otherwise, usage)
    return None if chooser is None else SwitchExpression(chooser, branches, otherwise)


def _link_mask(spec: MaskSpec | None, resolver: Resolver, *, measure: bool = False) -> Mask | None:
    if spec is None:
        return None
    if spec.sql is None:
        return Mask(spec.value)
    return Mask(None, resolver.resolve(spec.sql, "aggregate" if measure else "row"))


def _link_members(
    names: Iterable[Text], resolver: Resolver, allowed: frozenset[str] = _FILTERED
) -> tuple[MemberReference, ...]:
    found = (resolver.resolve_member(name, allowed) for name in names)
    return tuple(item for item in found if item is not None)


def _link_grain(spec: GrainSpec | None, resolver: Resolver) -> Grain | None:
    if spec is None:
        return None
    keep_only = None
    if spec.keep_only is not None:
        keep_only = _link_members(spec.keep_only, resolver, _DIMENSION)
    return Grain(
        cast("Literal['relative', 'fixed']", spec.mode),
        keep_only,
        _link_members(spec.exclude, resolver, _DIMENSION),
        _link_members(spec.include, resolver, _DIMENSION),
    )


def _link_stage(spec: MultiStageSpec | None, resolver: Resolver) -> MultiStage | None:
    if spec is None:
        return None
    return MultiStage(
        _link_grain(spec.grain, resolver),
        _link_directive(spec.filter, resolver),
        tuple(_link_shift(item, resolver) for item in spec.time_shifts),
        tuple(
            RankKey(resolver.resolve(item.sql, "stage"), item.descending) for item in spec.order_by
        ),
    )


def _link_directive(spec: FilterDirectiveSpec | None, resolver: Resolver) -> FilterDirective | None:
    if spec is None:
        return None
    keep_only = None if spec.keep_only is None else _link_members(spec.keep_only, resolver)
    include = (_link_filter(item, resolver) for item in spec.include)
    return FilterDirective(
        cast("Literal['relative', 'fixed']", spec.mode),
        keep_only,
        _link_members(spec.exclude, resolver),
        tuple(item for item in include if item is not None),
    )


def _link_filter(spec: ModelFilterSpec, resolver: Resolver) -> ModelFilter | None:
    match spec:
        case FilterTermSpec():
            member = resolver.resolve_member(spec.member, _DIMENSION)
            return None if member is None else FilterTerm(member, spec.operator, spec.values)
        case FilterTreeSpec():
            found = (_link_filter(part, resolver) for part in spec.parts)
            parts = tuple(part for part in found if part is not None)
            return FilterTree(cast("Literal['and', 'or']", spec.word), parts)


def link_time(text: Text, resolver: Resolver) -> MemberReference | None:
    """Return a time dimension."""
    member = resolver.resolve_member(text, _DIMENSION)
    if member is None:
        return None
    if member.member in resolver.names[base_of(member.cube, resolver.names)].granularities:
        return member
    resolver.problems.append(
        Problem("invalid_reference", f"`{text.value.strip()[:60]}` is no time dimension", text.span)
    )
    return None


def _link_shift(spec: TimeShiftSpec, resolver: Resolver) -> TimeShift:
    member = None
    if spec.time_dimension is not None:
        member = link_time(spec.time_dimension, resolver)
    return TimeShift(
        spec.interval, cast("Literal['prior', 'next'] | None", spec.direction), spec.name, member
    )


def _link_calendar_shift(spec: TimeShiftSpec, resolver: Resolver) -> CalendarShift:
    return CalendarShift(
        spec.name,
        spec.interval,
        cast("Literal['prior', 'next'] | None", spec.direction),
        resolver.resolve(spec.sql, "row") if spec.sql is not None else None,
    )


def _link_window(spec: RollingWindowSpec | None) -> RollingWindow | None:
    if spec is None:
        return None
    return RollingWindow(
        cast("Literal['fixed', 'to_date']", spec.kind),
        spec.trailing,
        spec.leading,
        cast("Literal['start', 'end']", spec.offset),
        spec.granularity,
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
