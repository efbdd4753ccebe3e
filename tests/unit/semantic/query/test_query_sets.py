"""One document may ask several queries: compared date ranges, or a list to blend."""

from __future__ import annotations

from typing import Any

import pytest

from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError
from semantic.query.from_json import MAXIMUM_QUERIES, parse_json, parse_json_queries
from semantic.query.query import TimeDimension

BY_DAY = {"dimension": "a.at", "granularity": "day"}


def comparing(*ranges: Any, **more: Any) -> dict[str, Any]:
    return {
        "measures": ["a.count"],
        "timeDimensions": [{**BY_DAY, "compareDateRange": list(ranges)}],
        **more,
    }


def test_one_query_is_a_set_of_one() -> None:
    document = {"measures": ["a.count"], "timeDimensions": [BY_DAY]}
    found = parse_json_queries(document)
    assert (found.kind, found.compared) == ("regularQuery", None)
    assert found.queries == (parse_json(document),)


def test_each_compared_range_is_a_query_that_differs_in_that_range_only() -> None:
    other = {"dimension": "a.seen_at", "dateRange": "today"}
    document = comparing("this month", ["2024-01-01", "2024-01-31"], ["2024-02-02"], limit=7)
    document["timeDimensions"].insert(0, other)
    found = parse_json_queries(document)
    assert (found.kind, found.compared) == ("compareDateRangeQuery", 1)
    assert [query.time_dimensions for query in found.queries] == [
        (TimeDimension("a.seen_at", None, "today"), TimeDimension("a.at", "day", chosen))
        for chosen in (
            "this month",
            ("2024-01-01", "2024-01-31"),
            ("2024-02-02", "2024-02-02"),
        )
    ]
    assert {query.limit for query in found.queries} == {7}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            [{**BY_DAY, "compareDateRange": ["a"]}, {**BY_DAY, "compareDateRange": ["b"]}],
            "compareDateRange can only exist for one timeDimension",
        ),
        (
            [{**BY_DAY, "compareDateRange": ["a"], "dateRange": "b"}],
            r"contains a conflict between \[dateRange, compareDateRange\]",
        ),
        ([{**BY_DAY, "compareDateRange": []}], "must contain at least 1 item"),
        ([{**BY_DAY, "compareDateRange": "today"}], "must be an array"),
        ([{**BY_DAY, "compareDateRange": [None]}], "must be a string or an array"),
        ([{**BY_DAY, "compareDateRange": [7]}], "must be an array"),
        ([{**BY_DAY, "compareDateRange": [["a", "b", "c"]]}], "must contain 1 or 2 items"),
    ],
)
def test_ranges_that_cannot_be_compared_are_refused(times: list[object], message: str) -> None:
    document = {"measures": ["a.count"], "timeDimensions": times}
    with pytest.raises(QuerySyntaxError, match=message):
        parse_json_queries(document)


def test_a_list_is_queries_to_blend() -> None:
    first = {"measures": ["a.count"], "timeDimensions": [BY_DAY]}
    second = {"measures": ["b.count"], "timeDimensions": [{**BY_DAY, "dimension": "b.at"}]}
    found = parse_json_queries([first, second])
    assert found.kind == "blendingQuery"
    assert found.queries == (parse_json(first), parse_json(second))


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "Data blending query without granularity is not supported"),
        ([{"measures": ["a.count"]}], "Data blending query without granularity"),
        (
            [{"timeDimensions": [BY_DAY]}, {"measures": ["a.count"]}],
            "Data blending query without granularity",
        ),
        (
            [{"timeDimensions": [BY_DAY]}, {"timeDimensions": [{**BY_DAY, "granularity": "week"}]}],
            "Data blending query granularities must match",
        ),
        ([7], "must be of type object"),
    ],
)
def test_a_list_that_cannot_be_blended_is_refused(documents: list[object], message: str) -> None:
    with pytest.raises(QuerySyntaxError, match=message):
        parse_json_queries(documents)


def test_there_are_only_so_many_queries() -> None:
    with pytest.raises(LimitExceededError, match="queries were sent"):
        parse_json_queries([{"timeDimensions": [BY_DAY]}] * (MAXIMUM_QUERIES + 1))
    with pytest.raises(LimitExceededError):
        parse_json_queries(comparing(*["today"] * (MAXIMUM_QUERIES + 1)))


def test_where_one_query_is_wanted_several_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="compareDateRange"):
        parse_json(comparing("today"))
    with pytest.raises(UnsupportedError, match="compareDateRange"):
        parse_json_queries([comparing("today")])
