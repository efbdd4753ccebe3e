"""Runs compiled queries on the served file and returns Arrow."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import DUCKDB, Dialect
from semantic.engine.deadline import Watch, Watchdog
from semantic.engine.query_engine import StalePlanError
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.served import ServedDatabase
from semantic.engine.state import describe
from semantic.engine.stopped import cut, timed_out, was_cancelled
from semantic.errors import EngineError, SnapshotError, SourceUnavailableError
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery
from semantic.snapshot import read_checks

_WHOLE: Final = pa.decimal128(38, 0)


class Engine:
    """Runs queries. Safe to use from several threads; each query has a connection of its own."""

    def __init__(self, serving: Path, *, memory_limit: str, timeout_seconds: float) -> None:
        self._serving = serving
        self._timeout = timeout_seconds
        self._served = ServedDatabase(serving, memory_limit=memory_limit)
        self._watchdog = Watchdog()

    @property
    def dialect(self) -> Dialect:
        """DuckDB's."""
        return DUCKDB

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Return the answer, from one snapshot of the served tables.

        Raises:
            StalePlanError: a column that it takes for a DATE is none.
            SnapshotError: nothing is in service.
            SourceUnavailableError: a table is not among those in service.
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: the database refused or failed.
        """
        started = time.perf_counter()
        if cancelled is not None and cancelled.is_set():
            raise was_cancelled()
        with self._served.session() as session:
            connection = session.connection
            for table, column in compiled.dates:
                found = session.statistics.table(table)
                known = None if found is None else found.columns.get(column)
                if known is None or known.type != "DATE":
                    raise StalePlanError
            with self._watchdog.watch(connection, self._timeout, cancelled) as watch:
                try:
                    connection.execute(compiled.sql, list(compiled.values))
                    kinds = [str(item[1]) for item in connection.description or ()]
                    table = connection.to_arrow_table()
                    total = None
                    if compiled.total is not None:
                        connection.execute(compiled.total, list(compiled.values))
                        total = _single(connection)
                except duckdb.Error as failed:
                    raise self._explain(failed, watch) from failed
            state = describe(session.snapshot, read_checks(self._serving), compiled.tables)
        table, truncated = cut(table, bound)
        return Result(
            query=bound.query,
            columns=columns,
            table=_narrow(table, kinds),
            state=state,
            total=total,
            truncated=truncated,
            seconds=time.perf_counter() - started,
        )

    def state(self, tables: tuple[str, ...] | None) -> AnswerState:
        """Return the state of what is in service."""
        return describe(self._served.snapshot(), read_checks(self._serving), tables)

    def statistics(self) -> Statistics:
        """Return what is known of the tables in service; nothing while none is."""
        try:
            return self._served.statistics()
        except (SnapshotError, SourceUnavailableError):
            return UNKNOWN  # the query itself says why

    def close(self) -> None:
        """Close the file and end the watching thread."""
        self._watchdog.close()
        self._served.close()

    def _explain(self, failed: duckdb.Error, watch: Watch) -> EngineError:
        text = str(failed).split("\n\nLINE", 1)[0].split("\nStack Trace", 1)[0].strip()
        match failed:
            case duckdb.InterruptException() if watch.reason == "timeout":
                return timed_out(self._timeout)
            case duckdb.InterruptException():
                return was_cancelled()
            case duckdb.CatalogException():
                return SourceUnavailableError(
                    f"the model reads something that is not among the served tables: {text}",
                    suggestion="compare the model with what the flows publish: `ducat validate`",
                )
            case duckdb.IOException() | duckdb.FatalException():
                return SourceUnavailableError(f"the served file cannot be read: {text}")
            case duckdb.OutOfMemoryException():
                return EngineError(
                    f"the query needs more memory than it may use: {text}",
                    suggestion="ask for fewer groups, or raise DUCAT_MEMORY_LIMIT",
                )
            case _:
                return EngineError(text)


def _single(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.fetchone()
    if row is None:
        raise EngineError("the count returned no row")
    return int(row[0])


def _narrow(table: pa.Table, kinds: Sequence[str]) -> pa.Table:
    """Return sums of integers, which DuckDB makes 128 bits wide, as int64 where all values fit.

    Those that do not fit stay decimal128(38, 0): exact, only wider.
    """
    for index, kind in enumerate(kinds):
        column = table.column(index)
        if kind != "HUGEINT" or column.type != _WHOLE:
            continue
        try:
            narrowed = pc.cast(column, pa.int64(), safe=True)
        except pa.ArrowInvalid:
            continue
        table = table.set_column(index, table.field(index).name, narrowed)
    return table
