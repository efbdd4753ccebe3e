"""Measures that a query makes: a measure at another time, and how it changed since.

`shift` and `compare` need no YAML. They become what an analyst could have written in it, a multi-stage
measure with a `time_shift` and measures computed from two, in a catalog that holds for this one query:
the model's, with these measures laid over it. So planner and compiler know nothing of them, and they
mean what the same measures of the model would mean.

What a caller may see of a made measure is what it may see of the measure that it is made of: its
name opens nothing, its rows are filtered and its value is masked alike.

What the previous period is, previous.py says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import (
    Catalog,
    Cube,
    Expression,
    Hierarchy,
    Measure,
    MeasureType,
    MemberReference,
    MultiStage,
    TimeShift,
    View,
    ViewMember,
)
from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.bound import Condition, DimensionUse, MeasureUse
from semantic.query.columns import bind_time, misplaced
from semantic.query.conditions import filtered_names
from semantic.query.dates import Interval, parse_range
from semantic.query.defaults import Key
from semantic.query.granularities import measure_period
from semantic.query.json_derived import PREVIOUS_PERIOD
from semantic.query.members import CubeMember, Sight, clip, find_member
from semantic.query.previous import measure_back
from semantic.query.query import Comparison, Query, ShiftedMeasure

_TITLES: Final[Mapping[Comparison, str]] = {
    "previous": "previous",
    "change": "change",
    "change_percent": "change in %",
}
_PERCENT: Final = "number_1"  # the format `percent` is for shares: it shows 0.5 as 50 %
Named = TypeVar("Named", bound=Cube | View)


@dataclass(frozen=True, slots=True)
class Derived:
    """A query with made measures: the catalog and the sight in which it has a meaning.

    `origins`: the full names of made measures, and of what they are made. `copies`: the same as
    cube and measure.
    """

    catalog: Catalog
    query: Query
    sight: Sight
    origins: Mapping[str, str]
    copies: Mapping[Key, Key]

    def copy_masks(self, masks: Mapping[Key, Condition | None]) -> Mapping[Key, Condition | None]:
        """Return the masks, those of made measures as of what they are made of."""
        copied = {made: masks[base] for made, base in self.copies.items() if base in masks}
        return MappingProxyType({**masks, **copied})


class DerivedSight:
    """Sees a made measure wherever it would see what the measure is made of."""

    __slots__ = ("_made", "_sight")

    def __init__(self, sight: Sight, made: Mapping[Key, CubeMember | ViewMember]) -> None:
        self._sight = sight
        self._made = made

    def sees(self, owner: Cube | View, item: CubeMember | Hierarchy | ViewMember | None) -> bool:
        """Whether the caller may see it."""
        origin = self._made.get((owner.name, item.name)) if item is not None else None
        return self._sight.sees(owner, item if origin is None else origin)


class _Laid(Mapping[str, Named], Generic[Named]):
    """Cubes or views with some replaced. Roles are found by their names as behind."""

    __slots__ = ("_behind", "_laid")

    def __init__(self, behind: Mapping[str, Named], laid: Mapping[str, Named]) -> None:
        self._behind = behind
        self._laid = laid

    def __getitem__(self, name: str) -> Named:
        found = self._laid.get(name)
        return self._behind[name] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._behind)

    def __len__(self) -> int:
        return len(self._behind)


def derive(
    catalog: Catalog, query: Query, sight: Sight, *, now: datetime, zone: ZoneInfo
) -> Derived | None:
    """Return the query with its made measures; None when it makes none.

    Raises:
        UnknownMemberError: a measure or time dimension is none, or hidden.
        QuerySyntaxError: there is no one time to shift, or a name is taken.
        UnsupportedError: the comparison would not be clear.
    """
    if not query.shifted and query.compare is None:
        return None
    if query.ungrouped:
        raise UnsupportedError(
            "shift and compare are about groups, and the query is ungrouped",
            suggestion="leave out `ungrouped`",
        )
    maker = _Maker(catalog, query, sight)
    for item in query.shifted:
        maker.shift(item)
    if query.compare is not None:
        query = maker.compare(now, zone)
    return maker.finish(query)


class _Maker:
    """Makes the measures of one query."""

    def __init__(self, catalog: Catalog, query: Query, sight: Sight) -> None:
        self._catalog = catalog
        self._query = query
        self._sight = sight
        self._origins: dict[str, str] = {}
        self._measures: dict[str, dict[str, Measure]] = {}
        self._shown: dict[str, dict[str, ViewMember]] = {}
        self._made: dict[Key, CubeMember | ViewMember] = {}
        self._copies: dict[Key, Key] = {}

    def shift(self, item: ShiftedMeasure) -> None:
        """Make the measure at another time."""
        time = self._time(item.time_dimension)
        base, shown = self._base(item.measure)
        word = "earlier" if item.direction == "prior" else "later"
        label = f"{item.interval} {word}"
        suffix = f"{item.interval.replace(' ', '_')}_{item.direction}"
        sql = Expression((_refer(base.measure),))
        stage = MultiStage(
            time_shifts=(TimeShift(item.interval, item.direction, None, _reference(time)),)
        )
        self._add(item.name, item.measure, base, shown, suffix, label, sql, stage)

    def compare(self, now: datetime, zone: ZoneInfo) -> Query:
        """Make what `compare` sets beside the measures; return the query that asks for all."""
        query, compare = self._query, self._query.compare
        if compare is None:
            return query
        time = self._time(compare.time_dimension)
        interval = compare.to
        if interval == PREVIOUS_PERIOD:
            interval = self._previous(time, now, zone)
        shifted = {item.name for item in query.shifted}
        chosen = compare.measures
        if chosen is None:
            chosen = tuple(name for name in query.measures if name not in shifted)
        missing = [name for name in chosen if name not in query.measures or name in shifted]
        if missing or not chosen:
            raise QuerySyntaxError(
                f'Invalid query format: "compare.measures" names {clip(missing[0])}, which the '
                "query does not ask for"
                if missing
                else 'Invalid query format: "compare" needs a measure to compare',
                suggestion="add it to measures",
            )
        names: list[str] = []
        for name in query.measures:
            names.append(name)
            if name in chosen:
                names += self._compare_one(name, time, interval, compare.show)
        return dataclasses.replace(query, measures=tuple(names))

    def _compare_one(
        self, name: str, time: DimensionUse, interval: str, show: tuple[Comparison, ...]
    ) -> list[str]:
        base, shown = self._base(name)
        shifts = (TimeShift(interval, "prior", None, _reference(time)),)
        before = Expression((_refer(base.measure),))
        stage = MultiStage(time_shifts=shifts)
        made = self._add(
            f"{name}__previous", name, base, shown, "previous", "previous", before, stage
        )
        value, previous = _refer(base.measure), _refer(made)
        snippets: dict[Comparison, Expression] = {
            "change": Expression((value, " - ", previous)),
            "change_percent": Expression(
                ("100.0 * (", value, " - ", previous, ") / NULLIF(", previous, ", 0)")
            ),
        }
        for kind, sql in snippets.items():
            if kind in show:
                self._check_number(base.measure, name)
                full = f"{name}__{kind}"
                self._add(full, name, base, shown, kind, _TITLES[kind], sql, None)
        return [f"{name}__{kind}" for kind in show]

    def finish(self, query: Query) -> Derived:
        """Return the query and the catalog in which it has a meaning."""
        catalog = self._catalog
        cubes = {
            name: dataclasses.replace(
                catalog.cubes[name],
                measures=MappingProxyType({**catalog.cubes[name].measures, **made}),
            )
            for name, made in self._measures.items()
        }
        views = {
            name: dataclasses.replace(
                catalog.views[name],
                members=MappingProxyType({**catalog.views[name].members, **made}),
            )
            for name, made in self._shown.items()
        }
        laid = dataclasses.replace(
            catalog, cubes=_Laid(catalog.cubes, cubes), views=_Laid(catalog.views, views)
        )
        return Derived(
            laid,
            query,
            DerivedSight(self._sight, self._made),
            self._origins,
            self._copies,
        )

    def _add(
        self,
        full: str,
        origin: str,
        base: MeasureUse,
        shown: ViewMember | None,
        suffix: str,
        label: str,
        sql: Expression,
        stage: MultiStage | None,
    ) -> Measure:
        owner, _, short = full.rpartition(".")
        measure = base.measure
        # Behind a view, a name that no caller can write and no member has.
        name = short if shown is None else f"{owner}.{short}"
        cube = self._catalog.cubes[measure.cube]
        percent = suffix == "change_percent"
        made = dataclasses.replace(
            measure,
            name=name,
            type=_type(measure.type),
            sql=sql,
            title=f"{measure.title} ({label})",
            short_title=f"{measure.short_title} ({label})",
            filters=(),
            format=_PERCENT if percent else measure.format,
            currency=None if percent else measure.currency,
            drill_members=(),
            drill_filters=(),
            rolling_window=None,
            multi_stage=stage,
            aliases=(),
            non_additive=None,
            fill_nulls_with=None if stage is None else measure.fill_nulls_with,
            join_to_timespine=False,
            conversion=None,
        )
        known = self._measures.setdefault(measure.cube, {})
        if known.setdefault(name, made) != made or _is_member(cube, name):
            raise _taken(full)
        self._origins[full] = origin
        self._made[measure.cube, name] = measure
        self._copies[measure.cube, name] = (measure.cube, measure.name)
        if shown is not None:
            view = self._catalog.views[owner]
            if short in view.members:
                raise _taken(full)
            self._shown.setdefault(owner, {})[short] = dataclasses.replace(
                shown,
                name=short,
                member=name,
                title=f"{shown.title} ({label})",
                short_title=f"{shown.short_title} ({label})",
                format=_PERCENT if percent else shown.format,
            )
            self._made[owner, short] = shown
        return made

    def _base(self, name: str) -> tuple[MeasureUse, ViewMember | None]:
        use, shown = find_member(self._catalog, name, self._sight)
        if not isinstance(use, MeasureUse):
            raise misplaced(name, use, "measures")
        return use, shown

    def _time(self, name: str | None) -> DimensionUse:
        """Return the time dimension that is moved: the one named, or the one of the query."""
        asked = list(dict.fromkeys(item.dimension for item in self._query.time_dimensions))
        if name is None:
            if len(asked) != 1:
                raise QuerySyntaxError(
                    "shift and compare move a time dimension of the query, which has "
                    + (f"{len(asked)} of them" if asked else "none in timeDimensions"),
                    suggestion="name one of them as `timeDimension`"
                    if asked
                    else "add it to timeDimensions, with a dateRange or a granularity",
                )
            name = asked[0]
        elif name not in asked:
            raise QuerySyntaxError(
                f"{clip(name)} is to be shifted, and is none of the query's timeDimensions",
                suggestion="add it to timeDimensions, with a dateRange or a granularity",
            )
        if not any(
            item.dimension == name and (item.granularity or item.date_range is not None)
            for item in self._query.time_dimensions
        ) and not any(name in filtered_names(item) for item in self._query.filters):
            raise QuerySyntaxError(
                f"{clip(name)} has neither a dateRange nor a granularity: moved, nothing changes",
                suggestion="give it a dateRange or a granularity",
            )
        found, _ = bind_time(self._catalog, name, self._sight)
        return found

    def _previous(self, time: DimensionUse, now: datetime, zone: ZoneInfo) -> str:
        ranges: list[Interval] = []
        finest = float("inf")
        for item in self._query.time_dimensions:
            if bind_time(self._catalog, item.dimension, self._sight)[0] != time:
                continue
            if item.date_range is not None:
                ranges.append(parse_range(item.date_range, now=now, zone=zone))
            if item.granularity is not None:
                finest = min(finest, measure_period(time.dimension, item.granularity))
        if len(ranges) != 1:
            raise QuerySyntaxError(
                "the previous period needs one dateRange to be the period",
                suggestion='add a dateRange to the time dimension, or compare to an interval ("1 year")',
            )
        return measure_back(ranges[0], finest)

    def _check_number(self, measure: Measure, name: str) -> None:
        if measure.type in {"string", "time", "boolean"}:
            raise UnsupportedError(
                f"{clip(name)} is of type {measure.type}: it has no change",
                suggestion='compare it with show: ["previous"]',
            )


def _refer(measure: Measure) -> MemberReference:
    return MemberReference(measure.cube, measure.name)


def _reference(time: DimensionUse) -> MemberReference:
    return MemberReference(time.dimension.cube, time.dimension.name)


def _type(type_: MeasureType) -> MeasureType:
    return type_ if type_ in {"string", "time", "boolean"} else "number"


def _is_member(cube: Cube, name: str) -> bool:
    return name in cube.measures or name in cube.dimensions or name in cube.segments


def _taken(name: str) -> QuerySyntaxError:
    return QuerySyntaxError(
        f"{clip(name)} is the name of something else already",
        suggestion="give the shifted measure another name with `as`",
    )
