"""Runs compiled queries on the served file and returns Arrow."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import DUCKDB, Dialect
from semantic.engine.checks import CheckFile
from semantic.engine.deadline import Watchdog
from semantic.engine.failed import explain_failure
from semantic.engine.query_engine import StalePlanError
from semantic.engine.reading import Clock, check_dates, narrow, open_reading, read_count
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.served import ServedDatabase, Session
from semantic.engine.state import describe
from semantic.engine.stopped import cut, was_cancelled
from semantic.engine.stream import ResultStream
from semantic.errors import SnapshotError, SourceUnavailableError
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery


class Engine:
    """Runs queries. Safe to use from several threads; each query has a connection of its own."""

    def __init__(self, serving: Path, *, memory_limit: str, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._checks = CheckFile(serving)
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
        with self._served.session(only_rollups=compiled.only_rollups) as session:
            connection = session.connection
            check_dates(compiled, session)
            with (
                self._reading(compiled, session),
                self._watchdog.watch(connection, self._timeout, cancelled) as watch,
            ):
                try:
                    connection.execute(compiled.sql, list(compiled.values))
                    kinds = [str(item[1]) for item in connection.description or ()]
                    table = connection.to_arrow_table()
                    total = None
                    if compiled.total is not None:
                        connection.execute(compiled.total, list(compiled.values))
                        total = read_count(connection)
                except duckdb.Error as failed:
                    raise explain_failure(failed, watch, self._timeout) from failed
            state = describe(session.snapshot, self._checks.read(), compiled.tables)
        table, truncated = cut(table, bound)
        return Result(
            query=bound.query,
            columns=columns,
            table=narrow(table, kinds),
            state=state,
            total=total,
            truncated=truncated,
            seconds=time.perf_counter() - started,
            rollups=compiled.rollups,
        )

    def stream(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
        wide: bool = False,
    ) -> ResultStream:
        """Return the same answer, to be read piece by piece and then closed (see `stream.py`).

        Raises:
            DucatError: as for `execute`; what fails after the first rows is raised by `read`.
        """
        started = time.perf_counter()
        clock = Clock(self._watchdog, self._timeout, cancelled)
        with ExitStack() as held:
            session = held.enter_context(self._served.session(only_rollups=compiled.only_rollups))
            check_dates(compiled, session)
            with self._reading(compiled, session):
                reading = open_reading(compiled, session.connection, clock, wide=wide)
            held.callback(reading.end)
            state = describe(session.snapshot, self._checks.read(), compiled.tables)
            table, truncated = cut(reading.window, bound)
            result = Result(
                query=bound.query,
                columns=columns,
                table=table,
                state=state,
                total=reading.total,
                truncated=truncated,
                seconds=time.perf_counter() - started,
                rollups=compiled.rollups,
            )
            if reading.is_whole:
                stream = ResultStream.of(result)
            else:
                release = held.pop_all().close
                stream = ResultStream(result.without_rows(), reading.batches(), release)
        return stream

    @contextmanager
    def _reading(self, compiled: CompiledQuery, session: Session) -> Iterator[None]:
        """Ask the raw rows where a rollup's file turns out to be damaged.

        Raises:
            StalePlanError: plan anew, without these rollups.
        """
        try:
            yield
        except SourceUnavailableError as failed:
            if not compiled.rollups:
                raise
            self._served.distrust(session, compiled.rollups)
            raise StalePlanError from failed

    def distrust(self, names: tuple[str, ...]) -> None:
        """Read these rollups no more, as they are built now."""
        with self._served.session() as session:
            self._served.distrust(session, names)

    def state(self, tables: tuple[str, ...] | None) -> AnswerState:
        """Return the state of what is in service."""
        return describe(self._served.snapshot(), self._checks.read(), tables)

    def stamp(self) -> Hashable:
        """Return which manifest and which checks there are, and how many rollups proved wrong."""
        return self._served.look(), self._checks.look(), self._served.distrusted

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
