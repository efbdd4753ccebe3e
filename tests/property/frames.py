"""Frames: the groups and row conditions for which measures are evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.property.model import Measure, Place, World
from tests.property.queries import Asked, Compares, Filter, Nested, members_in


@dataclass(frozen=True, slots=True)
class Grouping:
    """What is grouped by: a dimension, a time cut to a granularity."""

    name: str
    place: Place
    granularity: str | None = None

    @property
    def member(self) -> str:
        """The dimension as its cube names it."""
        return f"{self.place.cube}.{self.place.item.name}"

    @property
    def identity(self) -> tuple[str, str | None]:
        """What tells groupings apart."""
        return self.member, self.granularity


@dataclass(frozen=True, slots=True)
class Shift:
    """Moves a time dimension: `amount` units later, what lies in the past stands here."""

    member: str
    amount: int
    unit: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Groups and row conditions: date ranges, filters and segments, and how times are moved.

    `guards` are guarded cubes, of which each row must meet a visible row.
    """

    keys: tuple[Grouping, ...] = ()
    ranges: tuple[Compares, ...] = ()
    filters: tuple[Filter, ...] = ()
    segments: tuple[str, ...] = ()
    shifts: tuple[Shift, ...] = ()
    guards: tuple[Place, ...] = ()

    @property
    def conditions(self) -> tuple[Filter | str, ...]:
        """Filters, and the names of segments, in the order in which they mention cubes."""
        return (*self.ranges, *self.filters, *self.segments)

    def only(self, conditions: Iterable[Filter | str]) -> Frame:
        """Return the frame with no other conditions than these."""
        kept = list(conditions)
        return dataclasses.replace(
            self,
            ranges=tuple(item for item in self.ranges if item in kept),
            filters=tuple(item for item in self.filters if item in kept),
            segments=tuple(item for item in self.segments if item in kept),
        )


def frame_of(world: World, asked: Asked) -> tuple[Frame, list[Filter]]:
    """Return the frame of a query, and its conditions on groups."""
    keys = [Grouping(name, world.places[name]) for name in asked.dimensions]
    keys += [
        Grouping(f"{item.member}.{item.granularity}", world.places[item.member], item.granularity)
        for item in asked.times
        if item.granularity is not None
    ]
    rows: list[Filter] = []
    groups: list[Filter] = []
    for item in asked.filters:
        places = [world.places[name] for name in members_in(item)]
        about_groups = any(isinstance(place.item, Measure) for place in places)
        (groups if about_groups else rows).append(item)
    frame = Frame(
        keys=tuple({item.name: item for item in keys}.values()),
        ranges=tuple(
            Compares(item.member, "inDateRange", item.range)
            for item in asked.times
            if item.range is not None
        ),
        filters=tuple(rows),
        segments=asked.segments,
    )
    return frame, groups


def drop(frame: Frame, unwanted: Callable[[str], bool]) -> Frame:
    """Return the frame without what is said about unwanted members, also inside and/or."""
    pruned = (_prune(item, unwanted) for item in frame.filters)
    return dataclasses.replace(
        frame,
        ranges=tuple(item for item in frame.ranges if not unwanted(item.member)),
        filters=tuple(item for item in pruned if item is not None),
        segments=tuple(name for name in frame.segments if not unwanted(name)),
    )


def _prune(item: Filter, unwanted: Callable[[str], bool]) -> Filter | None:
    match item:
        case Compares():
            return None if unwanted(item.member) else item
        case Nested():
            parts = [found for part in item.parts if (found := _prune(part, unwanted)) is not None]
            return dataclasses.replace(item, parts=tuple(parts)) if parts else None
