"""Calendar periods on one wall clock: naive local times at which an hour, day, … year begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_FIXED: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


def begin(moment: datetime, granularity: str) -> datetime:
    """Return when the period began that a local time lies in; weeks begin on Monday."""
    hour = moment.replace(minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    if granularity == "hour":
        return hour
    day = hour.replace(hour=0)
    match granularity:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(day=1, month=day.month - (day.month - 1) % 3)
        case _:
            return day.replace(day=1, month=1)


def move(start: datetime, count: int, unit: str) -> datetime:
    """Return the time `count` units later (earlier when negative); 29 February becomes the 28th."""
    if unit in _FIXED:
        return start + count * _FIXED[unit]
    months = start.year * 12 + start.month - 1 + count * _MONTHS[unit]
    first = start.replace(year=months // 12, month=months % 12 + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(start.day, last.day))


def find_last_complete(
    now: datetime, granularity: str, zone: ZoneInfo, delay: timedelta
) -> datetime:
    """Return the begin of the newest period that ended `delay` before `now`, or earlier."""
    moment = now.astimezone(UTC) - delay
    start = begin(moment.astimezone(zone), granularity)
    # The hour that comes twice in autumn ends when its second one does.
    while _to_utc(move(start, 1, granularity), zone) > moment:
        start = move(start, -1, granularity)
    return start


def list_periods(
    first: datetime, last: datetime, granularity: str, zone: ZoneInfo
) -> Iterator[datetime]:
    """Yield the begins of the periods from one to another, without hours that clocks leave out."""
    start = first
    while start <= last:
        if granularity != "hour" or _exists(start, zone):
            yield start
        start = move(start, 1, granularity)


def _to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    return _to_utc(local, zone).astimezone(zone).replace(tzinfo=None) == local
