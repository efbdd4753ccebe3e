"""Filters that bound a time become its date range where that says the same moments."""

from __future__ import annotations

import pytest

from semantic.query.query import AndFilter, MemberFilter, TimeDimension
from semantic.query.ranges import take_bounds, take_ranges

T = "a.t"


def bounds(start: str, operator: str, end: str, zone: str = "UTC") -> object:
    """Return the range that two bounds become, or None where they stay filters."""
    filters = (MemberFilter(T, "gte", (start,)), MemberFilter(T, operator, (end,)))  # type: ignore[arg-type]
    left, times = take_bounds(filters, (), [T], zone)
    if not times:
        assert left == filters
        return None
    assert left == ()
    (item,) = times
    return item.date_range


@pytest.mark.parametrize(
    ("start", "operator", "end", "expected"),
    [
        ("2024-01-01", "lt", "2024-02-01", ("2024-01-01", "2024-01-31")),
        ("2024-01-01 00:00:00", "lt", "2024-02-01 00:00:00", ("2024-01-01", "2024-01-31")),
        ("2024-01-01 06:30", "lt", "2024-01-01 07:00",
         ("2024-01-01 06:30", "2024-01-01T06:59:59.999999")),
        ("2024-01-01", "lte", "2024-01-31", ("2024-01-01", "2024-01-31T00:00:00.000000")),
        ("2024-02-01", "lt", "2024-01-01", None),
        ("2024-01-01", "lt", "2024-01-02T00:00:00Z", None),
        ("0001-01-01", "lt", "0001-01-01", None),
    ],
)  # fmt: skip
def test_two_bounds_are_a_range(start: str, operator: str, end: str, expected: object) -> None:
    assert bounds(start, operator, end) == expected


def test_a_bound_in_an_hour_that_clocks_move_over_stays_a_filter() -> None:
    berlin = "Europe/Berlin"
    assert bounds("2024-10-27 00:00", "lt", "2024-10-27 03:00", berlin) is None
    assert bounds("2024-03-31 00:00", "lt", "2024-03-31 03:00", berlin) is None
    assert bounds("2024-10-27", "lt", "2024-10-28", berlin) == ("2024-10-27", "2024-10-27")
    assert bounds("2024-10-27", "lt", "2024-10-28", "Nowhere/Else") is None


def test_a_between_is_a_range_and_other_filters_stay_as_they_are() -> None:
    other = AndFilter((MemberFilter("a.x", "set"), MemberFilter("a.x", "notEquals", ("1",))))
    between = AndFilter(
        (MemberFilter(T, "gte", ("2024-01-01",)), MemberFilter(T, "lte", ("2024-01-02",)))
    )
    cut = (TimeDimension(T, "day"), TimeDimension(T, "month"))
    left, times = take_bounds((other, between), cut, [T], "UTC")
    assert left == (other,)
    assert {item.date_range for item in times} == {("2024-01-01", "2024-01-02T00:00:00.000000")}
    assert [item.granularity for item in times] == ["day", "month"]


def test_one_bound_alone_or_three_stay_filters() -> None:
    lower, upper = MemberFilter(T, "gte", ("2024-01-01",)), MemberFilter(T, "lt", ("2024-02-01",))
    for filters in ((lower,), (upper,), (lower, lower, upper)):
        assert take_bounds(filters, (), [T], "UTC") == (filters, ())


def test_a_filter_on_a_range_is_the_range_of_its_time_once() -> None:
    first = MemberFilter(T, "inDateRange", ("last month",))
    second = MemberFilter(T, "inDateRange", ("2024-01-01", "2024-01-31"))
    assert take_ranges((first, second), (), {T}) == (
        (second,), (TimeDimension(T, None, "last month"),),
    )  # fmt: skip
    assert take_ranges((first,), (), {"a.u"}) == ((first,), ())
