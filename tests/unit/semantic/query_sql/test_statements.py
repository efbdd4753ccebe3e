"""Statements that are understood, and the query that each one asks."""

from __future__ import annotations

import pytest

from semantic.query.query import (
    MAXIMUM_LIMIT,
    AndFilter,
    Filter,
    MemberFilter,
    Operator,
    Order,
    OrFilter,
    Query,
    TimeDimension,
)
from tests.unit.semantic.query_sql.conftest import Desk


def one(member: str, operator: Operator, *values: str) -> MemberFilter:
    return MemberFilter(f"city_trips.{member}", operator, values)


def but(member: str, operator: Operator, *values: str) -> AndFilter:
    """Return a negative filter as SQL means it: nulls are left out."""
    return AndFilter((one(member, "set"), one(member, operator, *values)))


NEVER = AndFilter((one("city", "set"), one("city", "notSet")))


def test_a_chart_becomes_one_query_whose_alias_may_shadow_its_column(desk: Desk) -> None:
    asked = desk.parse(
        """SELECT city AS city, DATE_TRUNC('MONTH', started) AS started,
                  MEASURE(total_distance) AS "Miles"
        FROM public.city_trips
        WHERE started >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
          AND started < TO_TIMESTAMP('2024-03-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
          AND (colour <> 'blue') AND city IN ('Lima', 'Oslo')
        GROUP BY city, DATE_TRUNC('MONTH', started)
        HAVING (MEASURE(total_distance) > 100) ORDER BY "Miles" DESC, started LIMIT 1000"""
    )
    assert asked.query == Query(
        measures=("city_trips.total_distance",),
        dimensions=("city_trips.city",),
        time_dimensions=(
            TimeDimension("city_trips.started", "month", ("2024-01-01", "2024-02-29")),
        ),
        filters=(
            but("colour", "notEquals", "blue"),
            one("city", "in", "Lima", "Oslo"),
            one("total_distance", "gt", "100"),
        ),
        order=(
            Order("city_trips.total_distance", descending=True),
            Order("city_trips.started.month"),
        ),
        limit=1000,
    )
    assert [(column.name, column.source) for column in asked.columns] == [
        ("city", "city_trips.city"),
        ("started", "city_trips.started.month"),
        ("Miles", "city_trips.total_distance"),
    ]
    assert (asked.kind, asked.complete) == ("regular", False)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("colour = 'red'", (one("colour", "equals", "red"),)),
        ("'red' = colour", (one("colour", "equals", "red"),)),
        ("5 < distance", (one("distance", "gt", "5"),)),
        ("distance >= -1.5", (one("distance", "gte", "-1.5"),)),
        ("distance > .5", (one("distance", "gt", "0.5"),)),
        ("colour = 'it''s \\ 100%'", (one("colour", "equals", "it's \\ 100%"),)),
        ("NOT distance < 5", (one("distance", "gte", "5"),)),
        ("NOT NOT distance < 5", (one("distance", "lt", "5"),)),
        ("colour != 'red'", (but("colour", "notEquals", "red"),)),
        ("NOT (colour <> 'red')", (one("colour", "equals", "red"),)),
        ("colour IN ('a', NULL)", (one("colour", "in", "a"),)),
        ("colour NOT IN ('a', 'b')", (but("colour", "notIn", "a", "b"),)),
        ("colour NOT IN ('a', NULL)", (NEVER,)),
        ("colour = NULL", (NEVER,)),
        ("colour IS NULL", (one("colour", "notSet"),)),
        ("colour IS NOT NULL", (one("colour", "set"),)),
        ("NOT (colour IS NULL)", (one("colour", "set"),)),
        ("paid", (one("paid", "equals", "true"),)),
        ("NOT paid", (one("paid", "equals", "false"),)),
        ("paid IS TRUE", (one("paid", "equals", "true"),)),
        ("paid IS NOT TRUE", (one("paid", "notEquals", "true"),)),
        ("paid IN (TRUE, FALSE)", (one("paid", "in", "true", "false"),)),
        ("colour ILIKE '%re%'", (one("colour", "contains", "re"),)),
        ("colour ILIKE 're%'", (one("colour", "startsWith", "re"),)),
        ("colour ILIKE '%re'", (one("colour", "endsWith", "re"),)),
        ("colour NOT ILIKE '%re%'", (but("colour", "notContains", "re"),)),
        ("NOT (colour ILIKE '%re%')", (but("colour", "notContains", "re"),)),
        ("colour ILIKE '%100\\%\\_%'", (one("colour", "contains", "100%_"),)),
        ("colour LIKE 'Red'", (one("colour", "equals", "Red"),)),
        ("colour LIKE '%100%'", (one("colour", "contains", "100"),)),
        ("colour LIKE '%'", (one("colour", "set"),)),
        ("CAST(distance AS VARCHAR) ILIKE '1%'", (one("distance", "startsWith", "1"),)),
        (
            "distance BETWEEN 1 AND 5",
            (AndFilter((one("distance", "gte", "1"), one("distance", "lte", "5"))),),
        ),
        (
            "distance NOT BETWEEN 1 AND 5",
            (OrFilter((one("distance", "lt", "1"), one("distance", "gt", "5"))),),
        ),
        ("distance NOT BETWEEN NULL AND 5", (one("distance", "gt", "5"),)),
        (
            "NOT (colour = 'a' AND distance < 5)",
            (OrFilter((but("colour", "notEquals", "a"), one("distance", "gte", "5"))),),
        ),
        ("started = TIMESTAMP '2024-01-01 00:00:01'", (one("started", "equals", "2024-01-01 00:00:01"),)),
        ("started < '2024-01-02'::timestamp", (one("started", "lt", "2024-01-02"),)),
        ("day >= DATE '2024-01-02'", (one("day", "gte", "2024-01-02"),)),
        ("day > TO_DATE('2024-01-02', 'YYYY-MM-DD')", (one("day", "gt", "2024-01-02"),)),
        (
            "started < TIMESTAMPTZ '2024-01-01 00:00:00+02'",
            (one("started", "lt", "2024-01-01 00:00:00+02:00"),),
        ),
        ("1 = 1", ()),
        ("(1 = 0 OR TRUE)", ()),
        ("1 = 0", (NEVER,)),
        ("colour = 'a' AND 1 = 0", (one("colour", "equals", "a"), NEVER)),
    ],
)  # fmt: skip
def test_conditions_become_filters_that_hold_where_the_sql_is_true(
    desk: Desk, condition: str, expected: tuple[Filter, ...]
) -> None:
    asked = desk.parse(f"SELECT MEASURE(count) FROM city_trips WHERE {condition}")
    assert asked.query.filters == expected


