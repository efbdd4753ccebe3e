"""Intervals, and where the periods of custom granularities begin: what dialects share."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from semantic.errors import UnsupportedError

Parameter = str | bool | int | float | Decimal | datetime
Parts = tuple[tuple[int, str], ...]
"""An interval: amounts and units, in the order in which they are added."""

MONTHS: Final = {"year": 12, "quarter": 3, "month": 1}
LENGTHS: Final = {
    "week": timedelta(days=7),
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
    "millisecond": timedelta(milliseconds=1),
}
_ANCHOR: Final = datetime(2000, 1, 1)  # noqa: DTZ001 -- a wall clock has no zone
_MONDAY: Final = datetime(2000, 1, 3)  # noqa: DTZ001


def split(interval: Parts) -> tuple[int, timedelta]:
    """Return an interval's months, and the rest of it."""
    months, rest = 0, timedelta()
    for amount, unit in interval:
        if unit in MONTHS:
            months += amount * MONTHS[unit]
        else:
            rest += amount * LENGTHS[unit]
    return months, rest


def measure_period(interval: Parts) -> int | timedelta:
    """Return how long periods are: a number of months, or a length that is always the same.

    Raises:
        UnsupportedError: it is both.
    """
    months, rest = split(interval)
    if months and rest:
        raise UnsupportedError(
            f"the custom granularity `{_text(interval)}` mixes months and days",
            suggestion="write it in months, or in days",
        )
    return months or rest


def read_origin(text: str) -> datetime:
    """Return the wall clock time that an origin names.

    Raises:
        UnsupportedError: it has a time zone.
    """
    origin = datetime.fromisoformat(text)
    if origin.tzinfo is not None:
        raise UnsupportedError(
            f"the origin `{text}` has a time zone",
            suggestion="write it as the wall clock shows it: `2024-01-01 00:00:00`",
        )
    return origin


def place_offset(interval: Parts, offset: Parts) -> tuple[datetime, timedelta]:
    """Return the origin of periods with an offset, and how far they are moved after that.

    Periods of months count from the first of a month, so that no month is too short for them, and
    are moved by days at the end.

    Raises:
        UnsupportedError: the offset has months, and the periods are of days.
    """
    months, rest = split(offset)
    period = measure_period(interval)
    if isinstance(period, int):
        index = _ANCHOR.year * 12 + months
        return datetime(index // 12, index % 12 + 1, 1), rest  # noqa: DTZ001
    if months:
        raise UnsupportedError(
            f"the offset `{_text(offset)}` cannot move periods of `{_text(interval)}`",
            suggestion="write the offset in weeks, days or hours",
        )
    weeks = any(unit == "week" for _, unit in interval)
    return (_MONDAY if weeks else _ANCHOR) + rest, timedelta()


def starts_month(moment: datetime) -> bool:
    """Return whether a moment is the very first of its month."""
    return moment == datetime(moment.year, moment.month, 1)  # noqa: DTZ001


def _text(interval: Parts) -> str:
    return " ".join(f"{amount} {unit}" for amount, unit in interval)


def write_length(length: timedelta) -> str:
    """Return a length as both databases read it: `90 days 1800 seconds 5 microseconds`.

    >>> write_length(timedelta(days=-1))
    '-1 days'
    """
    parts = [
        f"{amount} {unit}"
        for amount, unit in (
            (length.days, "days"),
            (length.seconds, "seconds"),
            (length.microseconds, "microseconds"),
        )
        if amount
    ]
    return " ".join(parts) or "0 seconds"


def write_moment(moment: datetime) -> str:
    """Return a moment as a literal."""
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"
