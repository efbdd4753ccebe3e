"""The flights transforms give the same tables on DuckDB, Polars and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import ibis
import pyarrow as pa
import pytest

from flows.pipelines.flights.gold import GOLD
from flows.pipelines.flights.silver import SILVER
from tests.unit.flows import flights_data
from tests.unit.flows.postgres import run_postgres

Rows = dict[str, list[tuple[Any, ...]]]


def bronze() -> dict[str, pa.Table]:
    """Return two days around a change of the clocks, with repeats, corrections and odd values."""
    first, last = date(2013, 11, 2), date(2013, 11, 3)
    flights = flights_data.days("flights", first, last)
    weather = flights_data.days("weather", first, last)
    one = flights.slice(0, 1)
    odd = [
        (flights, 0),
        (flights.slice(10, 40), 1),  # delivered again
        (flights_data.changed(flights.slice(20, 3), dep_delay=77, arr_delay=70), 2),  # corrected
        (flights_data.changed(flights.slice(20, 1), dep_delay=78), 3),  # and corrected again
        (flights_data.changed(one, flight=9001, tailnum="  N1  "), 4),
        (flights_data.changed(one, flight=9002, tailnum=""), 4),
        (flights_data.changed(one, flight=9003, tailnum="NA", dep_time=None, dep_delay=None), 4),
        (
            flights_data.changed(one, flight=9004, sched_dep_time=2359, dep_time=2400, dep_delay=1),
            4,
        ),
        (flights_data.changed(one, flight=9005, dest="ZZZ", tailnum="N-UNKNOWN"), 4),
        # Two rows of one record in one delivery: no order says which, the choice must be the same.
        (flights_data.changed(one, flight=9006, arr_delay=5), 5),
        (flights_data.changed(one, flight=9006, arr_delay=7), 5),
    ]
    late = flights_data.changed(weather.slice(3, 2), temp=float("nan"), wind_gust=None)
    tables = {
        "flights": pa.concat_tables(
            flights_data.with_metadata("flights", rows, number) for rows, number in odd
        ),
        "weather": pa.concat_tables(
            [
                flights_data.with_metadata("weather", weather, 0),
                flights_data.with_metadata("weather", late, 1),
            ]
        ),
    }
    for source in ("airlines", "airports", "planes"):
        rows = flights_data.table(source)
        again = rows.slice(0, 5)
        if source == "planes":
            again = flights_data.changed(again, model="CORRECTED", seats=None)
        tables[source] = pa.concat_tables(
            [
                flights_data.with_metadata(source, rows, 0),
                flights_data.with_metadata(source, again, 1),
            ]
        )
    return tables


def run_everything(backend: Any) -> Rows:
    """Return the rows of all silver and gold tables, each made from stored tables."""
    tables = {}
    for source, rows in bronze().items():
        tables[f"flights.{source}"] = backend.create_table(f"bronze_{source}", rows)
    found: Rows = {}
    for transform in (*SILVER, *GOLD):
        expression = transform.build({name: tables[name] for name in transform.inputs})
        rows = backend.to_pyarrow(expression)
        found[transform.name] = sorted(
            (tuple(_plain(row[name]) for name in rows.column_names) for row in rows.to_pylist()),
            key=repr,
        )
        tables[transform.name] = backend.create_table(transform.name, rows)
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


@pytest.fixture(scope="module")
def on_duckdb() -> Rows:
    return run_everything(ibis.duckdb.connect())


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with run_postgres() as address:
        yield address


def _assert_equal(found: Rows, expected: Rows) -> None:
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert rows, name
        assert len(found[name]) == len(rows), name
        for there, here in zip(found[name], rows, strict=True):
            assert there == here, name


def test_polars_gives_the_tables_that_duckdb_gives(on_duckdb: Rows) -> None:
    _assert_equal(run_everything(ibis.polars.connect()), on_duckdb)


def test_postgresql_gives_the_tables_that_duckdb_gives(on_duckdb: Rows, postgres: str) -> None:
    backend = ibis.connect(postgres)
    try:
        _assert_equal(run_everything(backend), on_duckdb)
    finally:
        backend.disconnect()
