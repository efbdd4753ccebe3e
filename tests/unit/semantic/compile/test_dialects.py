"""What the dialects write means the same in both databases: run there, computed by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from semantic.compile.dialect import POSTGRES, Parameter, Parts
from semantic.errors import UnsupportedError
from tests.unit.semantic.compile.conftest import Database

NEW_YORK = "America/New_York"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        # Winter and summer, and the two hours of 2024-11-03 that the clocks show as 01:30.
        ("TIMESTAMP '2024-01-01 03:00'", "2023-12-31 22:00"),
        ("TIMESTAMP '2024-07-01 03:00'", "2024-06-30 23:00"),
        ("TIMESTAMP '2024-11-03 05:30'", "2024-11-03 01:30"),
        ("TIMESTAMP '2024-11-03 06:30'", "2024-11-03 01:30"),
        # 02:30 of 2024-03-10 is on no clock.
        ("TIMESTAMP '2024-03-10 07:30'", "2024-03-10 03:30"),
        ("CAST('2024-01-01 00:00:00+09:00' AS TIMESTAMPTZ)", "2023-12-31 10:00"),
        ("DATE '2024-01-01'", "2024-01-01 00:00"),
        ("CAST(NULL AS DATE)", None),
        ("CAST(NULL AS TIMESTAMP)", None),
    ],
)
def test_a_stored_time_is_shown_as_the_zones_clock_shows_it(
    database: Database, stored: str, expected: str | None
) -> None:
    local = database.dialect.local_time("x", NEW_YORK)
    [(found,)] = database.run(f"SELECT {local} FROM (SELECT {stored} AS x) AS t")
    assert found == (None if expected is None else moment(expected))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("TIMESTAMP '2024-01-01 03:00'", "2024-01-01 03:00"),
        ("CAST('2024-01-01 03:00:00+02:00' AS TIMESTAMPTZ)", "2024-01-01 01:00"),
        ("DATE '2024-02-29'", "2024-02-29 00:00"),
    ],
)
def test_in_utc_a_stored_time_is_itself_without_a_zone(
    database: Database, stored: str, expected: str
) -> None:
    local = database.dialect.local_time(stored, "UTC")
    assert database.value(local) == moment(expected)


@pytest.mark.parametrize(
    ("column", "inside"),
    [
        # 2024-05-01 in New York begins at 04:00 UTC.
        ("DATE '2024-05-01'", True),
        ("DATE '2024-04-30'", False),
        ("TIMESTAMP '2024-05-01 03:59:59'", False),
        ("TIMESTAMP '2024-05-01 04:00:00'", True),
        ("CAST('2024-05-01 03:59:59+00' AS TIMESTAMPTZ)", False),
        ("CAST('2024-05-01 00:00:00-04' AS TIMESTAMPTZ)", True),
    ],
)
def test_a_bound_is_local_for_a_date_and_utc_for_an_instant(
    database: Database, column: str, inside: bool
) -> None:
    dialect = database.dialect
    local, utc = moment("2024-05-01 00:00"), moment("2024-05-01 04:00")
    bound = dialect.moment(dialect.placeholder(1, local), dialect.placeholder(2, utc), "x")
    rows = database.run(
        f"SELECT 1 FROM (SELECT {column} AS x) AS t WHERE x >= {bound}", [local, utc]
    )
    assert bool(rows) is inside


def test_a_bound_in_postgres_lets_an_index_be_used(databases: dict[str, Database]) -> None:
    """Asking for the column's type reads no row, so the comparison is with a constant."""
    database = databases["postgres"]
    database.run(
        "CREATE TABLE events AS SELECT timestamptz '2024-01-01' + i * interval '1 minute' "
        "AS happened FROM generate_series(1, 50000) AS i"
    )
    database.run("CREATE INDEX ON events (happened)")
    bound = POSTGRES.moment("$1::timestamp", "$2::timestamp", "happened")
    plan = database.run(
        f"EXPLAIN SELECT * FROM events WHERE happened < {bound}",
        [moment("2024-01-01 01:00"), moment("2024-01-01 02:00")],
    )
    assert "Index" in str(plan)


