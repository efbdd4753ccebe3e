"""Periods in which a measure has no group, for those that ask for all of them (rule 9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tests.property.frames import Frame, Grouping
from tests.property.members import dimension_of
from tests.property.times import (
    MILLISECOND,
    SECONDS,
    cut,
    find_custom,
    first_moment,
    moment_after,
    period_after,
)
from tests.property.trees import Refused, TooLarge
from tests.property.values import Value

Key = tuple[Value, ...]
_MOST_PERIODS = 2_000


def find_gaps(frame: Frame, groups: Sequence[Key]) -> list[Key]:
    """Return a group for each period without one: null in all keys but those of its time.

    Raises:
        Refused: there are periods of several time dimensions.
        TooLarge: there are too many periods.
    """
    timed = [index for index, key in enumerate(frame.keys) if key.granularity is not None]
    if len({frame.keys[index].member for index in timed}) > 1:
        raise Refused("unsupported")
    if not timed:
        return []
    place = min(timed, key=lambda index: length_of(frame.keys[index]))
    known = [cell for group in groups if isinstance(cell := group[place], datetime)]
    finest = frame.keys[place]
    refuse_calendar(timed_keys=[frame.keys[index] for index in timed])
    found: list[Key] = []
    limits = _limits(frame, finest, known)
    start = None if limits is None else cut_by(limits[0], finest)
    while start is not None and limits is not None and start <= limits[1]:
        if start not in known:
            found.append(
                tuple(
                    cut_by(start, key) if index in timed else None
                    for index, key in enumerate(frame.keys)
                )
            )
            if len(found) > _MOST_PERIODS:
                raise TooLarge
        start = next_period(start, finest)
    return found


def refuse_calendar(timed_keys: Sequence[Grouping]) -> None:
    """Pass over periods that are rows of a calendar: what is between its rows is not said.

    Raises:
        TooLarge: there are such.
    """
    for key in timed_keys:
        custom = find_custom(key.granularity or "", dimension_of(key.place).granularities)
        if custom is not None and custom.sql is not None:
            raise TooLarge


def _limits(
    frame: Frame, finest: Grouping, known: Sequence[datetime]
) -> tuple[datetime, datetime] | None:
    for item in frame.ranges:
        if item.member == finest.name.removesuffix(f".{finest.granularity}"):
            first, last = item.values[0] or "", item.values[-1] or ""
            return first_moment(first), moment_after(last) - MILLISECOND
    return (min(known), max(known)) if known else None


def next_period(start: datetime, key: Grouping) -> datetime:
    """Return where the period after the one that begins at `start` begins."""
    assert key.granularity is not None
    return period_after(start, key.granularity, dimension_of(key.place).granularities)


def cut_by(moment: datetime, key: Grouping) -> datetime | None:
    """Return the start of the period of a key."""
    assert key.granularity is not None
    return cut(moment, key.granularity, dimension_of(key.place).granularities)


def length_of(key: Grouping) -> float:
    """Return about how long the periods of a key are."""
    assert key.granularity is not None
    custom = find_custom(key.granularity, dimension_of(key.place).granularities)
    if custom is not None:
        return custom.amount * SECONDS[custom.unit]
    return SECONDS[key.granularity]
