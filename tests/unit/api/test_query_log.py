"""The query log: a line per query, names without values, rotated by size."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from api.query_log import QueryLog, QueryRecord, name_filters, name_members
from api.workers import divide
from semantic.query.query import AndFilter, MemberFilter, OrFilter, Query, TimeDimension
from semantic.settings import Settings

QUERY = Query(
    measures=("flights.count",),
    dimensions=("flights.carrier",),
    time_dimensions=(
        TimeDimension("flights.flight_date", "month", ("2013-01-01", "2013-02-01")),
        TimeDimension("flights.scheduled_departure", None, "last week"),
    ),
    filters=(
        MemberFilter("flights.origin", "equals", ("SECRET",)),
        OrFilter((
            MemberFilter("flights.origin", "notSet"),
            AndFilter((MemberFilter("flights.route", "contains", ("X",)),)),
        )),
    ),
    segments=("flights.delayed",),
)  # fmt: skip


def test_members_are_named_in_the_order_of_the_columns() -> None:
    assert name_members(QUERY) == ("flights.carrier", "flights.flight_date.month", "flights.count")


def test_what_filters_is_named_once_each() -> None:
    assert name_filters(QUERY) == (
        "flights.origin",
        "flights.route",
        "flights.flight_date",
        "flights.scheduled_departure",
        "flights.delayed",
    )


def test_a_line_is_json_and_holds_no_values(tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "new" / "log.ndjson")
    record = QueryRecord(
        time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        request_id="id",
        user="ann",
        face="rest",
        members=name_members(QUERY),
        filtered_by=name_filters(QUERY),
        rows=3,
        seconds=0.25,
        snapshot="abc",
    )
    log.write(record)
    log.write(record)
    log.close()
    text = (tmp_path / "new" / "log.ndjson").read_text()
    first, second = (json.loads(line) for line in text.splitlines())
    assert first == second
    assert (first["time"], first["user"], first["code"]) == (
        "2026-01-02T03:04:05.000Z",
        "ann",
        "ok",
    )
    assert "SECRET" not in text


def test_the_file_is_rotated_by_size(tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "log", largest=500, kept=2)
    for number in range(20):
        log.write(QueryRecord(datetime.now(UTC), str(number), "ann", "rest"))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size <= 500 for path in tmp_path.iterdir())
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["requestId"] == "19"


def test_the_statement_of_the_readme_reads_the_logs_of_all_workers(tmp_path: Path) -> None:
    settings = Settings(query_log=tmp_path / "query-log.ndjson")
    for number in (1, 2, 3):
        log = QueryLog(divide(settings, 3, number).query_log_path, largest=700)
        for second in range(6):
            time = datetime(2026, 1, 1, 0, 0, 10 * second + number, tzinfo=UTC)
            members = ("flights.count",) * (second % 2)
            log.write(QueryRecord(time, f"{second}-{number}", "ann", "rest", members=members))
        log.close()
    names = {file.name for file in tmp_path.iterdir()}
    assert {
        "query-log.ndjson",
        "query-log.ndjson.1",
        "query-log-2.ndjson",
        "query-log-3.ndjson",
    } <= names
    readme = (Path(__file__).parents[3] / "api" / "README.md").read_text()
    (statement,) = re.findall(r"^SELECT .*query-log.*$", readme, re.MULTILINE)
    assert ".ducat/" in statement
    rows = duckdb.sql(statement.replace(".ducat/", f"{tmp_path}/"))
    ids = [row[rows.columns.index("requestId")] for row in rows.fetchall()]
    assert ids == [f"{second}-{number}" for second in range(6) for number in (1, 2, 3)]
