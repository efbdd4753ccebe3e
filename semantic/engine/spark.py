"""Runs compiled queries on Apache Spark, and returns Arrow.

`spark://local` starts Spark within this process; `spark://local/folder` also reads the Parquet files
`folder/<schema>/<table>.parquet` (files or folders) as tables; `spark://host:7077` is a cluster, with
the tables of its catalog. The session is in UTC and ANSI mode: what overflows is an error.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import SPARK, Dialect, Parameter
from semantic.engine.arrow_values import make_canonical
from semantic.engine.deadline import Watch, Watchdog
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.stopped import cut, timed_out, was_cancelled
from semantic.engine.stream import ResultStream
from semantic.errors import EngineError, SourceUnavailableError
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery
from semantic.snapshot import UNCHECKED

_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.orderByOrdinal": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
_LOCAL: Final = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
}
_NUMBERS: Final = count(1)
_BIGINT: Final = 2**63
_NOT_THERE: Final = (
    "TABLE_OR_VIEW_NOT_FOUND", "UNRESOLVED_COLUMN", "SCHEMA_NOT_FOUND", "PATH_NOT_FOUND",
)  # fmt: skip


class _Job:
    """A running query, by the name that Spark stops it by."""

    def __init__(self, context: Any, name: str) -> None:
        self._context = context
        self._name = name

    def interrupt(self) -> None:
        """Stop what runs."""
        self._context.cancelJobGroup(self._name)


class SparkEngine:
    """Runs queries. Safe to use from several threads."""

    def __init__(self, address: str, *, timeout_seconds: float) -> None:
        try:
            from pyspark.errors import PySparkException  # noqa: PLC0415
            from pyspark.sql import SparkSession  # noqa: PLC0415
        except ImportError as missing:
            raise SourceUnavailableError(
                "the package pyspark is not installed",
                suggestion="install requirements/engines.txt beside the server's",
            ) from missing
        self._failure = PySparkException
        self._timeout = timeout_seconds
        self._watchdog = Watchdog()
        parts = urlsplit(address)
        is_local = parts.hostname == "local"
        settings = {**_SETTINGS, **(_LOCAL if is_local else {})}
        builder: Any = SparkSession.builder.appName("ducat")
        builder = builder.master("local[*]" if is_local else f"spark://{parts.netloc}")
        for name, value in settings.items():
            builder = builder.config(name, value)
        try:
            started: Any = builder.getOrCreate()
        except (RuntimeError, OSError, PySparkException) as failed:
            raise SourceUnavailableError(
                f"Spark does not start: {type(failed).__name__}",
                suggestion="it needs Java 17 or later, and a cluster that answers",
            ) from failed
        # A session of its own: names and settings of one engine are not another's.
        self._spark: Any = started.newSession()
        for name, value in _SETTINGS.items():
            self._spark.conf.set(name, value)
        if is_local and parts.path:
            self._register(Path(unquote(parts.path)))

    @property
    def dialect(self) -> Dialect:
        """Spark's."""
        return SPARK

    @property
    def session(self) -> Any:
        """The session, for what fills tables."""
        return self._spark

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Return the answer.

        Raises:
            SourceUnavailableError: a table or column is not there.
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: Spark refused or failed.
        """
        started = time.perf_counter()
        if cancelled is not None and cancelled.is_set():
            raise was_cancelled()
        values = {f"p{n}": _convert(value) for n, value in enumerate(compiled.values, start=1)}
        name = f"ducat-{next(_NUMBERS)}"
        context = self._spark.sparkContext
        context.setJobGroup(name, name, interruptOnCancel=True)
        with self._watchdog.watch(_Job(context, name), self._timeout, cancelled) as watch:
            try:
                table: pa.Table = self._spark.sql(compiled.sql, args=values).toArrow()
                total = None
                if compiled.total is not None:
                    total = int(self._spark.sql(compiled.total, args=values).collect()[0][0])
            except (self._failure, OSError, RuntimeError) as failed:
                raise self._explain(failed, watch) from failed
        table = make_canonical(table, [column.name for column in compiled.columns], columns)
        table, truncated = cut(table, bound)
        return Result(
            query=bound.query,
            columns=columns,
            table=table,
            state=_state(),
            total=total,
            truncated=truncated,
            seconds=time.perf_counter() - started,
            engine="spark",
        )

    def stream(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
        wide: bool = False,  # noqa: ARG002 -- types follow from all values
    ) -> ResultStream:
        """Return the answer of `execute`, whole in memory.

        Raises:
            DucatError: as for `execute`.
        """
        return ResultStream.of(self.execute(compiled, bound, columns, cancelled=cancelled))

    def state(self, tables: tuple[str, ...] | None) -> AnswerState:  # noqa: ARG002 -- none is known
        """Return that nothing is known about the tables."""
        return _state()

    def stamp(self) -> None:
        """Nothing: its tables change without a word."""
        return

    def statistics(self) -> Statistics:
        """Nothing: its own planner knows its tables."""
        return UNKNOWN

    def close(self) -> None:
        """End the watching thread. Spark itself ends with the process: others may use it."""
        self._watchdog.close()

    def _register(self, folder: Path) -> None:
        quote = SPARK.quote_name
        for path in sorted(folder.glob("*/*.parquet")):
            schema, table = quote(path.parent.name), quote(path.stem)
            self._spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self._spark.sql(
                f"CREATE TABLE IF NOT EXISTS {schema}.{table} USING parquet "
                f"LOCATION {SPARK.quote_text(path.absolute().as_uri())}"
            )

    def _explain(self, failed: Exception, watch: Watch) -> EngineError:
        if watch.reason == "cancelled":
            return was_cancelled()
        if watch.reason == "timeout":
            return timed_out(self._timeout)
        text = str(failed).partition("\n")[0].strip() or type(failed).__name__
        if any(name in text for name in _NOT_THERE):
            return SourceUnavailableError(
                f"the model reads something that is not there: {text}",
                suggestion="compare the model's tables and columns with the database's",
            )
        return EngineError(text)


def _convert(value: Parameter) -> str | bool | int | float | Decimal:
    """Return a value as Spark takes it: a time as text, which its placeholder casts."""
    match value:
        case datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case bool() | str() | float() | Decimal():
            return value
        case int():
            return value if -_BIGINT <= value < _BIGINT else Decimal(value)


def _state() -> AnswerState:
    return AnswerState(snapshot="", built_at=datetime.now(UTC), tables=(), quality=UNCHECKED)