def test_count_star_is_the_unfiltered_count_of_the_views_root(desk: Desk) -> None:
    asked = desk.parse('SELECT COUNT(*) AS "COUNT(*)" FROM public.city_trips WHERE paid')
    assert asked.query.measures == ("city_trips.count",)
    assert [column.name for column in asked.columns] == ["COUNT(*)"]


@pytest.mark.parametrize(
    "spelling",
    ["MEASURE(count)", "measure(city_trips.count)", "COUNT(count)", "COUNT(*)", 'MEASURE("count")'],
)
def test_a_measure_has_several_spellings(desk: Desk, spelling: str) -> None:
    assert desk.parse(f"SELECT {spelling} FROM city_trips").query.measures == ("city_trips.count",)


@pytest.mark.parametrize(
    ("spelling", "measure"),
    [
        ("SUM(total_distance)", "total_distance"),
        ("AVG(average_distance)", "average_distance"),
        ("MAX(longest)", "longest"),
        ("COUNT(DISTINCT colours)", "colours"),
    ],
)
def test_the_aggregate_of_a_measures_own_type_is_that_measure(
    desk: Desk, spelling: str, measure: str
) -> None:
    asked = desk.parse(f"SELECT {spelling} FROM city_trips")
    assert asked.query.measures == (f"city_trips.{measure}",)


