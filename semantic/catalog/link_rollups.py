"""From specs of pre-aggregations to the catalog: their members exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

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
from semantic.spec.pre_aggregation import PreAggregationSpec
from semantic.spec.reader import Text


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
            _range(key.sql),
            key.timezone,
            key.incremental,
            key.update_window,
            key.immutable,
        ),
        build_range_start=_range(spec.build_range_start),
        build_range_end=_range(spec.build_range_end),
        rollups=tuple(
            name.value if "." in name.value else f"{resolver.cube}.{name.value}"
            for name in spec.rollups
        ),
        indexes=tuple(
            RollupIndex(
                item.name, item.columns, "aggregate" if item.type == "aggregate" else "regular"
            )
            for item in spec.indexes
        ),
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


def _range(text: Text | None) -> Expression | None:
    """Return the SELECT of a build range; it reads tables, so it is no snippet of a cube."""
    return None if text is None else Expression((text.value,), text.span)
