"""What DuckDB knows of its tables without reading them: rows, types, about how many values.

The catalog says which tables there are. Columns are looked at when a plan first asks for their table:
`stats()` of a row costs some milliseconds for a wide table, and most tables are never asked for.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Final

import duckdb

from semantic.plan.statistics import ColumnStatistics, Statistics, TableStatistics
from semantic.rollups import FoundRollup

_DISTINCT: Final = re.compile(r"\[Approx Unique: (\d+)\]")
_TABLES: Final = """
    SELECT schema_name, table_name, estimated_size FROM duckdb_tables()
    WHERE database_name = current_database() AND NOT internal
"""
_COLUMNS: Final = """
    SELECT column_name, data_type FROM duckdb_columns()
    WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2
    ORDER BY column_index
"""


class StoredTables(Mapping[str, TableStatistics]):
    """Statistics of the tables of a connection's database. Safe to use from several threads.

    Tables of the schema that is searched first are found without its name too. A connection that is
    closed meanwhile knows nothing of its tables: they are as if they had no rows counted.
    """

    __slots__ = ("_connection", "_known", "_lock", "_names")

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read which tables there are; the connection is this object's own.

        Raises:
            duckdb.Error: the catalog cannot be read.
        """
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], TableStatistics | None] = {}
        self._names: dict[str, tuple[str, str, int]] = {}
        [(searched,)] = connection.execute("SELECT current_schema()").fetchall()
        for schema, table, size in connection.execute(_TABLES).fetchall():
            self._names[f"{schema}.{table}".lower()] = (schema, table, int(size))
            if schema == searched:
                self._names[table.lower()] = (schema, table, int(size))

    def __getitem__(self, name: str) -> TableStatistics:
        schema, table, rows = self._names[name]
        with self._lock:
            if (schema, table) not in self._known:
                try:
                    self._known[schema, table] = self._read(schema, table, rows)
                except duckdb.Error:
                    self._known[schema, table] = None
            found = self._known[schema, table]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _read(self, schema: str, table: str, rows: int) -> TableStatistics:
        listed = self._connection.execute(_COLUMNS, [schema, table]).fetchall()
        texts = ", ".join(f"stats({_quote(column)})" for column, _ in listed)
        row = self._connection.execute(
            f"SELECT {texts} FROM {_quote(schema)}.{_quote(table)} LIMIT 1"  # noqa: S608 -- quoted
        ).fetchone()
        columns = {}
        for (column, kind), text in zip(listed, row or (), strict=False):
            matched = _DISTINCT.search(str(text))
            if matched is not None:
                columns[column.lower()] = ColumnStatistics(kind, int(matched[1]))
        return TableStatistics(rows, columns)


def read_statistics(
    connection: duckdb.DuckDBPyConnection, rollups: tuple[FoundRollup, ...] = ()
) -> Statistics:
    """Return statistics of the connection's tables, read as they are asked for.

    Raises:
        duckdb.Error: the catalog cannot be read.
    """
    marks = "\n".join(f"{item.rollup.file} {item.missing}" for item in rollups)
    version = hashlib.sha256(marks.encode()).hexdigest()[:16] if rollups else ""
    return Statistics(StoredTables(connection), stored=rollups, stored_version=version)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
