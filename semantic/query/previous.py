"""How far back the period before a date range begins, as an interval.

A range of whole calendar months is compared with as many months before it, whatever their days; any
other range of whole days with as many days; anything else by its length on the wall clock, so that
the two meet and never overlap, also where the clocks change.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Final

from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.dates import Interval

_MONTH_SECONDS: Final = 28 * 86_400
_MONTHS_OF_A_YEAR: Final = 12


def measure_back(period: Interval, finest: float) -> str:
    """Return the interval; `finest` is about how many seconds the finest asked granularity lasts.

    Raises:
        QuerySyntaxError: the range is empty, or begins with time itself.
        UnsupportedError: two days of the period before would fall on one, or it lasts fractions of
            a second.
    """
    start, end = period.start.local, period.end.local
    if end <= start:
        raise QuerySyntaxError("the dateRange is empty, so nothing lies before it")
    midnight = start.time() == end.time() == time.min
    if midnight and start.day == end.day == 1:
        return _months(start, end, finest)
    if midnight:
        return f"{(end - start).days} day"
    seconds = (end - start).total_seconds()
    if seconds != int(seconds):
        raise UnsupportedError(
            "the dateRange does not last a whole number of seconds",
            suggestion="compare to an interval",
        )
    return f"{int(seconds)} second"


def _months(start: datetime, end: datetime, finest: float) -> str:
    months = (end.year - start.year) * _MONTHS_OF_A_YEAR + end.month - start.month
    place = start.year * _MONTHS_OF_A_YEAR + start.month - 1 - months
    if place < _MONTHS_OF_A_YEAR:
        raise QuerySyntaxError("there is no period before the first year")
    if finest < _MONTH_SECONDS and any(
        _days(place + month) > _days(place + months + month) for month in range(months)
    ):
        raise UnsupportedError(
            "the months before are longer than those of the dateRange: cut finer than a month, "
            "two of their days would fall on one",
            suggestion='compare to a number of days ("28 day"), or ask by month',
        )
    years, rest = divmod(months, _MONTHS_OF_A_YEAR)
    return f"{months} month" if rest else f"{years} year"


def _days(month: int) -> int:
    """Return the days of a month, counted from January of the year 0."""
    year, place = divmod(month, _MONTHS_OF_A_YEAR)
    after, following = divmod(month + 1, _MONTHS_OF_A_YEAR)
    begin = datetime(year, place + 1, 1)  # noqa: DTZ001 -- a calendar's month
    return (datetime(after, following + 1, 1) - begin).days  # noqa: DTZ001
