"""Statements that are refused: each with a code and words that say what to do instead."""

from __future__ import annotations

import contextlib
import random
import re

import pytest

from semantic.errors import DucatError
from tests.unit.semantic.query_sql.conftest import Desk


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("SELECT SUM(distance) FROM city_trips", "invalid_query",
         "SUM(distance) is not a governed measure (use one of MEASURE(total_distance), "),
        ("SELECT COUNT(DISTINCT city) FROM city_trips", "invalid_query", "not a governed measure"),
        ("SELECT AVG(total_distance) FROM city_trips", "invalid_query", "write MEASURE(total_distance)"),
        ("SELECT SUM(paid_share) FROM city_trips", "invalid_query", "write MEASURE(paid_share)"),
        ("SELECT MEASURE(count) * 2 FROM city_trips", "invalid_query", "the model does not define"),
        ("SELECT MEASURE(city) FROM city_trips", "invalid_query", "city is a dimension, not a measure"),
        ("SELECT MEASURE(secret) FROM city_trips", "unknown_member", "no column secret"),
        ("SELECT secret FROM city_trips GROUP BY 1", "unknown_member", "no column secret"),
        ("SELECT MEASURE(nothing) FROM city_trips", "unknown_member", "no column nothing"),
        ("SELECT count FROM city_trips", "invalid_query", "write MEASURE(count)"),
        ("SELECT MEASURE(count) FROM hidden_trips", "unknown_member", "no view hidden_trips"),
        ("SELECT MEASURE(count) FROM trips", "unknown_member", "no view trips"),
        ("SELECT MEASURE(count) FROM gold.city_trips", "unknown_member", "no schema gold"),
        ("SELECT MEASURE(other.count) FROM city_trips", "unknown_member", "not other"),
        ("SELECT city, distance FROM city_trips", "unsupported", "single rows"),
        ("SELECT * FROM city_trips", "unsupported", "name the columns"),
        ("SELECT city_trips.* FROM city_trips", "unsupported", "name the columns"),
        ("SELECT city, MEASURE(count) FROM city_trips", "query_syntax", "city must appear in GROUP BY"),
        ("SELECT colour, MEASURE(count) FROM city_trips GROUP BY city", "query_syntax", "colour must appear"),
        ("SELECT DATE_TRUNC('month', started) AS started FROM city_trips GROUP BY started",
         "query_syntax", "DATE_TRUNC('month', started) must appear"),
        ("SELECT city FROM city_trips GROUP BY MEASURE(count)", "invalid_query", "count is a measure"),
        ("SELECT city FROM city_trips GROUP BY ROLLUP (city)", "unsupported", "ROLLUP"),
        ("SELECT city FROM city_trips GROUP BY ALL", "unsupported", "GROUP BY ALL"),
        ("SELECT DISTINCT ON (city) city FROM city_trips", "unsupported", "DISTINCT ON"),
        ("SELECT city AS x, colour AS x FROM city_trips GROUP BY 1, 2", "query_syntax", "are called x"),
        ("SELECT far FROM city_trips GROUP BY far", "invalid_query", "far is a segment"),
        ("SELECT UPPER(city) FROM city_trips GROUP BY 1", "unsupported", "a calculation"),
        ("SELECT SUM(total_distance) OVER () FROM city_trips", "invalid_query", "does not define"),
        ("SELECT SUM(total_distance) FILTER (WHERE paid) FROM city_trips", "invalid_query", "does not define"),
        ("SELECT (SELECT 1) FROM city_trips", "unsupported", "sub-select"),
        ("SELECT DATE_TRUNC('minute', started) + INTERVAL '5 seconds' * FLOOR(EXTRACT(SECOND FROM started) / 5) FROM city_trips GROUP BY 1",
         "unsupported", "this time grain is not answered"),
        ("SELECT DATE_TRUNC('decade', started) FROM city_trips GROUP BY 1", "unsupported", "no such time grain"),
        ("SELECT DATE_TRUNC('month', city) FROM city_trips GROUP BY 1", "unsupported", "not a time"),
        ("SELECT DATE_TRUNC('day', started, 'Asia/Tokyo') FROM city_trips GROUP BY 1", "unsupported", "asia/tokyo is not answered"),
        ("SELECT city FROM city_trips WHERE CAST(distance AS VARCHAR(1)) ILIKE '1%' GROUP BY 1", "unsupported", "VARCHAR(1)"),
        ("SELECT city FROM city_trips a JOIN city_trips b ON TRUE GROUP BY 1", "unsupported", "a join"),
        ("SELECT city FROM city_trips, city_trips b GROUP BY 1", "unsupported", "a join"),
        ("SELECT c FROM (SELECT city AS c FROM city_trips GROUP BY 1) AS q", "unsupported", "sub-select"),
        ("SELECT COUNT(*), 1 FROM (SELECT city FROM city_trips GROUP BY 1) AS q", "unsupported", "sub-select"),
        ("SELECT COUNT(*) FROM (SELECT city FROM city_trips GROUP BY 1) AS q WHERE TRUE", "unsupported", "where"),
        ("SELECT city FROM city_trips UNION SELECT city FROM city_trips", "unsupported", "only a SELECT"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "unsupported", "only a SELECT"),
        ("SELECT city INTO copy FROM city_trips", "unsupported", "INTO"),
        ("SELECT MEASURE(count) FROM city_trips TABLESAMPLE (1)", "unsupported", "TABLESAMPLE"),
        ("SELECT MEASURE(count) FROM city_trips FOR UPDATE", "unsupported", "FOR UPDATE"),
        ("SELECT MEASURE(count) FROM read_csv('/etc/passwd')", "unsupported", "only views"),
        ("SELECT 1", "unsupported", "no FROM"),
        ("SELECT 1; SELECT 2", "query_syntax", "exactly one statement"),
        ("SELECT MEASURE(count) FROM city_trips; DROP TABLE x", "query_syntax", "exactly one statement"),
        ("DROP TABLE city_trips", "unsupported", "only a SELECT"),
        ("INSERT INTO city_trips VALUES (1)", "unsupported", "only a SELECT"),
        ("COPY city_trips TO '/tmp/x'", "unsupported", "only a SELECT"),
        ("", "query_syntax", "empty"),
        ("SELECT FROM WHERE", "query_syntax", "cannot be read"),
        ("SELECT city FROM city_trips WHERE colour LIKE '%Red%' GROUP BY 1", "unsupported", "use ILIKE"),
        ("SELECT city FROM city_trips WHERE colour ILIKE 'r%d' GROUP BY 1", "unsupported", "at its start"),
        ("SELECT city FROM city_trips WHERE colour ILIKE 'r_d%' GROUP BY 1", "unsupported", "wildcard _"),
        ("SELECT city FROM city_trips WHERE colour ILIKE 'red' GROUP BY 1", "unsupported", "use ="),
        ("SELECT city FROM city_trips WHERE colour ~ 'red' GROUP BY 1", "unsupported", "not answered"),
        ("SELECT city FROM city_trips WHERE colour = 5 GROUP BY 1", "query_syntax", "single quotes"),
        ("SELECT city FROM city_trips WHERE colour = city GROUP BY 1", "unsupported", "with a value"),
        ("SELECT city FROM city_trips WHERE distance + 1 > 5 GROUP BY 1", "unsupported", "a calculation"),
        ("SELECT city FROM city_trips WHERE city IN (SELECT 'x') GROUP BY 1", "unsupported", "query"),
        ("SELECT city FROM city_trips WHERE MEASURE(count) > 1 GROUP BY 1", "invalid_query", "put it in HAVING"),
        ("SELECT city FROM city_trips GROUP BY 1 HAVING city = 'x'", "invalid_query", "put it in WHERE"),
        ("SELECT city FROM city_trips WHERE far OR paid GROUP BY 1", "unsupported", "a segment"),
        ("SELECT city FROM city_trips WHERE NOT far GROUP BY 1", "unsupported", "a segment"),
        ("SELECT city FROM city_trips WHERE distance GROUP BY 1", "unsupported", "no condition"),
        ("SELECT city FROM city_trips WHERE started > 'yesterday' GROUP BY 1", "query_syntax", "cannot be read"),
        ("SELECT city FROM city_trips WHERE started > '2024-01-01 00:00:00.0000001' GROUP BY 1",
         "query_syntax", "cannot be read"),
        ("SELECT city FROM city_trips WHERE started > TIMESTAMP '2024-01-01 00:00:00+02' GROUP BY 1",
         "query_syntax", "cannot be read"),
        ("SELECT city FROM city_trips WHERE started > NOW() GROUP BY 1", "unsupported", "with a value"),
        ("SELECT city FROM city_trips WHERE DATE_TRUNC('day', started) = '2024-01-01' GROUP BY 1",
         "unsupported", "two moments"),
        ("SELECT city FROM city_trips WHERE started > TO_TIMESTAMP('01.02.2024', 'DD.MM.YYYY') GROUP BY 1",
         "unsupported", "this pattern"),
        ("SELECT city FROM city_trips GROUP BY 1 ORDER BY colour", "query_syntax", "not among the columns"),
        ("SELECT city FROM city_trips GROUP BY 1 ORDER BY 2", "unknown_member", "no column number 2"),
        ("SELECT city FROM city_trips GROUP BY 1 ORDER BY city NULLS FIRST", "unsupported", "NULLS FIRST"),
        ("SELECT city FROM city_trips GROUP BY 1 LIMIT 1 + 1", "unsupported", "a whole number"),
        ("SELECT city FROM city_trips GROUP BY 1 FETCH FIRST 2 ROWS ONLY", "unsupported", "use LIMIT"),
        ("SELECT city FROM city_trips GROUP BY 1 OFFSET 9999999999999999999", "limit_exceeded", "too large"),
        ("SELECT city FROM city_trips WHERE " + "(" * 900 + "TRUE" + ")" * 900, "limit_exceeded", "deeply"),
        ("SELECT " + "CASE WHEN " * 3000, "limit_exceeded", "deeply"),
        ("SELECT city FROM city_trips WHERE " + " OR ".join(["city = 'x'"] * 600) + " GROUP BY 1",
         "limit_exceeded", "500 conditions"),
        ("SELECT city FROM city_trips -- " + "x" * 400_000, "limit_exceeded", "characters"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_a_sentence(
    desk: Desk, text: str, code: str, words: str
) -> None:
    with pytest.raises(DucatError) as refused:
        desk.parse(text)
    assert refused.value.code == code
    assert words in str(refused.value)
    assert "\x1b" not in str(refused.value)


WHOLE = re.findall(
    r"\s*\S+",
    "SELECT city , DATE_TRUNC ( 'MONTH' , started ) AS started , MEASURE ( total_distance ) AS m "
    "FROM public . city_trips WHERE started >= TO_TIMESTAMP ( '2024-01-01 00:00:00' , "
    "'YYYY-MM-DD HH24:MI:SS' ) AND city IN ( 'Lima' , NULL ) AND NOT distance BETWEEN 1 AND - 2.5 "
    "OR paid IS NOT TRUE GROUP BY city , DATE_TRUNC ( 'MONTH' , started ) "
    "HAVING ( MEASURE ( count ) > 1 ) ORDER BY m DESC NULLS FIRST LIMIT 10 OFFSET 2",
)
NOISE = re.findall(
    r"\s*\S+",
    "( ) , ' \" * - :: [ ] { } . ; -- /* % $1 ? :x @a \\ e' U&' 0x1 1e999 \x01 \ud800 é SELECT FROM NOT "
    "CASE WHEN END NULL OVER FILTER INTERVAL ARRAY CAST AS LATERAL IN ANY",
)


def test_hostile_text_is_refused_or_understood_and_nothing_else(desk: Desk) -> None:
    chance = random.Random(20130101)
    for _ in range(1200):
        words = list(WHOLE)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(words))
            match chance.randrange(3):
                case 0:
                    words[place] = chance.choice(NOISE)
                case 1:
                    words.insert(place, chance.choice(NOISE))
                case _:
                    words[place], words[0] = words[0], words[place]
        with contextlib.suppress(DucatError):
            desk.parse(" ".join(words))
