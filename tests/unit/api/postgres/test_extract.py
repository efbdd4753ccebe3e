"""EXTRACT and date_part: name, type, text and bytes are those of a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.conformance.server import start_postgres
from tests.unit.api.postgres.conftest import WireServer

FIELDS = (
    "year", "month", "day", "hour", "minute", "second", "epoch", "dow", "doy", "week", "quarter",
    "isodow", "isoyear", "decade", "century", "millennium", "milliseconds", "microseconds",
)  # fmt: skip
OF_DATES = (
    "year", "month", "day", "epoch", "dow", "doy", "week", "quarter", "isodow", "isoyear", "decade",
    "century", "millennium",
)  # fmt: skip
OF_INTERVALS = (
    "year", "month", "day", "hour", "minute", "second", "epoch", "milliseconds", "microseconds",
)  # fmt: skip
OF_TIMES = ("hour", "minute", "second", "epoch", "milliseconds", "microseconds")
STAMPS = (
    "'2024-02-29 23:59:59.999999'", "'2023-01-01 00:00:00'", "'2000-12-31 12:00:30.5'",
    "'1969-12-31 23:59:58.25'", "'2021-01-03 06:07:08'", "NULL",
)  # fmt: skip
CASES = {
    "of a timestamp": (FIELDS, "timestamp", STAMPS),
    "of a date": (OF_DATES, "date", ("'2024-02-29'", "'2023-01-01'", "'1969-12-31'", "NULL")),
    "of an interval": (
        OF_INTERVALS,
        "interval",
        ("'1 year 2 months 3 days 04:05:06.75'", "'40 days 30 hours'", "'-90.5 seconds'", "NULL"),
    ),
    "of a time": (OF_TIMES, "time", ("'23:59:59.999999'", "'00:00:00'", "'01:02:03.5'")),
    "of an instant, on the session's clock": (
        FIELDS, "timestamptz", ("'2024-02-29 23:59:59.5+00'", "'2024-07-01 00:30:00+02'"),
    ),
}  # fmt: skip
SALES = """
CREATE TABLE sales AS SELECT i AS sale_id,
    timestamp '2024-01-01 00:30:00' + interval '1 hour' * (i * 7) AS sold_at
FROM generate_series(0, 399) i"""
Told = tuple[list[tuple[bytes | None, int]], list[list[bytes | None]]]


def tell(db: psycopg.Connection[Any], text: str, *, binary: bool) -> Told:
    """Return names and types of the columns, and the bytes of the rows, in their order."""
    with db.cursor(binary=binary) as cursor:
        cursor.execute(text.encode())
        result = cursor.pgresult
        assert result is not None
        columns = [(result.fname(at), result.ftype(at)) for at in range(result.nfields)]
        rows = [
            [result.get_value(row, at) for at in range(result.nfields)]
            for row in range(result.ntuples)
        ]
        return columns, rows


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("case", CASES)
def test_parts_are_those_of_postgresql(wire: WireServer, case: str, binary: bool) -> None:
    fields, kind, values = CASES[case]
    rows = ", ".join(f"(CAST({value} AS {kind}))" for value in values)
    with wire.connect(autocommit=True) as ours, psycopg.connect(start_postgres()) as theirs:
        for db in (ours, theirs):
            db.execute("SET TIME ZONE 'America/New_York'")
        for call in ("EXTRACT({field} FROM CAST(t AS {kind}))", "date_part('{field}', CAST(t AS {kind}))"):  # fmt: skip
            parts = ", ".join(call.format(field=field, kind=kind) for field in fields)
            text = f"SELECT {parts} FROM (VALUES {rows}) v(t)"
            assert tell(ours, text, binary=binary) == tell(theirs, text, binary=binary), call


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_parts_of_a_column_are_those_of_postgresql(wire: WireServer, binary: bool) -> None:
    parts = ", ".join(f"EXTRACT({field} FROM sold_at)" for field in FIELDS)
    texts = [
        f"SELECT sale_id::int, {parts} FROM sales ORDER BY sale_id",
        """SELECT EXTRACT(year FROM sold_at), date_part('month', sold_at), count(*) FROM sales
        GROUP BY 1, 2 ORDER BY 1, 2""",
        """SELECT EXTRACT(week FROM sold_at) AS w, EXTRACT(epoch FROM sold_at::date) FROM sales
        WHERE EXTRACT(dow FROM sold_at) = 1 ORDER BY 1, 2""",
        "SELECT pg_catalog.date_part('second', sold_at) FROM sales ORDER BY sale_id LIMIT 3",
        "SELECT EXTRACT(quarter FROM sold_at)::int * 10 FROM sales ORDER BY sale_id LIMIT 3",
    ]
    with wire.connect(autocommit=True) as ours, psycopg.connect(start_postgres()) as theirs:
        theirs.execute(SALES)
        for text in texts:
            assert tell(ours, text, binary=binary) == tell(theirs, text, binary=binary), text
        theirs.rollback()


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("SELECT EXTRACT(hour FROM DATE '2024-01-01')", "0A000"),
        ("SELECT EXTRACT(fortnight FROM TIMESTAMP '2024-01-01')", "22023"),
        ("SELECT date_part('fortnight', TIMESTAMP '2024-01-01')", "22023"),
    ],
)
def test_what_has_no_such_part_is_refused_as_in_postgresql(
    wire: WireServer, text: str, state: str
) -> None:
    for db in (wire.connect(autocommit=True), psycopg.connect(start_postgres())):
        with db, pytest.raises(psycopg.Error) as refused:
            db.execute(text.encode())
        assert refused.value.sqlstate == state
