"""Dates as people write them, as half-open intervals of exact instants.

Everything here is a pure function of the text, `now` and the time zone. A day, month or year is one
of the caller's wall clock; seconds, minutes and hours are real time, so "last 3 hours" is three
hours also when the clocks change.

An end is inclusive to its last microsecond: a range that ends on 2024-01-31 ends *before*
2024-02-01T00:00, so that 23:59:59.9995 is inside. An end with a time of day includes that
millisecond (that microsecond, when it is written with more than three digits), as Cube's closed
intervals of milliseconds do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from semantic.errors import QuerySyntaxError

Unit = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]

_UNIT: Final = r"(second|minute|hour|day|week|month|quarter|year)"
_ONE: Final = re.compile(rf"(this|last|next) {_UNIT}")
_SEVERAL: Final = re.compile(rf"(last|next) (\d{{1,6}}) {_UNIT}s?")
_FROM_TO: Final = re.compile(r"from (.+?) to (.+)")
_BETWEEN: Final = re.compile(r"(.+?) (?:to|until|till|through|-|\N{EN DASH}) (.+)")
_AWAY: Final = re.compile(rf"(\d{{1,6}}|[a-z]+) {_UNIT}s? (ago|from now)")
_IN: Final = re.compile(rf"in (\d{{1,6}}|[a-z]+) {_UNIT}s?")
_NAMED: Final = re.compile(
    r"(?:(?P<m>[a-z]{3,9})\.? (?P<d>\d{1,2})|(?P<day>\d{1,2})(?: of)? (?P<month>[a-z]{3,9})\.?)"
    r"(?:,? )(?P<year>\d{4})"
)
_ORDINAL: Final = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b")
_LONGEST: Final = 200
_COUNTS: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_MONTH_NAMES: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_DAYS: Final = {"yesterday": -1, "today": 0, "now": 0, "tomorrow": 1}
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_LENGTH: Final = 10
_LAST_DATE: Final = "9999-12-31"
_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?\s?([Zz]|[+-]\d{2}:?\d{2})?"
)
_REAL_TIME: Final[dict[str, timedelta]] = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment, as the wall clock of the query's time zone shows it and in UTC; both naive."""

    local: datetime
    utc: datetime


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` up to but not including `end`; empty when it is reversed."""

    start: Instant
    end: Instant


def parse_range(
    value: str | tuple[str, str] | tuple[str], *, now: datetime, zone: ZoneInfo
) -> Interval:
    """Return the interval of a relative text ("last 7 days"), a date, or a start and an end.

    Raises:
        QuerySyntaxError: it cannot be read.
    """
    try:
        if isinstance(value, tuple):
            if len(value[0]) == len(value[-1]) == _DATE_LENGTH:
                first, last = _read_day(value[0], zone), _read_day(value[-1], zone)
                if first is not None and last is not None:
                    return Interval(first.start, last.end)
            start, _ = _written(value[0], zone)
            _, end = _written(value[-1], zone)
        else:
            start, end = _relative(value, now.astimezone(zone), zone)
        return Interval(_instant(start), _instant(end))
    except (OverflowError, ValueError) as invalid:
        shown = value if isinstance(value, str) else " - ".join(value)
        raise _unreadable(shown) from invalid


def parse_instant(value: str, *, zone: ZoneInfo) -> Instant:
    """Return the moment that a date (its midnight) or a date with a time of day names.

    Raises:
        QuerySyntaxError: it cannot be read.
    """
    try:
        return _instant(_written(value, zone)[0])
    except (OverflowError, ValueError) as invalid:
        raise _unreadable(value) from invalid


@lru_cache(maxsize=4096)
def _read_day(text: str, zone: ZoneInfo) -> Interval | None:
    """Return the day that an ISO date names; None when the text is none. Ranges ask this most."""
    if not _DATE.fullmatch(text):
        return None
    if zone.key == "UTC" and text != _LAST_DATE:
        day = datetime.fromisoformat(text)
        following = day + timedelta(days=1)
        return Interval(Instant(day, day), Instant(following, following))
    start, end = _written(text, zone)
    return Interval(_instant(start), _instant(end))


def _unreadable(text: str) -> QuerySyntaxError:
    return QuerySyntaxError(
        f"Can't parse date: '{text[:100]}'",
        suggestion='write "last 7 days", "this month", "2024-01-31" or two dates',
    )


def _instant(moment: datetime) -> Instant:
    local = moment.replace(tzinfo=None, fold=0)
    try:
        utc = moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # within a day of the first or the last moment there is
        utc = local
    return Instant(local, utc)


def _relative(text: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if len(text) > _LONGEST:
        raise ValueError(text)
    words = " ".join(text.casefold().split())
    if match := _ONE.fullmatch(words):
        unit = _unit(match[2])
        start = _shift(_floor(now, unit), {"last": -1, "this": 0, "next": 1}[match[1]], unit)
        return start, _shift(start, 1, unit)
    if match := _SEVERAL.fullmatch(words):
        unit, count = _unit(match[3]), int(match[2])
        current = _floor(now, unit)
        if match[1] == "last":
            return _shift(current, -count, unit), current
        following = _shift(current, 1, unit)
        return following, _shift(following, count, unit)
    unit = _unit(next((unit for unit in _REAL_TIME if unit in words), "day"))
    if match := _FROM_TO.fullmatch(words) or _BETWEEN.fullmatch(words):
        start, _ = _side(match[1], now, zone, unit)
        _, end = _side(match[2], now, zone, unit)
        return start, end
    return _side(words, now, zone, unit)


def _side(words: str, now: datetime, zone: ZoneInfo, unit: Unit) -> tuple[datetime, datetime]:
    """Return start and end of the `unit` that a date, or one side of a range, falls into."""
    if words in _DAYS:
        moment = _shift(now, _DAYS[words], "day")
    elif match := _AWAY.fullmatch(words):
        count = _count(match[1]) * (-1 if match[3] == "ago" else 1)
        moment = _shift(now, count, _unit(match[2]))
    elif match := _IN.fullmatch(words):
        moment = _shift(now, _count(match[1]), _unit(match[2]))
    elif match := _NAMED.fullmatch(_ORDINAL.sub(r"\1", words)):
        return _named_day(match, zone)
    else:
        return _written(words, zone)
    start = _floor(moment, unit)
    return start, _shift(start, 1, unit)


def _count(word: str) -> int:
    """Return the number that digits or a word mean."""
    return int(word) if word.isdecimal() else _COUNTS.get(word) or int(word)


def _named_day(match: re.Match[str], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the day of "Jan 5, 2024" or "5 January 2024"; without a year there is none."""
    name = match["m"] or match["month"]
    months = [month for month in _MONTH_NAMES if name in {month, month[:3]}]
    if name == "sept":
        months = ["september"]
    if not months:
        raise ValueError(name)
    month = _MONTH_NAMES.index(months[0]) + 1
    day = datetime(int(match["year"]), month, int(match["d"] or match["day"]), tzinfo=zone)
    return day, _shift(day, 1, "day")


def _written(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first moment of what an ISO date or time names, and the first one after it."""
    text = text.strip()
    if _DATE.fullmatch(text):
        day = datetime.fromisoformat(text).replace(tzinfo=zone)
        if day.date() == date.max:  # "for ever": there is no next day
            return day, datetime.max.replace(tzinfo=zone)
        return day, _shift(day, 1, "day")
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    digits = match[3] or ""
    moment = datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(
        microsecond=int(digits[:6].ljust(6, "0"))
    )
    if match[4] is None:
        moment = moment.replace(tzinfo=zone)
    else:
        offset = "+00:00" if match[4] in {"Z", "z"} else match[4]
        moment = datetime.fromisoformat(f"{moment.isoformat()}{offset}").astimezone(zone)
    milliseconds = 3
    step = timedelta(microseconds=1 if len(digits) > milliseconds else 1000)
    return moment, (moment.astimezone(UTC) + step).astimezone(zone)


def _unit(name: str) -> Unit:
    match name:
        case "second" | "minute" | "hour" | "day" | "week" | "month" | "quarter" | "year":
            return name
        case _:
            raise ValueError(name)


def _floor(moment: datetime, unit: Unit) -> datetime:
    """Return the start of the unit that `moment` lies in; a week starts on Monday."""
    match unit:
        case "second":
            return moment.replace(microsecond=0)
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case _:
            day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def _shift(moment: datetime, count: int, unit: Unit) -> datetime:
    """Return `moment` moved by units: real time below a day, the calendar from a day on."""
    if unit in _REAL_TIME:
        return (moment.astimezone(UTC) + count * _REAL_TIME[unit]).astimezone(moment.tzinfo)
    if unit in {"day", "week"}:
        days = count * (7 if unit == "week" else 1)
        return (moment + timedelta(days=days)).replace(fold=0)
    months = moment.year * 12 + moment.month - 1 + count * _MONTHS[unit]
    year, month = months // 12, months % 12 + 1
    first = moment.replace(year=year, month=month, day=1, fold=0)
    following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first.replace(day=min(moment.day, (following - timedelta(days=1)).day))


def move_instant(
    instant: Instant, parts: Mapping[str, int], zone: ZoneInfo, *, floor: str | None = None
) -> Instant:
    """Return the moment `parts` (amounts by unit) later, by the wall clock, from `floor`'s start.

    Raises:
        QuerySyntaxError: it lies outside of the years 1 to 9999.
    """
    moment = instant.local.replace(tzinfo=zone)
    try:
        if floor is not None:
            moment = _floor(moment, _unit(floor))
        for unit, amount in parts.items():
            moment = _shift(moment, amount, _unit(unit))
        return _instant(moment)
    except (OverflowError, ValueError) as invalid:
        raise _unreadable(str(instant.local)) from invalid