@pytest.mark.parametrize(
    ("start", "interval", "sign", "expected"),
    [
        ("2024-01-31", ((1, "month"),), 1, "2024-02-29"),
        ("2023-03-31 05:00", ((1, "month"),), -1, "2023-02-28 05:00"),
        ("2024-02-29", ((1, "year"),), -1, "2023-02-28"),
        ("2024-01-31", ((1, "quarter"),), 1, "2024-04-30"),
        ("2024-01-31", ((1, "month"), (1, "day")), 1, "2024-03-01"),
        ("2024-01-31", ((1, "day"), (1, "month")), 1, "2024-03-01"),
        ("2024-01-30", ((1, "day"), (1, "month")), 1, "2024-02-29"),
        ("2024-03-10", ((2, "week"), (-3, "hour")), -1, "2024-02-25 03:00"),
        ("2024-01-01", ((1, "millisecond"),), -1, "2023-12-31 23:59:59.999"),
        ("2024-01-01", (), 1, "2024-01-01"),
    ],
)
def test_a_time_moves_by_the_calendar(
    database: Database, start: str, interval: Parts, sign: int, expected: str
) -> None:
    moved = database.dialect.add(f"TIMESTAMP '{start}'", interval, sign)
    assert database.value(moved) == moment(expected)


@pytest.mark.parametrize(
    ("time", "interval", "origin", "expected"),
    [
        # Every six months from the 1st of April, before the origin too.
        ("2024-04-01", ((6, "month"),), "2024-04-01", "2024-04-01"),
        ("2024-03-31 23:59:59.999999", ((6, "month"),), "2024-04-01", "2023-10-01"),
        ("2019-12-25", ((6, "month"),), "2024-04-01", "2019-10-01"),
        # From a day within a month, and an hour within a day.
        ("2024-04-14", ((1, "month"),), "2024-01-15", "2024-03-15"),
        ("2024-04-15 08:59", ((1, "month"),), "2024-01-15 09:00", "2024-03-15 09:00"),
        ("2024-04-15 09:00", ((1, "month"),), "2024-01-15 09:00", "2024-04-15 09:00"),
        ("2023-12-20", ((1, "month"),), "2024-01-15", "2023-12-15"),
        # From the last day of a month.
        ("2024-02-29", ((1, "month"),), "2024-01-31", "2024-02-29"),
        ("2024-02-28", ((1, "month"),), "2024-01-31", "2024-01-31"),
        ("2024-03-30", ((1, "month"),), "2024-01-31", "2024-02-29"),
        ("2024-03-31", ((1, "month"),), "2024-01-31", "2024-03-31"),
        ("2023-04-29", ((1, "month"),), "2024-01-31", "2023-03-31"),
        ("2025-02-27", ((1, "year"),), "2024-02-29", "2024-02-29"),
        ("2025-02-28", ((1, "year"),), "2024-02-29", "2025-02-28"),
        ("2024-05-05", ((1, "quarter"),), "2024-02-01", "2024-05-01"),
        ("2029-12-31", ((1, "year"), (6, "month")), "2024-01-01", "2028-07-01"),
        # Lengths that are always the same.
        ("2024-01-08", ((2, "week"),), "2024-01-01", "2024-01-01"),
        ("2023-12-31", ((2, "week"),), "2024-01-01", "2023-12-18"),
        ("1969-03-15 05:00", ((6, "hour"),), "2024-01-31 02:00", "1969-03-15 02:00"),
        ("1999-12-30 05:00", ((1, "day"), (12, "hour")), "2000-01-01", "1999-12-29"),
        (
            "2024-01-01 00:00:44.999",
            ((15, "second"),),
            "2024-01-01 00:00:00",
            "2024-01-01 00:00:30",
        ),
    ],
)
def test_a_period_is_counted_from_its_origin(
    database: Database, time: str, interval: Parts, origin: str, expected: str
) -> None:
    found = database.dialect.bin(f"TIMESTAMP '{time}'", interval, origin)
    assert database.value(found) == moment(expected)


@pytest.mark.parametrize("interval", [((1, "month"),), ((1, "day"),)])
@pytest.mark.parametrize("origin", ["2024-01-31", "2024-01-01"])
def test_null_and_infinity_lie_in_no_other_period(
    database: Database, interval: Parts, origin: str
) -> None:
    dialect = database.dialect
    assert database.value(dialect.bin("CAST(NULL AS TIMESTAMP)", interval, origin)) is None
    infinity = dialect.bin("CAST('infinity' AS TIMESTAMP)", interval, origin)
    assert database.value(f"{infinity} = CAST('infinity' AS TIMESTAMP)") is True


