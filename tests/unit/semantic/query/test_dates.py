"""Relative and written dates become exact half-open intervals. Expected values are by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from semantic.errors import QuerySyntaxError
from semantic.query.dates import parse_instant, parse_range

NOW = datetime(2023, 11, 22, 15, 30, 45, 123456, tzinfo=UTC)  # a Wednesday
ZONES = {"UTC": ZoneInfo("UTC"), "NY": ZoneInfo("America/New_York")}


def interval(value: str | tuple[str, str], zone: str = "UTC", now: datetime = NOW) -> str:
    found = parse_range(value, now=now, zone=ZONES[zone])
    return f"{found.start.local.isoformat()} {found.end.local.isoformat()}"


def interval_utc(value: str | tuple[str, str], zone: str, now: datetime = NOW) -> str:
    found = parse_range(value, now=now, zone=ZONES[zone])
    return f"{found.start.utc.isoformat()} {found.end.utc.isoformat()}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2023-11-22T00:00:00 2023-11-23T00:00:00"),
        ("yesterday", "2023-11-21T00:00:00 2023-11-22T00:00:00"),
        ("Tomorrow", "2023-11-23T00:00:00 2023-11-24T00:00:00"),
        ("last 7 days", "2023-11-15T00:00:00 2023-11-22T00:00:00"),
        ("Last  7 Days", "2023-11-15T00:00:00 2023-11-22T00:00:00"),
        ("next 2 days", "2023-11-23T00:00:00 2023-11-25T00:00:00"),
        ("last 1 day", "2023-11-21T00:00:00 2023-11-22T00:00:00"),
        ("this week", "2023-11-20T00:00:00 2023-11-27T00:00:00"),
        ("last week", "2023-11-13T00:00:00 2023-11-20T00:00:00"),
        ("last 2 weeks", "2023-11-06T00:00:00 2023-11-20T00:00:00"),
        ("this month", "2023-11-01T00:00:00 2023-12-01T00:00:00"),
        ("last month", "2023-10-01T00:00:00 2023-11-01T00:00:00"),
        ("next month", "2023-12-01T00:00:00 2024-01-01T00:00:00"),
        ("last 12 months", "2022-11-01T00:00:00 2023-11-01T00:00:00"),
        ("this quarter", "2023-10-01T00:00:00 2024-01-01T00:00:00"),
        ("last quarter", "2023-07-01T00:00:00 2023-10-01T00:00:00"),
        ("this year", "2023-01-01T00:00:00 2024-01-01T00:00:00"),
        ("last year", "2022-01-01T00:00:00 2023-01-01T00:00:00"),
        ("next 2 years", "2024-01-01T00:00:00 2026-01-01T00:00:00"),
        ("this hour", "2023-11-22T15:00:00 2023-11-22T16:00:00"),
        ("last 3 hours", "2023-11-22T12:00:00 2023-11-22T15:00:00"),
        ("last 90 minutes", "2023-11-22T14:00:00 2023-11-22T15:30:00"),
        ("last 10 seconds", "2023-11-22T15:30:35 2023-11-22T15:30:45"),
        ("from 7 days ago to now", "2023-11-15T00:00:00 2023-11-23T00:00:00"),
        ("from now to 2 weeks from now", "2023-11-22T00:00:00 2023-12-07T00:00:00"),
        ("from 2 hours ago to now", "2023-11-22T13:00:00 2023-11-22T16:00:00"),
        ("from 2023-01-01 to 2023-01-31", "2023-01-01T00:00:00 2023-02-01T00:00:00"),
        ("from 1 month ago to yesterday", "2023-10-22T00:00:00 2023-11-22T00:00:00"),
        ("2023-02-28", "2023-02-28T00:00:00 2023-03-01T00:00:00"),
        ("now", "2023-11-22T00:00:00 2023-11-23T00:00:00"),
        ("7 days ago", "2023-11-15T00:00:00 2023-11-16T00:00:00"),
        ("a week ago", "2023-11-15T00:00:00 2023-11-16T00:00:00"),
        ("two months ago", "2023-09-22T00:00:00 2023-09-23T00:00:00"),
        ("2 hours ago", "2023-11-22T13:00:00 2023-11-22T14:00:00"),
        ("an hour from now", "2023-11-22T16:00:00 2023-11-22T17:00:00"),
        ("in 3 days", "2023-11-25T00:00:00 2023-11-26T00:00:00"),
        ("January 5, 2024", "2024-01-05T00:00:00 2024-01-06T00:00:00"),
        ("jan 5th 2024", "2024-01-05T00:00:00 2024-01-06T00:00:00"),
        ("29 Feb. 2024", "2024-02-29T00:00:00 2024-03-01T00:00:00"),
        ("1st of September 2023", "2023-09-01T00:00:00 2023-09-02T00:00:00"),
        ("Sept 1 2023", "2023-09-01T00:00:00 2023-09-02T00:00:00"),
        ("2023-01-01 to 2023-01-31", "2023-01-01T00:00:00 2023-02-01T00:00:00"),
        ("2023-01-01 - 2023-01-31", "2023-01-01T00:00:00 2023-02-01T00:00:00"),
        ("2023-01-01 until yesterday", "2023-01-01T00:00:00 2023-11-22T00:00:00"),
        ("Jan 1, 2023 through Mar 31, 2023", "2023-01-01T00:00:00 2023-04-01T00:00:00"),
        (
            "2023-01-01T00:00:00.000 - 2023-12-31T23:59:59.999",
            "2023-01-01T00:00:00 2024-01-01T00:00:00",
        ),
    ],
)
def test_relative_text_is_understood_exactly(text: str, expected: str) -> None:
    assert interval(text) == expected


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (("2024-01-01", "2024-01-31"), "2024-01-01T00:00:00 2024-02-01T00:00:00"),
        (
            ("2024-01-01T10:00:00", "2024-01-31T23:59:59.999"),
            "2024-01-01T10:00:00 2024-02-01T00:00:00",
        ),
        (
            ("2024-01-01 10:00", "2024-01-01 10:00:00.5"),
            "2024-01-01T10:00:00 2024-01-01T10:00:00.501000",
        ),
        (
            ("2024-01-01", "2024-01-31T23:59:59.999999"),
            "2024-01-01T00:00:00 2024-02-01T00:00:00",
        ),
        (("2024-03-01", "2024-02-01"), "2024-03-01T00:00:00 2024-02-02T00:00:00"),
    ],
)
def test_an_end_is_inclusive_to_what_it_names(ends: tuple[str, str], expected: str) -> None:
    assert interval(ends) == expected


def test_a_day_is_the_callers_day_and_is_known_in_utc() -> None:
    assert interval("2023-07-04", "NY") == "2023-07-04T00:00:00 2023-07-05T00:00:00"
    assert interval_utc("2023-07-04", "NY") == "2023-07-04T04:00:00 2023-07-05T04:00:00"


@pytest.mark.parametrize("zone", ["UTC", "NY"])
def test_the_first_and_the_last_day_there_are_can_be_bounds(zone: str) -> None:
    found = interval(("0001-01-01", "9999-12-31"), zone)
    assert found == "0001-01-01T00:00:00 9999-12-31T23:59:59.999999"


def test_today_is_the_callers_today() -> None:
    late = datetime(2023, 11, 23, 2, 0, tzinfo=UTC)  # still the 22nd in New York
    assert interval("today", "NY", late) == "2023-11-22T00:00:00 2023-11-23T00:00:00"


def test_a_day_on_which_clocks_change_has_23_or_25_hours() -> None:
    assert interval_utc("2023-03-12", "NY") == "2023-03-12T05:00:00 2023-03-13T04:00:00"
    assert interval_utc("2023-11-05", "NY") == "2023-11-05T04:00:00 2023-11-06T05:00:00"


def test_hours_are_real_time_when_clocks_change() -> None:
    now = datetime(2023, 11, 5, 7, 30, tzinfo=UTC)  # 02:30 in New York, after 01:00 came twice
    assert interval_utc("last 3 hours", "NY", now) == "2023-11-05T04:00:00 2023-11-05T07:00:00"


def test_a_written_offset_counts() -> None:
    found = parse_instant("2024-01-01T00:00:00Z", zone=ZONES["NY"])
    assert found.utc.isoformat() == "2024-01-01T00:00:00"
    assert found.local.isoformat() == "2023-12-31T19:00:00"
    found = parse_instant("2024-01-01T00:00:00+02:00", zone=ZONES["UTC"])
    assert found.utc.isoformat() == "2023-12-31T22:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "sometime",
        "",
        "last",
        "last 7",
        "last -7 days",
        "last 7 eons",
        "2024-13-01",
        "2024-99-01",
        "2024-02-30",
        "2024-01-01T25:00:00",
        "last 999999 years",
        "0001-01-01T00:00:00+14:00",
        "from to",
        "January 5",
        "January 2024",
        "Jan 32, 2024",
        "Feb 29, 2023",
        "Ja 5 2024",
        "Mays 5 2024",
        "many days ago",
        "01/02/2024",
        "last friday",
        "2024",
        "2024-01-01 - ",
        "2024-01-01 - never",
        "today and tomorrow",
        "from x to y",
        "'; DROP TABLE flights; --",
        "\uff12024-01-01",
    ],
)
def test_anything_else_is_refused_in_cubes_words(text: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        interval(text)
    assert refused.value.message == f"Can't parse date: '{text}'"


def test_both_ends_are_read_not_only_the_first() -> None:
    with pytest.raises(QuerySyntaxError, match="Can't parse date"):
        interval(("2024-01-01", "never"))


def test_a_long_text_is_no_date_and_is_not_repeated() -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        interval("from " * 200_000)
    assert len(refused.value.message) < 150
