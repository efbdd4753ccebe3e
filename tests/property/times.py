"""Wall clocks, granularities and date ranges, by the calendar."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.property.model import Granularity
from tests.property.values import Value

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
MILLISECOND = timedelta(milliseconds=1)
SECONDS = {
    "second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800,
    "month": 2_629_800, "quarter": 7_889_400, "year": 31_557_600,
}  # fmt: skip
GRANULARITIES = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


class Wall(datetime):
    """A time that stands on the wall clock already."""


def show_time(value: Value, zone: str) -> datetime | None:
    """Return a time as the zone's wall clock shows it; a date is the same day everywhere."""
    match value:
        case None:
            return None
        case Wall():
            return datetime.fromisoformat(value.isoformat())
        case datetime():
            return value.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001
        case _:
            raise TypeError(value)


def cut_time(moment: datetime | None, granularity: str) -> datetime | None:
    """Return the start of the period that the moment lies in; weeks start on Monday."""
    if moment is None:
        return None
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match granularity:
        case "second":
            return moment.replace(microsecond=0)
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
        case "year":
            return day.replace(day=1, month=1)
        case _:
            raise ValueError(granularity)


def cut(moment: datetime | None, name: str, customs: Sequence[Granularity] = ()) -> datetime | None:
    """Return the start of the period of a granularity: one of `customs`, or a built-in one."""
    custom = find_custom(name, customs)
    if custom is None or moment is None:
        return cut_time(moment, name)
    begin = _first_period(custom)
    count = 0
    while _period(begin, custom, count) > moment:
        count -= 50
    while _period(begin, custom, count + 1) <= moment:
        count += 1
    return _period(begin, custom, count)


def find_custom(name: str, customs: Sequence[Granularity]) -> Granularity | None:
    """Return the granularity of that name, if it is one of the model."""
    return next((item for item in customs if item.name == name), None)


def period_after(start: datetime, name: str, customs: Sequence[Granularity] = ()) -> datetime:
    """Return the start of the next period."""
    custom = find_custom(name, customs)
    step = (1, name) if custom is None else (custom.amount, custom.unit)
    found = move_time(start, *step)
    assert found is not None
    return found


def _first_period(custom: Granularity) -> datetime:
    if custom.origin is not None:
        return datetime(custom.origin.year, custom.origin.month, custom.origin.day)  # noqa: DTZ001
    # A Monday that begins a month, a quarter and a year; a week of years later than no data.
    begin = datetime(2018, 1, 1)  # noqa: DTZ001
    moved = begin if custom.offset is None else move_time(begin, *custom.offset)
    assert moved is not None
    return moved


def _period(begin: datetime, custom: Granularity, count: int) -> datetime:
    found = move_time(begin, count * custom.amount, custom.unit)
    assert found is not None
    return found


def first_moment(text: str) -> datetime:
    """Return the wall clock at the beginning of what the text names."""
    return datetime.fromisoformat(text)


def moment_after(text: str) -> datetime:
    """Return the wall clock right after what the text names: a day, or a millisecond."""
    moment = datetime.fromisoformat(text)
    return moment + (timedelta(days=1) if len(text) == len("2024-01-01") else MILLISECOND)


def place_moment(wall: datetime, value: Value, zone: str) -> datetime:
    """Return the moment to compare `value` with: in UTC, but for a date on the wall clock."""
    if isinstance(value, Wall) or (isinstance(value, date) and not isinstance(value, datetime)):
        return wall
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def move_time(moment: datetime | None, amount: int, unit: str) -> datetime | None:
    """Return a time `amount` units later; a month without that day ends on its last."""
    if moment is None:
        return None
    match unit:
        case "day" | "week" | "hour" | "minute" | "second":
            return moment + amount * timedelta(**{f"{unit}s": 1})
        case "month" | "quarter" | "year":
            months = moment.year * 12 + moment.month - 1 + amount * _MONTHS[unit]
            year, month = divmod(months, 12)
            last = calendar.monthrange(year, month + 1)[1]
            return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
        case _:
            raise ValueError(unit)
