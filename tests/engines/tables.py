"""Fills ClickHouse and Spark with the tables of a seed, as DuckDB made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from semantic.compile.dialect import CLICKHOUSE, SPARK
from semantic.engine.clickhouse import ClickHouseEngine
from semantic.engine.spark import SparkEngine

_CLICKHOUSE: Final = {
    "BOOLEAN": "Bool", "TINYINT": "Int8", "SMALLINT": "Int16", "INTEGER": "Int32", "BIGINT": "Int64",
    "HUGEINT": "Int128", "FLOAT": "Float32", "DOUBLE": "Float64", "DATE": "Date32",
    "TIMESTAMP": "DateTime64(6, 'UTC')", "TIMESTAMP WITH TIME ZONE": "DateTime64(6, 'UTC')",
    "VARCHAR": "String", "UUID": "UUID",
}  # fmt: skip
_PLAIN: Final = {"UUID": "VARCHAR", "HUGEINT": "DECIMAL(38, 0)"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table in a Parquet file; `columns` are names and DuckDB's types."""

    schema: str | None
    name: str
    columns: tuple[tuple[str, str], ...]
    file: Path


def write_tables(seed: str, folder: Path) -> Iterator[Table]:
    """Run a seed in DuckDB and yield its tables, each in a file."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(seed)
        yield from export_tables(connection, folder)


def export_tables(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[Table]:
    """Yield the tables and views of a database, each in a file."""
    listed = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal UNION ALL "
        "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    for number, (schema, name) in enumerate(listed):
        full = f'"{schema}"."{name}"'
        described = connection.execute(f"DESCRIBE {full}").fetchall()
        columns = tuple((str(row[0]), str(row[1])) for row in described)
        file = folder / f"{number}.parquet"
        # What Parquet, or Spark's, has no type for; DuckDB would write 128 bits as a double.
        listed_columns = ", ".join(
            f'CAST("{column}" AS {_PLAIN[kind]}) AS "{column}"' if kind in _PLAIN else f'"{column}"'
            for column, kind in columns
        )
        connection.execute(
            f"COPY (SELECT {listed_columns} FROM {full}) TO '{file}' (FORMAT parquet)"
        )
        yield Table(None if schema == "main" else schema, name, columns, file)


def fill_clickhouse(engine: ClickHouseEngine, tables: Iterator[Table]) -> None:
    """Make the tables in ClickHouse."""
    quote = CLICKHOUSE.quote_name
    for table in tables:
        full = quote(table.name)
        if table.schema is not None:
            engine.run(f"CREATE DATABASE IF NOT EXISTS {quote(table.schema)}")
            full = f"{quote(table.schema)}.{full}"
        columns = ", ".join(f"{quote(name)} {_kind(kind)}" for name, kind in table.columns)
        engine.run(f"CREATE TABLE {full} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        engine.run(f"INSERT INTO {full} SELECT * FROM file('{table.file}', Parquet)")


def fill_spark(engine: SparkEngine, tables: Iterator[Table], database: str) -> None:
    """Make the tables in a database of Spark, which the engine's session then uses."""
    quote = SPARK.quote_name
    engine.session.sql(f"CREATE DATABASE {database}")
    engine.session.sql(f"USE {database}")
    for table in tables:
        full = f"{quote(table.schema or database)}.{quote(table.name)}"
        if table.schema is not None:
            engine.session.sql(f"CREATE DATABASE IF NOT EXISTS {quote(table.schema)}")
            engine.session.sql(f"DROP TABLE IF EXISTS {full}")
        engine.session.sql(f"CREATE TABLE {full} USING parquet LOCATION '{table.file.as_uri()}'")


def _kind(kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return f"Nullable({kind.title()})"
    return f"Nullable({_CLICKHOUSE.get(kind, 'String')})"