def test_periods_of_months_from_a_months_end_match_a_walk_through_the_days(
    database: Database,
) -> None:
    """Each day of three years lies in the period whose begin was passed last."""
    origin = date(2023, 8, 31)
    begins = [add_months(origin, 2 * count) for count in range(-12, 12)]
    days = [date(2022, 1, 1) + timedelta(days=count) for count in range(1096)]
    listed = ", ".join(f"(DATE '{day}')" for day in days)
    period = database.dialect.bin("CAST(d AS TIMESTAMP)", ((2, "month"),), origin.isoformat())
    found = dict(database.run(f"SELECT d, {period} FROM (VALUES {listed}) AS t(d)"))
    for day in days:
        expected = max(begin for begin in begins if begin <= day)
        assert found[day].date() == expected, day


def add_months(day: date, count: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    for length in (31, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, length))
        except ValueError:
            continue
    raise AssertionError


@pytest.mark.parametrize(
    ("time", "interval", "offset", "expected"),
    [
        ("2024-01-31", ((1, "year"),), ((1, "month"),), "2023-02-01"),
        ("2024-02-01", ((1, "year"),), ((1, "month"),), "2024-02-01"),
        ("2024-02-28", ((1, "year"),), ((-3, "month"),), "2023-10-01"),
        ("2024-03-31", ((6, "month"),), ((3, "month"),), "2023-10-01"),
        ("1999-12-31", ((5, "year"),), (), "1995-01-01"),
        ("2024-05-31 23:00", ((1, "quarter"),), ((1, "month"), (-1, "day")), "2024-04-30"),
        # Months that begin two days before the first.
        ("2024-02-28", ((1, "month"),), ((-2, "day"),), "2024-02-28"),
        ("2024-02-27 23:59", ((1, "month"),), ((-2, "day"),), "2024-01-30"),
        # Weeks from Sunday, days from 06:00.
        ("2024-01-06", ((1, "week"),), ((-1, "day"),), "2023-12-31"),
        ("2024-01-07", ((1, "week"),), ((-1, "day"),), "2024-01-07"),
        ("2024-01-07", ((1, "week"),), (), "2024-01-01"),
        ("2024-01-07 05:59", ((1, "day"),), ((6, "hour"),), "2024-01-06 06:00"),
        ("1999-01-07 05:59", ((15, "minute"),), ((5, "minute"),), "1999-01-07 05:50"),
    ],
)
def test_a_period_that_divides_the_calendar_is_moved_by_its_offset(
    database: Database, time: str, interval: Parts, offset: Parts, expected: str
) -> None:
    found = database.dialect.bin_with_offset(f"TIMESTAMP '{time}'", interval, offset)
    assert database.value(found) == moment(expected)


def test_periods_that_no_rule_defines_are_refused(database: Database) -> None:
    dialect = database.dialect
    with pytest.raises(UnsupportedError, match="mixes months and days"):
        dialect.bin("t", ((1, "month"), (1, "day")), "2024-01-01")
    with pytest.raises(UnsupportedError, match="has a time zone"):
        dialect.bin("t", ((1, "day"),), "2024-01-01T00:00:00+02:00")
    with pytest.raises(UnsupportedError, match="cannot move periods"):
        dialect.bin_with_offset("t", ((1, "week"),), ((1, "month"),))


@pytest.mark.parametrize(
    ("start", "end", "interval", "expected"),
    [
        ("2024-01-30", "2024-02-01", ((1, "day"),), ["2024-01-30", "2024-01-31", "2024-02-01"]),
        ("2024-01-01", "2024-07-31", ((1, "quarter"),), ["2024-01-01", "2024-04-01", "2024-07-01"]),
        ("2024-01-01", "2024-01-31", ((2, "week"),), ["2024-01-01", "2024-01-15", "2024-01-29"]),
        ("2024-01-01", "2024-01-01", ((1, "year"),), ["2024-01-01"]),
        ("2024-01-02", "2024-01-01", ((1, "day"),), []),
        # The clocks of a zone do not move it: it is a wall clock.
        ("2024-03-10", "2024-03-10 04:00", ((2, "hour"),),
         ["2024-03-10 00:00", "2024-03-10 02:00", "2024-03-10 04:00"]),
    ],
)  # fmt: skip
def test_a_series_goes_from_start_to_end(
    database: Database, start: str, end: str, interval: Parts, expected: list[str]
) -> None:
    series = database.dialect.series("_l._a", "_l._z", interval, "_n", "_start")
    limits = f"(SELECT TIMESTAMP '{start}' AS _a, TIMESTAMP '{end}' AS _z) AS _l"
    rows = database.run(f"SELECT _n._start FROM {limits}, LATERAL {series} ORDER BY 1")
    assert [row[0] for row in rows] == [moment(text) for text in expected]


