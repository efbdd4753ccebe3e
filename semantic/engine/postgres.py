"""Runs compiled queries on a PostgreSQL database, over connections of Ibis, and returns Arrow.

Nothing is known about the data there but what a query reads: no versions, no checks, no freshness.
The state of an answer says so.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pyarrow as pa

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import POSTGRES, Dialect, Parameter
from semantic.engine.deadline import Watch, Watchdog
from semantic.engine.pool import Connection, Pool
from semantic.engine.postgres_values import make_table
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.stopped import cut, timed_out, was_cancelled
from semantic.engine.stream import ResultStream
from semantic.errors import EngineError, SourceUnavailableError
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery
from semantic.snapshot import UNCHECKED

CONNECTIONS: Final = 4
_PLACEHOLDER: Final = re.compile(r"\$([0-9]+)")


class PostgresEngine:
    """Runs queries. Safe to use from several threads; each query has a connection of its own."""

    def __init__(
        self, address: str, *, timeout_seconds: float, connections: int = CONNECTIONS
    ) -> None:
        self._timeout = timeout_seconds
        self._pool = Pool(address, size=connections)
        self._watchdog = Watchdog()

    @property
    def dialect(self) -> Dialect:
        """PostgreSQL's."""
        return POSTGRES

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Return the answer, from one state of the data: that of a single transaction.

        Raises:
            SourceUnavailableError: the database or a table is not there.
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: the database refused or failed.
        """
        started = time.perf_counter()
        if cancelled is not None and cancelled.is_set():
            raise was_cancelled()
        with (
            self._pool.lend(self._timeout, cancelled) as lease,
            # The time counts from here: opening a connection has its own limit.
            self._watchdog.watch(lease, self._timeout, cancelled) as watch,
        ):
            try:
                table, read_at = _read(lease.connection, compiled, self._timeout)
                total = _count(lease.connection, compiled)
            except psycopg.Error as failed:
                raise self._explain(failed, watch) from failed
        table, truncated = cut(table, bound)
        return Result(
            query=bound.query,
            columns=columns,
            table=table,
            state=_state(read_at),
            total=total,
            truncated=truncated,
            seconds=time.perf_counter() - started,
            engine="postgres",
        )

    def stream(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
        wide: bool = False,  # noqa: ARG002 -- see below
    ) -> ResultStream:
        """Return the answer of `execute`, whole in memory: types follow from all values of a column.

        Raises:
            DucatError: as for `execute`.
        """
        return ResultStream.of(self.execute(compiled, bound, columns, cancelled=cancelled))

    def state(self, tables: tuple[str, ...] | None) -> AnswerState:  # noqa: ARG002 -- none is known
        """Return that nothing is known about the tables, after the database has answered.

        Raises:
            SourceUnavailableError: it does not answer.
        """
        with self._pool.lend(self._timeout):
            return _state(datetime.now(UTC))

    def stamp(self) -> None:
        """Nothing: its tables change without a word."""
        return

    def statistics(self) -> Statistics:
        """Nothing: its planner knows its tables, and its sums of whole numbers change their type."""
        return UNKNOWN

    def close(self) -> None:
        """Close the connections and end the watching thread."""
        self._watchdog.close()
        self._pool.close()

    def _explain(self, failed: psycopg.Error, watch: Watch) -> EngineError:
        text = failed.diag.message_primary or str(failed).strip() or type(failed).__name__
        match failed:
            case psycopg.errors.QueryCanceled() if watch.reason == "cancelled":
                return was_cancelled()
            case psycopg.errors.QueryCanceled():
                return timed_out(self._timeout)
            case (
                psycopg.errors.UndefinedTable()
                | psycopg.errors.UndefinedColumn()
                | psycopg.errors.InvalidSchemaName()
            ):
                return SourceUnavailableError(
                    f"the model reads something that is not in the database: {text}",
                    suggestion="compare the model's tables and columns with the database's",
                )
            case psycopg.errors.InsufficientPrivilege():
                return SourceUnavailableError(
                    f"the database does not let Ducat read this: {text}",
                    suggestion="grant SELECT on it to the user of the address",
                )
            case psycopg.errors.OutOfMemory() | psycopg.errors.DiskFull():
                return EngineError(
                    f"the query needs more than the database has: {text}",
                    suggestion="ask for fewer groups",
                )
            case psycopg.OperationalError() if _is_lost(failed):
                return SourceUnavailableError(f"the connection to the database was lost: {text}")
            case _:
                return EngineError(text)


def _read(
    connection: Connection, compiled: CompiledQuery, seconds: float
) -> tuple[pa.Table, datetime]:
    """Return the rows, and when the state of the data that they show was taken."""
    milliseconds = max(1, int(seconds * 1000))
    row = connection.execute(
        "SELECT set_config('statement_timeout', %s, true), transaction_timestamp()",
        [str(milliseconds)],
    ).fetchone()
    cursor = psycopg.RawCursor(connection)
    # The model's SQL and placeholders; values are bound.
    cursor.execute(compiled.sql.encode(), _values(compiled.sql, compiled.values))
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    oids = [item.type_code for item in cursor.description or ()]
    names = [column.name for column in compiled.columns]
    return make_table(names, oids, rows), row[1] if row else datetime.now(UTC)


def _count(connection: Connection, compiled: CompiledQuery) -> int | None:
    if compiled.total is None:
        return None
    cursor = psycopg.RawCursor(connection)
    cursor.execute(compiled.total.encode(), _values(compiled.total, compiled.values))
    row = cursor.fetchone()
    if row is None:
        raise EngineError("the count returned no row")
    return int(row[0])


def _values(sql: str, values: tuple[Parameter, ...]) -> list[Parameter]:
    """Return the values, those that stand nowhere in the SQL as zeros.

    A text gets its type from where it stands, and PostgreSQL refuses one that it finds no type for.
    Some do not stand in the count of all rows; others were bound for SQL that was not taken.
    """
    used = {int(number) for number in _PLACEHOLDER.findall(sql)}
    return [value if number in used else 0 for number, value in enumerate(values, start=1)]


def _state(read_at: datetime) -> AnswerState:
    return AnswerState(snapshot="", built_at=read_at, tables=(), quality=UNCHECKED)


def _is_lost(failed: psycopg.OperationalError) -> bool:
    """Return whether the server is gone: no state at all, or one of class 08 or 57P."""
    return failed.sqlstate is None or failed.sqlstate.startswith(("08", "57P"))