@pytest.mark.parametrize("grain", ["second", "minute", "hour", "day", "week", "month", "quarter", "YEAR"])  # fmt: skip
def test_every_grain_of_supersets_postgres_has_its_granularity(desk: Desk, grain: str) -> None:
    asked = desk.parse(f"SELECT DATE_TRUNC('{grain}', started) FROM city_trips GROUP BY 1")
    assert asked.query.time_dimensions == (TimeDimension("city_trips.started", grain.lower()),)


def test_one_member_may_stand_in_several_columns_and_grains(desk: Desk) -> None:
    asked = desk.parse(
        "SELECT started AS a, started AS b, DATE_TRUNC('day', started) AS c, "
        "DATE_TRUNC('year', started) AS d FROM city_trips GROUP BY started, 3, d ORDER BY d DESC, a"
    )
    assert asked.query.dimensions == ("city_trips.started",)
    assert [item.granularity for item in asked.query.time_dimensions] == ["day", "year"]
    assert asked.query.order == (
        Order("city_trips.started.year", descending=True),
        Order("city_trips.started"),
    )
    assert [column.source for column in asked.columns] == [
        "city_trips.started",
        "city_trips.started",
        "city_trips.started.day",
        "city_trips.started.year",
    ]


def test_a_measure_that_only_orders_is_asked_but_not_shown(desk: Desk) -> None:
    asked = desk.parse(
        "SELECT city, MEASURE(count) AS n FROM city_trips GROUP BY city "
        "ORDER BY MEASURE(longest) DESC LIMIT 5 OFFSET 2"
    )
    assert asked.query.measures == ("city_trips.count", "city_trips.longest")
    assert [column.name for column in asked.columns] == ["city", "n"]
    assert (asked.query.limit, asked.query.offset) == (5, 2)


def test_segments_are_columns_of_conditions_that_must_hold(desk: Desk) -> None:
    asked = desk.parse("SELECT MEASURE(count) FROM city_trips WHERE (far AND paid) AND far IS TRUE")
    assert asked.query.segments == ("city_trips.far",)
    assert asked.query.filters == (one("paid", "equals", "true"),)


@pytest.mark.parametrize("limit", ["", "LIMIT 50001", "LIMIT 100000", "LIMIT ALL"])
def test_without_a_limit_that_can_be_honoured_the_answer_must_be_complete(
    desk: Desk, limit: str
) -> None:
    asked = desk.parse(f"SELECT DISTINCT id FROM city_trips {limit}")
    assert asked.complete
    assert (asked.query.limit, asked.query.unlimited) == (MAXIMUM_LIMIT + 1, True)


def test_a_row_count_asks_the_whole_inner_query(desk: Desk) -> None:
    asked = desk.parse(
        "SELECT COUNT(*) AS rowcount FROM (SELECT city, MEASURE(count) AS n FROM city_trips "
        "GROUP BY city ORDER BY n LIMIT 3 OFFSET 1) AS rowcount_qry"
    )
    assert (asked.kind, asked.inner_limit, asked.inner_offset) == ("row_count", 3, 1)
    assert (asked.query.total, asked.query.limit, asked.query.order) == (True, 0, ())
    assert [asked.count_rows(total) for total in (0, 1, 3, 4, 9)] == [0, 0, 2, 3, 3]


def test_names_that_are_not_quoted_ignore_case(desk: Desk) -> None:
    asked = desk.parse(
        "SELECT CITY AS c, MEASURE(Count) FROM Public.City_Trips AS t GROUP BY T.City"
    )
    assert asked.query.dimensions == ("city_trips.city",)
