"""The period before a date range: whole months by the calendar, days by their number, else by length."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.dates import parse_range
from semantic.query.previous import measure_back

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
DAY, WEEK, MONTH = 86_400.0, 604_800.0, 2_629_746.0
COARSE = float("inf")


def back(start: str, end: str, *, finest: float = COARSE, zone: str = "UTC") -> str:
    return measure_back(parse_range((start, end), now=NOW, zone=ZoneInfo(zone)), finest)


@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        ("2024-03-01", "2024-03-31", "1 month"),
        ("2024-02-01", "2024-02-29", "1 month"),
        ("2023-02-01", "2023-02-28", "1 month"),
        ("2024-01-01", "2024-03-31", "3 month"),
        ("2024-02-01", "2025-01-31", "1 year"),
        ("2023-01-01", "2024-12-31", "2 year"),
        ("2023-01-01", "2024-03-31", "15 month"),
        ("2024-02-01", "2024-02-28", "28 day"),
        ("2024-03-02", "2024-03-31", "30 day"),
        ("2024-03-31", "2024-03-31", "1 day"),
        ("2024-03-01T00:00:00.000", "2024-03-31T23:59:59.999", "1 month"),
        ("2024-03-01T00:00:00", "2024-03-01T11:59:59.999", "43200 second"),
        ("2024-03-01T10:00:00", "2024-03-03T09:59:59.999", "172800 second"),
    ],
)
def test_a_period_is_as_long_as_its_range(start: str, end: str, interval: str) -> None:
    assert back(start, end) == interval


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_days_and_months_are_those_of_the_time_zone_whatever_clocks_do(zone: str) -> None:
    assert back("2024-03-01", "2024-03-31", zone=zone) == "1 month"
    assert back("2024-03-31", "2024-03-31", zone=zone) == "1 day"
    assert back("2024-10-27", "2024-11-03", zone=zone) == "8 day"


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27", "2024-07-01"])
def test_hours_are_measured_on_the_wall_clock_so_that_periods_meet(day: str) -> None:
    assert back(f"{day}T00:00:00", f"{day}T05:59:59.999", zone="Europe/Berlin") == "21600 second"


def test_days_are_compared_with_shorter_months_but_not_with_longer_ones() -> None:
    assert back("2024-03-01", "2024-03-31", finest=DAY) == "1 month"
    assert back("2024-08-01", "2024-08-31", finest=DAY) == "1 month"
    for start, end in (("2024-02-01", "2024-02-29"), ("2024-04-01", "2024-04-30")):
        with pytest.raises(UnsupportedError, match="two of their days"):
            back(start, end, finest=DAY)
        with pytest.raises(UnsupportedError, match="two of their days"):
            back(start, end, finest=WEEK)
        assert back(start, end, finest=MONTH) == "1 month"


def test_the_days_of_a_year_after_a_leap_year_are_not_compared() -> None:
    assert back("2024-01-01", "2024-12-31", finest=DAY) == "1 year"
    with pytest.raises(UnsupportedError, match="two of their days"):
        back("2025-01-01", "2025-12-31", finest=DAY)


def test_what_has_no_period_before_is_refused() -> None:
    with pytest.raises(QuerySyntaxError, match="empty"):
        back("2024-03-02", "2024-03-01")
    with pytest.raises(QuerySyntaxError, match="first year"):
        back("0001-01-01", "0001-12-31")
    with pytest.raises(UnsupportedError, match="whole number of seconds"):
        back("2024-03-01T00:00:00", "2024-03-01T00:00:00")
