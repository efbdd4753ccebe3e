"""Answers to SQL equal what DuckDB says to hand-written SQL over the joined table."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.unit.semantic.query_sql.conftest import Desk

# What the view means, written by hand: one row per trip, the city's name beside it.
FLAT = "(SELECT t.*, c.name AS city FROM gold.trips t LEFT JOIN gold.cities c ON t.city_id = c.id)"

LEAVES = (
    "colour = 'red'",
    "colour <> 'red'",
    "colour IN ('red', 'blue')",
    "colour NOT IN ('Red', 'blue')",
    "colour NOT IN ('Red', NULL)",
    "colour IN ('Red', NULL)",
    "colour = NULL",
    "colour IS NULL",
    "colour IS NOT NULL",
    "colour > 'b'",
    "colour ILIKE '%RED%'",
    "colour NOT ILIKE 'red%'",
    "colour ILIKE '%red'",
    "colour LIKE '%'",
    "city <> 'Lima'",
    "paid",
    "NOT paid",
    "paid = FALSE",
    "paid <> TRUE",
    "paid IS TRUE",
    "paid IS NOT TRUE",
    "paid IS FALSE",
    "paid IN (TRUE)",
    "distance < 5",
    "distance >= 5",
    "4 < distance",
    "distance <> 9",
    "distance BETWEEN 4 AND 9",
    "distance NOT BETWEEN 4 AND 9",
    "distance NOT BETWEEN NULL AND 5",
    "started >= TIMESTAMP '2024-01-01' AND started < TIMESTAMP '2024-02-01'",
    "started > TIMESTAMP '2024-01-01 00:00:00'",
    "started <= TIMESTAMP '2024-01-31 23:59:59.999998'",
    "started = TIMESTAMP '2024-01-01 00:00:00.000001'",
    "started <> TIMESTAMP '2024-01-01 00:00:00.000001'",
    "started BETWEEN TIMESTAMP '2023-12-31 23:59:59.999999' AND TIMESTAMP '2024-01-01'",
    "started NOT IN (TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-02-01')",
    "day >= DATE '2024-01-01' AND day < DATE '2024-02-01'",
    "day = DATE '2024-01-31'",
    "day <= DATE '2024-01-31'",
    "1 = 1",
    "1 = 0",
)


def read_ids(desk: Desk, condition: str) -> Counter[object]:
    rows = desk.read(f"SELECT id FROM {FLAT} WHERE {condition}")
    return Counter(row[0] for row in rows)


def answer_ids(desk: Desk, condition: str) -> Counter[object]:
    rows = desk.answer(f"SELECT id FROM public.city_trips WHERE {condition} GROUP BY id")
    return Counter(row[0] for row in rows)


@pytest.mark.parametrize("condition", LEAVES)
def test_a_condition_and_its_opposite_keep_the_rows_that_sql_keeps(
    desk: Desk, condition: str
) -> None:
    for text in (condition, f"NOT ({condition})", f"({condition}) OR distance = 12"):
        assert answer_ids(desk, text) == read_ids(desk, text), text


def test_nested_conditions_keep_the_rows_that_sql_keeps(desk: Desk) -> None:
    chance = random.Random(19700101)

    def draw(depth: int) -> str:
        if depth == 0:
            return chance.choice(LEAVES)
        word = chance.choice((" AND ", " OR "))
        parts = [f"({draw(depth - 1)})" for _ in range(chance.randint(1, 3))]
        return chance.choice(("", "NOT ")) + f"({word.join(parts)})"

    for _ in range(60):
        text = draw(3)
        assert answer_ids(desk, text) == read_ids(desk, text), text


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            (
                "SELECT city, MEASURE(count) n, MEASURE(total_distance) d, AVG(average_distance) a "
                "FROM city_trips GROUP BY city ORDER BY n DESC, city"
            ),
            (
                f"SELECT city, count(*), sum(distance), avg(distance) FROM {FLAT} "
                "GROUP BY 1 ORDER BY 2 DESC NULLS FIRST, 1 ASC NULLS LAST"
            ),
        ),
        (
            (
                "SELECT DATE_TRUNC('MONTH', started) AS started, MEASURE(count) FROM city_trips "
                "WHERE started >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') "
                "AND started < TO_TIMESTAMP('2024-02-29 12:30:15.500000', 'YYYY-MM-DD HH24:MI:SS.US') "
                "GROUP BY DATE_TRUNC('MONTH', started) ORDER BY started DESC"
            ),
            (
                f"SELECT date_trunc('month', started), count(*) FROM {FLAT} "
                "WHERE started >= '2024-01-01' AND started < '2024-02-29 12:30:15.5' "
                "GROUP BY 1 ORDER BY 1 DESC"
            ),
        ),
        (
            (
                "SELECT city FROM city_trips GROUP BY city "
                "HAVING MEASURE(total_distance) <> 12 AND NOT MEASURE(count) < 2 ORDER BY 1"
            ),
            (
                f"SELECT city FROM {FLAT} GROUP BY 1 "
                "HAVING sum(distance) <> 12 AND count(*) >= 2 ORDER BY 1 ASC NULLS LAST"
            ),
        ),
        (
            (
                "SELECT colour, MEASURE(longest) FROM city_trips GROUP BY 1 "
                "HAVING MEASURE(longest) IS NULL OR MEASURE(longest) > 8 ORDER BY MEASURE(longest), 1"
            ),
            (
                f"SELECT colour, max(distance) FROM {FLAT} GROUP BY 1 "
                "HAVING max(distance) IS NULL OR max(distance) > 8 ORDER BY 2 NULLS LAST, 1 NULLS LAST"
            ),
        ),
        (
            "SELECT MEASURE(count) FROM city_trips HAVING 1 = 0",
            f"SELECT count(*) FROM {FLAT} HAVING 1 = 0",
        ),
        (
            "SELECT COUNT(*), MEASURE(total_distance) FROM city_trips WHERE 1 = 0",
            f"SELECT count(*), sum(distance) FROM {FLAT} WHERE 1 = 0",
        ),
        (
            "SELECT DISTINCT city AS column_values FROM city_trips ORDER BY column_values LIMIT 2",
            f"SELECT DISTINCT city FROM {FLAT} ORDER BY 1 NULLS LAST LIMIT 2",
        ),
        (
            "SELECT MEASURE(count) FROM city_trips GROUP BY city ORDER BY city OFFSET 1",
            f"SELECT count(*) FROM {FLAT} GROUP BY city ORDER BY city NULLS LAST OFFSET 1",
        ),
        (
            "SELECT COUNT(*) AS n FROM (SELECT city, colour FROM city_trips GROUP BY 1, 2) AS q",
            f"SELECT count(*) FROM (SELECT city, colour FROM {FLAT} GROUP BY 1, 2)",
        ),
        (
            (
                "SELECT COUNT(*) AS n FROM (SELECT id, MEASURE(longest) AS l FROM city_trips "
                "WHERE distance > 3 GROUP BY id HAVING MEASURE(longest) < 12 LIMIT 3) AS q"
            ),
            f"SELECT count(*) FROM (SELECT id FROM {FLAT} WHERE distance > 3 AND distance < 12 LIMIT 3)",
        ),
        ("SELECT city, started FROM city_trips WHERE FALSE", "SELECT 1 WHERE FALSE"),
        (
            "SELECT MEASURE(count) FROM city_trips WHERE NOT (city IS NULL OR city IN (NULL) AND (1 != 1))",
            f"SELECT count(*) FROM {FLAT} WHERE city IS NOT NULL",
        ),
        (
            "SELECT COUNT(*) FROM (SELECT MEASURE(count) FROM city_trips) AS q",
            "SELECT 1",
        ),
        (
            "SELECT MEASURE(count), MEASURE(cities_count) FROM city_trips WHERE far",
            f"SELECT count(*), count(DISTINCT city_id) FROM {FLAT} WHERE distance > 5",
        ),
    ],
)
def test_answers_equal_hand_written_sql(desk: Desk, asked: str, expected: str) -> None:
    assert desk.answer(asked) == desk.read(expected)


def test_moments_are_those_of_the_querys_time_zone(desk: Desk) -> None:
    text = (
        "SELECT MEASURE(count) FROM city_trips "
        "WHERE started >= TIMESTAMP '2024-01-01' AND started < TIMESTAMP '2024-02-01'"
    )
    assert desk.answer(text, "America/New_York") == desk.read(
        "SELECT count(*) FROM gold.trips WHERE started >= '2024-01-01 05:00:00' "
        "AND started < '2024-02-01 05:00:00'"
    )
    assert desk.answer(text, "UTC") != desk.answer(text, "America/New_York")
