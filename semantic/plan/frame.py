"""Frames: what an evaluation is about. And where its members live."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from semantic.plan.nodes import GroupKey, Shift
from semantic.query.bound import Condition, DimensionUse, Guard, SegmentUse, Use, Within
from semantic.query.conditions import uses_of


@dataclass(frozen=True, slots=True)
class Frame:
    """The groups, the conditions on rows and the shifts of time of one evaluation.

    `ranges` are the date ranges of the query's time dimensions; rolling windows stand in their
    place. `conditions` are all the others. `guards` are those of access policies: no stage lifts or
    shifts them.
    """

    keys: tuple[GroupKey, ...]
    ranges: tuple[Within, ...] = ()
    conditions: tuple[Condition, ...] = ()
    shifts: tuple[Shift, ...] = ()
    guards: tuple[Guard, ...] = ()

    @property
    def asked_conditions(self) -> tuple[Condition, ...]:
        """Ranges first: they exclude most."""
        return (*self.ranges, *self.conditions)

    @property
    def all_conditions(self) -> tuple[Condition, ...]:
        """Those that are asked, then those of access policies."""
        return (*self.asked_conditions, *(guard.condition for guard in self.guards))

    def with_keys(self, keys: Iterable[GroupKey]) -> Frame:
        """Return the same evaluation for other groups."""
        return dataclasses.replace(self, keys=tuple(keys))


def unique_keys(keys: Iterable[GroupKey]) -> tuple[GroupKey, ...]:
    """Return the keys without repetitions."""
    found: dict[tuple[str, str, str | None], GroupKey] = {}
    for key in keys:
        found.setdefault(key.name, key)
    return tuple(found.values())


def dimension_uses(conditions: Iterable[Condition]) -> Iterator[DimensionUse]:
    """Yield the dimensions that conditions are about."""
    for condition in conditions:
        for use in uses_of(condition):
            if isinstance(use, DimensionUse):
                yield use


def names_in(condition: Condition) -> set[tuple[str, str]]:
    """Return cube and name of every member and segment of a condition."""
    return {name_of(use) for use in uses_of(condition)}


def name_of(use: Use | SegmentUse) -> tuple[str, str]:
    """Return cube and name of what is used."""
    match use:
        case DimensionUse():
            return (use.dimension.cube, use.dimension.name)
        case SegmentUse():
            return (use.segment.cube, use.segment.name)
        case _:
            return (use.measure.cube, use.measure.name)