def test_a_series_without_bounds_is_empty(database: Database) -> None:
    """An aggregate over no rows bounds nothing."""
    series = database.dialect.series("_l._a", "_l._a", ((1, "day"),), "_n", "_start")
    limits = "(SELECT max(TIMESTAMP '2024-01-01') AS _a FROM (SELECT 1) AS t WHERE FALSE) AS _l"
    assert database.run(f"SELECT * FROM {limits}, LATERAL {series}") == []


def test_any_value_prefers_what_is_not_null(database: Database) -> None:
    value = database.dialect.any_value("x")
    rows = database.run(
        f"SELECT k, {value} FROM (VALUES (1, NULL), (1, TRUE), (1, NULL), (2, NULL)) AS t(k, x) "
        "GROUP BY 1 ORDER BY 1"
    )
    assert rows == [(1, True), (2, None)]


def test_values_become_text_and_times(database: Database) -> None:
    dialect = database.dialect
    assert database.value(dialect.cast_text("42")) == "42"
    assert database.value(dialect.cast_text("TRUE")) == "true"
    assert database.value(dialect.cast_timestamp("DATE '2024-02-29'")) == moment("2024-02-29")
    written = dialect.cast_timestamp(dialect.placeholder(1, "2024-02-29 10:00:00.5"))
    assert database.value(written, ["2024-02-29 10:00:00.5"]) == moment("2024-02-29 10:00:00.500")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"%50\%%", ["50% OFF"]),
        (r"%a\_b%", ["A_b"]),
        (r"%\\%", ["back\\slash"]),
        ("%OFF", ["50 off", "50% OFF"]),
    ],
)
def test_a_pattern_ignores_case_and_takes_escaped_characters_as_they_are(
    database: Database, pattern: str, found: list[str]
) -> None:
    dialect = database.dialect
    texts = "(VALUES ('50% OFF'), ('50 off'), ('A_b'), ('acb'), ('back\\slash'), (NULL)) AS t(x)"
    test = dialect.ilike("x", dialect.placeholder(1, pattern), negated=False)
    rows = database.run(f"SELECT x FROM {texts} WHERE {test} ORDER BY 1", [pattern])
    assert [row[0] for row in rows] == found
    test = dialect.ilike("x", dialect.placeholder(1, pattern), negated=True)
    assert len(database.run(f"SELECT x FROM {texts} WHERE {test}", [pattern])) == 5 - len(found)


def test_nulls_are_equal_and_equal_to_nothing_else(database: Database) -> None:
    equal = database.dialect.null_safe_equal("a.x", "b.x")
    values = "(VALUES (1.0), (2.50), (NULL))"
    rows = database.run(
        f"SELECT a.x, b.x FROM {values} AS a(x) LEFT JOIN {values} AS b(x) ON ({equal}) ORDER BY 1"
    )
    one, two = Decimal("1.0"), Decimal("2.50")
    assert [tuple(row) for row in rows] == [(one, one), (two, two), (None, None)]


@pytest.mark.parametrize(
    "value",
    [
        True,
        7,
        -(2**62),
        0.1,
        Decimal("1234567890123456789.123456789"),
        moment("2024-02-29 12:00:00.123456"),
        "it's; DROP TABLE x --",
    ],
)
def test_a_bound_value_comes_back_as_it_went(database: Database, value: Parameter) -> None:
    assert database.value(database.dialect.placeholder(1, value), [value]) == value


def test_postgres_reads_a_text_as_what_it_is_compared_with(
    databases: dict[str, Database],
) -> None:
    value = "12345678-1234-1234-1234-123456789012"
    placeholder = POSTGRES.placeholder(1, value)
    [(found,)] = databases["postgres"].run(
        f"SELECT x FROM (SELECT CAST('{value}' AS uuid) AS x) AS t WHERE x = {placeholder}", [value]
    )
    assert found == UUID(value)


def test_names_and_texts_are_quoted(database: Database) -> None:
    dialect = database.dialect
    name, text = 'od"d.na me', "it's \\ 'quoted'"
    [(found,)] = database.run(
        f"SELECT {dialect.quote_name(name)} FROM "
        f"(SELECT {dialect.quote_text(text)} AS {dialect.quote_name(name)}) AS t"
    )
    assert found == text


def test_long_names_stay_apart_in_postgres(databases: dict[str, Database]) -> None:
    """PostgreSQL keeps 63 bytes of a name."""
    first, second = (POSTGRES.quote_name("x" * 70 + end) for end in "ab")
    rows = databases["postgres"].run(
        f"SELECT {second} FROM (SELECT 1 AS {first}, 2 AS {second}) AS t"
    )
    assert rows == [(2,)]
