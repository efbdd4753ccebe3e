"""What a plan reads rows for: each of its aggregates, as the rollup that would answer it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from semantic.catalog.catalog import Dimension, MemberReference
from semantic.catalog.pre_aggregation import PreAggregation, RollupTime
from semantic.plan.nodes import Aggregate, Coarsen, Groups, Plan, Relation, Ungrouped
from semantic.plan.walk import parts_of
from semantic.query.bound import (
    AllOf,
    AnyOf,
    Compares,
    Condition,
    DimensionUse,
    InSegment,
    IsNull,
    Matches,
    OneOf,
    Within,
)
from semantic.query.dates import Instant

Simple = IsNull | OneOf | Matches | Compares | Within | InSegment
_FINE_TO_COARSE: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_OUTSIDE_WEEKS: Final = frozenset({"month", "quarter", "year"})


@dataclass(frozen=True, slots=True)
class Need:
    """Members of a rollup of `cube`. Times are cut to one granularity each."""

    cube: str
    measures: frozenset[MemberReference]
    dimensions: frozenset[MemberReference]
    segments: frozenset[MemberReference]
    times: frozenset[tuple[MemberReference, str]]

    def join(self, other: Need) -> Need:
        """Return what answers both."""
        return Need(
            self.cube,
            self.measures | other.measures,
            self.dimensions | other.dimensions,
            self.segments | other.segments,
            _join_times([*self.times, *other.times]),
        )

    def declare(self, name: str) -> PreAggregation:
        """Return the rollup, its members in the order of their names."""
        return PreAggregation(
            name=name,
            type="rollup",
            measures=tuple(sorted(self.measures, key=str)),
            dimensions=tuple(sorted(self.dimensions, key=str)),
            segments=tuple(sorted(self.segments, key=str)),
            times=tuple(RollupTime(*item) for item in sorted(self.times, key=str)),
        )


def list_needs(plan: Plan) -> list[Need]:
    """Return a need for each aggregate of rows; nothing for a plan of rows that are not grouped."""
    if isinstance(plan.source, Ungrouped):
        return []
    return [_need(item) for item in _aggregates(plan.source)]


def _aggregates(relation: Relation) -> Iterator[Aggregate | Groups]:
    match relation:
        case Aggregate() | Groups():
            yield relation
        case Coarsen():
            yield relation.whole
        case _:
            for part in parts_of(relation):
                yield from _aggregates(part)


def _need(relation: Aggregate | Groups) -> Need:
    dimensions: set[MemberReference] = set()
    segments: set[MemberReference] = set()
    times: list[tuple[MemberReference, str]] = []
    for key in relation.keys:
        if key.granularity is None:
            dimensions.add(_refer(key.dimension, key.path))
        else:
            times.append((_refer(key.dimension, key.path), key.granularity))
    for condition in (*relation.rows.conditions, *relation.rows.guards):
        for part in _flatten(condition):
            match part:
                case InSegment(use=use):
                    segments.add(MemberReference(use.segment.cube, use.segment.name, path=use.path))
                case Within(use=DimensionUse(dimension=dimension, path=path), start=start, end=end):
                    cut = _find_cut([bound for bound in (start, end) if bound is not None])
                    times.append((_refer(dimension, path), cut))
                case _ if isinstance(part.use, DimensionUse):
                    dimensions.add(_refer(part.use.dimension, part.use.path))
    cut_members = {member for member, _ in times}
    leaves = relation.leaves if isinstance(relation, Aggregate) else ()
    return Need(
        relation.rows.cube,
        frozenset(MemberReference(leaf.cube, leaf.name) for leaf in leaves),
        frozenset(dimensions - cut_members),
        frozenset(segments),
        _join_times([*times, *((item, "second") for item in dimensions & cut_members)]),
    )


def _refer(dimension: Dimension, path: tuple[str, ...]) -> MemberReference:
    return MemberReference(dimension.cube, dimension.name, path=path if len(path) > 1 else ())


def _flatten(condition: Condition) -> Iterator[Simple]:
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from _flatten(part)
    else:
        yield condition


def _join_times(
    times: list[tuple[MemberReference, str]],
) -> frozenset[tuple[MemberReference, str]]:
    """Return each time once, cut so that all asked periods are made of the cut's."""
    found: dict[MemberReference, str] = {}
    custom: set[tuple[MemberReference, str]] = set()
    for member, cut in times:
        if cut not in _FINE_TO_COARSE:
            custom.add((member, cut))  # a granularity of the model's own: kept as it is
            continue
        known = found.get(member, cut)
        pair = {known, cut}
        if "week" in pair and pair & _OUTSIDE_WEEKS:
            found[member] = "day"
        else:
            found[member] = min(pair, key=_FINE_TO_COARSE.index)
    return frozenset({*found.items(), *custom})


def _find_cut(bounds: list[Instant]) -> str:
    """Return the coarsest period that begins at each of the moments."""
    for name in reversed(_FINE_TO_COARSE):
        if all(_begins(name, bound) for bound in bounds):
            return name
    return "second"


def _begins(period: str, bound: Instant) -> bool:
    moment = bound.local
    if moment.second or moment.microsecond:
        return period == "second"
    small = {"second": True, "minute": True, "hour": moment.minute == 0}
    if period in small:
        return small[period]
    day = moment.minute == 0 and moment.hour == 0
    match period:
        case "day":
            return day
        case "week":
            return day and moment.weekday() == 0
        case "month":
            return day and moment.day == 1
        case "quarter":
            return day and moment.day == 1 and moment.month % 3 == 1
        case _:
            return day and moment.day == 1 and moment.month == 1
