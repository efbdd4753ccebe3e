"""A private DuckDB in memory: computes over Arrow tables that it is given, and sees nothing else.

One instance serves a whole process. It may neither reach files, extensions or the network nor change
its settings. Each statement has a connection of its own, and its tables are names of that connection
only: no statement ever sees the tables of another.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from semantic.engine.deadline import Watch, Watchdog
from semantic.engine.stopped import timed_out, was_cancelled
from semantic.errors import DucatError, QueryError

_SETTINGS: Final = (
    "GLOBAL TimeZone = 'UTC'",
    "GLOBAL default_null_order = 'nulls_last_on_asc_first_on_desc'",
    "GLOBAL python_enable_replacements = false",
    "GLOBAL enable_external_access = false",
    "GLOBAL lock_configuration = true",
)
_COLUMN: Final = (
    r"Referenced (column|table)|does not have a column|not found in FROM clause"
    r"|Values list .* does not have"
)
_FUNCTION: Final = r"Function with name|No function matches|Table Function"
_GROUPS: Final = r"must appear in the GROUP BY|cannot contain aggregates|aggregate function calls"
_STATES: Final[tuple[tuple[str, str], ...]] = (
    (_COLUMN, "42703"),
    (r"Table with name|Table .* does not exist", "42P01"),
    (r"Type with name", "42704"),
    (_FUNCTION, "42883"),
    (r"Ambiguous reference", "42702"),
    (_GROUPS, "42803"),
    (r"division by zero", "22012"),
    (r"unit .* not supported for type", "0A000"),
    (r"[Dd]uplicate alias", "42712"),
    (r"More than one row returned by a subquery", "21000"),
)
_LONGEST: Final = 500


class ScratchError(QueryError):
    """What is computed over the model's answers cannot be; the number is not the model's fault."""

    code = "sql_failed"

    def __init__(self, message: str, *, sqlstate: str, suggestion: str | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        self.sqlstate = sqlstate


class Scratch:
    """Safe to use from several threads."""

    def __init__(
        self, *, memory_limit: str, timeout_seconds: float, setup: Iterable[str] = ()
    ) -> None:
        """Open it, and run the statements of `setup` (macros) before it is locked."""
        self._timeout = timeout_seconds
        self._watchdog = Watchdog()
        self._root = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": memory_limit,
                "temp_directory": "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        for statement in setup:
            self._root.execute(statement)
        for setting in _SETTINGS:
            self._root.execute(f"SET {setting}")

    def run(
        self,
        sql: str,
        tables: Mapping[str, pa.Table],
        *,
        cancelled: threading.Event | None = None,
    ) -> pa.Table:
        """Return what a SELECT over `tables` gives; the names are those of its FROM.

        The text must have been generated from a parsed statement: this is no place to check it.

        Raises:
            ScratchError: it names what is not there, or a value cannot be computed.
            QueryTimeoutError, QueryCancelledError: it was stopped.
        """
        connection = self._root.cursor()
        try:
            for name, table in tables.items():
                connection.register(name, table)
            with self._watchdog.watch(connection, self._timeout, cancelled) as watch:
                try:
                    connection.execute(sql)
                    kinds = [str(item[1]) for item in connection.description or ()]
                    found = connection.to_arrow_table()
                except duckdb.Error as failed:
                    raise self._explain(failed, watch) from failed
        finally:
            connection.close()
        return _narrow(found, kinds)

    def close(self) -> None:
        """Close it."""
        self._watchdog.close()
        self._root.close()

    def _explain(  # noqa: C901 -- a branch for each kind of failure
        self, failed: duckdb.Error, watch: Watch
    ) -> DucatError:
        text = str(failed).split("\n\nLINE", 1)[0].split("\nStack Trace", 1)[0].strip()
        text = text.partition(" Error: ")[2] or text
        text = re.sub(r"\s*\n\s*", " ", text)[:_LONGEST]
        match failed:
            case duckdb.InterruptException() if watch.reason == "timeout":
                return timed_out(self._timeout)
            case duckdb.InterruptException():
                return was_cancelled()
            case duckdb.OutOfMemoryException():
                return ScratchError(
                    "the statement needs more memory than it may use",
                    sqlstate="53200",
                    suggestion="ask for fewer groups in its inner SELECTs",
                )
        for pattern, state in _STATES:
            if re.search(pattern, text):
                return ScratchError(text, sqlstate=state)
        match failed:
            case duckdb.ConversionException():
                state = "22P02"
            case duckdb.OutOfRangeException():
                state = "22003"
            case duckdb.InvalidInputException():
                state = "22023"
            case duckdb.BinderException():
                state = "42804"
            case duckdb.ParserException() | duckdb.NotImplementedException():
                state = "0A000"
            case duckdb.PermissionException():
                state = "42501"
            case _:
                state = "XX000"
        return ScratchError(text, sqlstate=state)


def _narrow(table: pa.Table, kinds: list[str]) -> pa.Table:
    """Return integers that DuckDB makes 128 bits wide as int64 where all values fit."""
    for place, kind in enumerate(kinds):
        if kind != "HUGEINT":
            continue
        try:
            narrowed = pc.cast(table.column(place), pa.int64(), safe=True)
        except pa.ArrowInvalid:
            continue
        table = table.set_column(place, table.field(place).name, narrowed)
    return table
