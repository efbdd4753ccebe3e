"""Reads what DuckDB answers, as a stream of Arrow batches, the first of them at once.

DuckDB computes while it is read: it keeps about a megabyte of rows ready and pauses. So an answer
may be larger than memory, and one that nobody reads costs a connection and what its sorts and
groups hold.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from semantic.compile.compiled import CompiledQuery
from semantic.engine.deadline import Watchdog
from semantic.engine.failed import explain_failure
from semantic.engine.query_engine import StalePlanError
from semantic.engine.served import Session
from semantic.engine.stopped import timed_out, was_cancelled
from semantic.engine.stream import BATCH_ROWS, WINDOW_ROWS
from semantic.errors import EngineError

_WHOLE: Final = pa.decimal128(38, 0)
_FITS: Final = f"bool_and({{}} BETWEEN {-(2**63)} AND {2**63 - 1})"


class Clock:
    """The time that the engine may work for one answer, and the word to stop."""

    __slots__ = ("_cancelled", "_left", "_seconds", "_watchdog")

    def __init__(
        self, watchdog: Watchdog, seconds: float, cancelled: threading.Event | None
    ) -> None:
        self._watchdog = watchdog
        self._seconds = seconds
        self._left = seconds
        self._cancelled = cancelled

    @contextmanager
    def running(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Count the time of the block, in which the connection works.

        Raises:
            QueryTimeoutError, QueryCancelledError: it was stopped, or may not begin.
            EngineError: the database failed.
        """
        if self._cancelled is not None and self._cancelled.is_set():
            raise was_cancelled()
        if self._left <= 0:
            raise timed_out(self._seconds)
        started = time.monotonic()
        try:
            with self._watchdog.watch(connection, self._left, self._cancelled) as watch:
                try:
                    yield
                except (duckdb.Error, pa.ArrowException, OSError) as failed:
                    raise explain_failure(failed, watch, self._seconds) from failed
        finally:
            self._left -= time.monotonic() - started


@dataclass(slots=True)
class Reading:
    """An answer of which `window` was read; with `is_whole` that is all of it.

    `schema` is that of all batches, and of the window.
    """

    connection: duckdb.DuckDBPyConnection
    clock: Clock
    reader: pa.RecordBatchReader
    window: pa.Table
    is_whole: bool
    total: int | None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the window, then the rest as it is computed.

        Raises:
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: the database failed, or a value is wider than it was when it was asked.
        """
        schema = self.window.schema
        yield from self.window.to_batches(max_chunksize=BATCH_ROWS)
        self.window = schema.empty_table()
        while not self.is_whole:
            with self.clock.running(self.connection):
                batch = _read(self.reader)
            if batch is None:
                self.is_whole = True
            elif batch.num_rows:
                yield _fit(batch, schema)

    def end(self) -> None:
        """Stop what still runs, and free what it holds."""
        self.reader.close()
        if not self.is_whole:
            # Only the next query of a connection frees what the one before it held.
            with suppress(duckdb.Error):
                self.connection.execute("SELECT 1").fetchall()


def open_reading(
    compiled: CompiledQuery, connection: duckdb.DuckDBPyConnection, clock: Clock, *, wide: bool
) -> Reading:
    """Run a query and read its first rows; with `wide` no type depends on values.

    Raises:
        QueryTimeoutError, QueryCancelledError: the query was stopped.
        EngineError: the database refused or failed.
    """
    values = list(compiled.values)
    with clock.running(connection):
        total = None
        if compiled.total is not None:
            connection.execute(compiled.total, values)
            total = read_count(connection)
        connection.execute(compiled.sql, values)
        kinds = [str(item[1]) for item in connection.description or ()]
        reader = connection.to_arrow_reader(BATCH_ROWS)
        read: list[pa.RecordBatch] = []
        rows, is_whole = 0, False
        while rows < WINDOW_ROWS and not is_whole:
            batch = _read(reader)
            is_whole = batch is None
            if batch is not None:
                read.append(batch)
                rows += batch.num_rows
    window = pa.Table.from_batches(read, reader.schema)
    if not wide:
        narrowed = narrow(window, kinds)
        if not is_whole and narrowed.schema != window.schema:
            changed = [
                place
                for place, field in enumerate(window.schema)
                if narrowed.schema.field(place).type != field.type
            ]
            fitting = _find_fitting(compiled, connection, clock, changed)
            kept = [kind if place in fitting else "" for place, kind in enumerate(kinds)]
            narrowed = narrow(window, kept)
        window = narrowed
    return Reading(connection, clock, reader, window, is_whole, total)


def _find_fitting(
    compiled: CompiledQuery,
    connection: duckdb.DuckDBPyConnection,
    clock: Clock,
    places: Sequence[int],
) -> set[int]:
    """Return the columns, of those at `places`, of which all values of the answer fit into 64 bits.

    The query runs a second time, without its order, over the same file.
    """
    names = [f"c{place}" for place in range(len(compiled.columns))]
    tests = ", ".join(_FITS.format(names[place]) for place in places)
    text = f"SELECT {tests} FROM ({compiled.sql}) AS answer ({', '.join(names)})"  # noqa: S608
    other = connection.cursor()
    try:
        with clock.running(other):
            other.execute("USE served")
            row = other.execute(text, list(compiled.values)).fetchone()
    finally:
        other.close()
    fits = row or ()
    # NULL: no row has a value there.
    return {place for place, fit in zip(places, fits, strict=True) if fit is not False}


def check_dates(compiled: CompiledQuery, session: Session) -> None:
    """Check what the SQL takes for granted about types, and about rollups.

    Raises:
        StalePlanError: a column that it takes for a DATE is none, or other rollups are built now.
    """
    if compiled.rollup_set != session.statistics.stored_version:
        raise StalePlanError
    for table, column in compiled.dates:
        found = session.statistics.table(table)
        known = None if found is None else found.columns.get(column)
        if known is None or known.type != "DATE":
            raise StalePlanError


def read_count(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the one number of what the connection ran."""
    row = connection.fetchone()
    if row is None:
        raise EngineError("the count returned no row")
    return int(row[0])


def narrow(table: pa.Table, kinds: Sequence[str]) -> pa.Table:
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


def _read(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with the types of the schema.

    Raises:
        EngineError: a value does not fit: the model's SQL gave others when it was asked.
    """
    if batch.schema == schema:
        return batch
    try:
        return batch.cast(schema, safe=True)
    except pa.ArrowInvalid as wider:
        raise EngineError(
            f"a value is wider than those that the same query gave before: {wider}",
            suggestion="the model's SQL is not a function of its tables; ask again",
        ) from wider
