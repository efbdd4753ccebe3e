"""From specs of pre-aggregations to the catalog: their members exist, their SQL is one SELECT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

from semantic.catalog.calls import OWN, link_call
from semantic.catalog.catalog import Expression, MemberReference
from semantic.catalog.link_members import link_time
from semantic.catalog.pre_aggregation import (
    PreAggregation,
    PreAggregationType,
    RefreshKey,
    RollupIndex,
    RollupTime,
)
from semantic.catalog.resolve import Resolver, base_of
from semantic.errors import Problem, suggest
from semantic.spec.context_references import SourceReference
from semantic.spec.pre_aggregation import PreAggregationSpec, RollupIndexSpec
from semantic.spec.reader import Text
from semantic.spec.relation import check_relation


def link_pre_aggregation(spec: PreAggregationSpec, resolver: Resolver) -> PreAggregation:
    """Return the pre-aggregation; what is wrong is added to the resolver's problems."""
    times = ((link_time(item.member, resolver), item.granularity) for item in spec.times)
    key = spec.refresh_key
    return PreAggregation(
        name=spec.name,
        type=cast("PreAggregationType", spec.type),
        measures=_members(spec.measures, resolver, "measure"),
        dimensions=_members(spec.dimensions, resolver, "dimension"),
        segments=_members(spec.segments, resolver, "segment"),
        times=tuple(
            RollupTime(member, _granularity(member, cut, spec, resolver))
            for member, cut in times
            if member is not None
        ),
        partition_granularity=spec.partition_granularity,
        refresh_key=None
        if key is None
        else RefreshKey(
            key.every,
            link_select(key.sql, "`refresh_key`", resolver),
            key.timezone,
            key.incremental,
            key.update_window,
            key.immutable,
        ),
        build_range_start=link_select(spec.build_range_start, "`build_range_start`", resolver),
        build_range_end=link_select(spec.build_range_end, "`build_range_end`", resolver),
        rollups=tuple(
            name.value if "." in name.value else f"{resolver.cube}.{name.value}"
            for name in spec.rollups
        ),
        indexes=tuple(_link_index(item, spec, resolver) for item in spec.indexes),
        union_with_source_data=spec.union_with_source_data,
        allow_non_strict_date_range_match=spec.allow_non_strict_date_range_match,
        scheduled_refresh=spec.scheduled_refresh,
        external=spec.external,
        span=spec.span,
    )


def _granularity(
    member: MemberReference, cut: str, spec: PreAggregationSpec, resolver: Resolver
) -> str:
    known = resolver.names[base_of(member.cube, resolver.names)].granularities[member.member]
    if cut not in known:
        resolver.problems.append(
            Problem(
                "unknown_reference",
                f"pre-aggregation `{spec.name}`: {member.member} has no granularity `{cut[:60]}`",
                spec.span,
                suggest(cut, known),
            )
        )
    return cut


def _members(names: Iterable[Text], resolver: Resolver, kind: str) -> tuple[MemberReference, ...]:
    found = (resolver.resolve_member(name, {kind}) for name in names)
    return tuple(item for item in found if item is not None)


def link_select(text: Text | None, what: str, resolver: Resolver) -> Expression | None:
    """Return a SELECT as it is written, checked; it reads tables, so it is no snippet of a cube."""
    if text is None:
        return None
    relation = check_relation(text, resolver.problems, resolver.dialect, what)
    for part in relation.parts if relation is not None else ():
        if isinstance(part, str) or part.call is None:
            continue
        if isinstance(part.call, SourceReference) and part.call.cube in {*OWN, resolver.cube}:
            continue  # what stands beside a cube may read it
        link_call(part.call, text, part.offset, resolver, relation=True)  # for what it reports
    return Expression((text.value,), text.span)


def _link_index(item: RollupIndexSpec, spec: PreAggregationSpec, resolver: Resolver) -> RollupIndex:
    """Return the index. Its columns are members of the rollup, called as Cube's columns are too."""
    kind: Literal["regular", "aggregate"] = "aggregate" if item.type == "aggregate" else "regular"
    known: dict[str, None] = {}
    for text in (*spec.measures, *spec.dimensions, *spec.segments):
        known |= dict.fromkeys(_list_columns(text.value, resolver.cube))
    for time in spec.times:
        names = _list_columns(time.member.value, resolver.cube)
        known |= dict.fromkeys(names)
        known |= dict.fromkeys(f"{name}{sign}{time.granularity}" for name in names for sign in "._")
    for column in item.columns if spec.type == "rollup" else ():
        name = _bare(column.value)
        if name not in known:
            resolver.problems.append(
                Problem(
                    "unknown_reference",
                    f"index `{item.name}` of pre-aggregation `{spec.name}`: "
                    f"it has no column `{name[:60]}`",
                    column.span,
                    suggest(name, known) or "name measures and dimensions of the pre-aggregation",
                )
            )
    return RollupIndex(item.name, tuple(column.value for column in item.columns), kind)


def _bare(written: str) -> str:
    """Return a member's name without braces."""
    return written.strip().removeprefix("{").removesuffix("}").strip()


def _list_columns(written: str, cube: str) -> tuple[str, ...]:
    """Return what the column of a member may be called."""
    *path, member = _bare(written).split(".")
    owner = path[-1] if path and path[-1] not in OWN else cube
    names = [f"{owner}.{member}", f"{owner}__{member}", member]
    return tuple([*names, f"CUBE.{member}"] if owner == cube else names)
