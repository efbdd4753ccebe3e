"""Reads a candidate: its tables, the figures that rules speak of, and the rows that break them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from quality.checks import Rule
from quality.errors import CandidateError
from quality.sql import SCHEMA, count_violations, literal, quote, relation, select_violations

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

SAMPLE_ROWS: Final = 20
"""How many failing rows an outcome names."""


@contextmanager
def open_candidate(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file for reading, in an engine of its own that reaches nothing else.

    Raises:
        CandidateError: there is no such file, or it is no DuckDB database.
    """
    import duckdb  # noqa: PLC0415  heavy: only what checks pays for it

    if not database.is_file():
        raise CandidateError(f"{database} does not exist")
    with duckdb.connect() as connection:
        try:
            connection.execute(f"ATTACH {literal(str(database))} AS candidate (READ_ONLY)")
        except duckdb.Error as unreadable:
            raise CandidateError(
                f"{database} cannot be read as a DuckDB database: {unreadable}",
                suggestion="build it again: `ducat flows run`",
            ) from unreadable
        connection.execute("USE candidate")
        # DuckDB 1.5.5 miscounts where a statement repeats the same joins (see semantic/engine/served.py).
        connection.execute("SET disabled_optimizers = 'common_subplan'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def read_schema(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Return the tables of the served schema: for each, its columns and their types."""
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'candidate' AND schema_name = ? ORDER BY table_name, column_index",
        [SCHEMA],
    ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        tables.setdefault(table, {})[column] = kind
    return tables


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return how many rows a table has."""
    (count,) = connection.execute(f"SELECT count(*) FROM {relation(table)}").fetchall()[0]  # noqa: S608  quoted
    return int(count)


def read_figures(
    connection: duckdb.DuckDBPyConnection, table: str, rules: Sequence[Rule]
) -> tuple[Any, ...]:
    """Return the figure of each rule, all of them from one aggregate over the table."""
    if not rules:
        return ()
    items = ", ".join(count_violations(rule, table) for rule in rules)
    row = connection.execute(f"SELECT {items} FROM {relation(table)}").fetchone()  # noqa: S608  quoted
    return tuple(row or ())


def read_violations(
    connection: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...], rule: Rule
) -> tuple[dict[str, Any], ...]:
    """Return the first rows that break a rule: key and value, as JSON can hold them."""
    query = select_violations(rule, table, key, SAMPLE_ROWS)
    if query is None:
        return ()
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    return tuple(dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall())


def read_values(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str]
) -> pd.DataFrame:
    """Return the named columns as a pandas frame whose values are those of the table.

    Whole numbers stay whole where values are missing, and texts are Python's, so that regular
    expressions and lengths mean what they mean in Python.
    """
    import pandas as pd  # noqa: PLC0415  heavy: only what checks pays for it

    names = ", ".join(quote(name) for name in columns)
    arrow = connection.execute(f"SELECT {names} FROM {relation(table)}").to_arrow_table()  # noqa: S608  quoted
    frame: dict[str, pd.Series[Any]] = {}
    for name, kind in columns.items():
        column = arrow.column(name)
        match kind:
            case "BIGINT":
                frame[name] = column.to_pandas(types_mapper={column.type: pd.Int64Dtype()}.get)
            case "BOOLEAN":
                frame[name] = column.to_pandas(types_mapper={column.type: pd.BooleanDtype()}.get)
            case "DOUBLE" | "TIMESTAMP":
                frame[name] = column.to_pandas()
            case _:
                frame[name] = pd.Series(column.to_pylist(), dtype=object)
    return pd.DataFrame(frame)


def _plain(value: Any) -> Any:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case float() if value - value != 0:
            return str(value)  # NaN and infinity: JSON has no numbers for them
        case _:
            return value
