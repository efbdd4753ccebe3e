"""Runs compiled queries on ClickHouse within this process (chdb), and returns Arrow.

`chdb:///folder` is a database that `clickhouse` or chdb wrote. One query runs at a time: chdb has one
engine for the process, which uses all its cores for each query. The settings without which the SQL
would mean something else are set on the connection (`dialects/clickhouse.py`).
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import CLICKHOUSE, Dialect, Parameter
from semantic.compile.dialects.clickhouse import SETTINGS
from semantic.engine.arrow_values import make_canonical
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.stopped import cut, timed_out, was_cancelled
from semantic.engine.stream import ResultStream
from semantic.errors import EngineError, SourceUnavailableError
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery
from semantic.snapshot import UNCHECKED

_CODE: Final = re.compile(r"Code: ([0-9]+)\.")
_NOT_THERE: Final = frozenset({"47", "60", "81"})  # identifier, table, database
_TIMEOUTS: Final = frozenset({"159", "160"})
_MEMORY: Final = frozenset({"173", "241", "243"})
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"}
)


class ClickHouseEngine:
    """Runs queries, one after the other. Safe to use from several threads."""

    def __init__(self, address: str, *, timeout_seconds: float, filling: bool = False) -> None:
        try:
            import chdb  # noqa: PLC0415 -- half a gigabyte, for those who ask for it
        except ImportError as missing:
            raise SourceUnavailableError(
                "the package chdb is not installed",
                suggestion="install requirements/engines.txt beside the server's",
            ) from missing
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._connection: Any = chdb.connect(unquote(urlsplit(address).path) or ":memory:")
        for name, value in SETTINGS.items():
            self._connection.query(f"SET {name} = '{value}'")
        self._connection.query(f"SET max_execution_time = {max(timeout_seconds, 0.001)}")
        if not filling:
            self.forbid_writes()

    @property
    def dialect(self) -> Dialect:
        """ClickHouse's."""
        return CLICKHOUSE

    def forbid_writes(self) -> None:
        """Let no statement change tables, from now on; SQL cannot undo it.

        Files and URLs stay open to `file(...)` and `url(...)`, which the model's SQL may say.
        """
        with self._lock:
            self._connection.query("SET readonly = 2")

    def run(self, statements: str) -> None:
        """Run statements that return nothing, one after the other; while `filling`."""
        for statement in filter(str.strip, statements.split(";\n")):
            with self._lock:
                self._connection.query(statement)

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Return the answer. A query that runs is stopped by its deadline alone.

        Raises:
            SourceUnavailableError: a table or column is not there.
            QueryTimeoutError, QueryCancelledError: the query was stopped, or had not begun.
            EngineError: ClickHouse refused or failed.
        """
        started = time.perf_counter()
        values = {f"p{n}": write_value(value) for n, value in enumerate(compiled.values, start=1)}
        with self._lock:
            if cancelled is not None and cancelled.is_set():
                raise was_cancelled()
            table = _restore(self._ask(compiled.sql, values), lambda: self._types(compiled, values))
            total = None
            if compiled.total is not None:
                total = int(self._ask(compiled.total, values).column(0)[0].as_py())
        if cancelled is not None and cancelled.is_set():
            raise was_cancelled()
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
            engine="clickhouse",
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
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _types(self, compiled: CompiledQuery, values: dict[str, str]) -> list[str]:
        described = self._ask(f"DESCRIBE ({compiled.sql})", values)
        return [str(kind) for kind in described.column("type").to_pylist()]

    def _ask(self, sql: str, values: dict[str, str]) -> pa.Table:
        try:
            return self._connection.query(sql, "ArrowTable", params=values)
        except (RuntimeError, OSError, pa.ArrowException) as failed:
            raise self._explain(str(failed)) from failed

    def _explain(self, text: str) -> EngineError:
        found = _CODE.search(text)
        code = found[1] if found else ""
        short = text.partition("DB::Exception: ")[2].partition(": In scope")[0] or text
        if code in _TIMEOUTS:
            return timed_out(self._timeout)
        if code in _NOT_THERE:
            return SourceUnavailableError(
                f"the model reads something that is not in the database: {short}",
                suggestion="compare the model's tables and columns with the database's",
            )
        if code in _MEMORY:
            return EngineError(
                f"the query needs more than the database has: {short}",
                suggestion="ask for fewer groups",
            )
        return EngineError(short)


def write_value(value: Parameter) -> str:
    """Return a value as ClickHouse reads bound ones: escaped as in its tab-separated files."""
    match value:
        case str():
            return value.translate(_ESCAPES)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat(sep=" ", timespec="microseconds")


def _restore(table: pa.Table, types: Any) -> pa.Table:
    """Return the table with what Arrow has no type for, in ClickHouse's eyes, as what it is.

    DateTime comes as seconds, 128 and 256 bits as bytes. All wall clocks lose their UTC.
    """
    doubtful = [
        index
        for index, field in enumerate(table.schema)
        if field.type == pa.uint32() or pa.types.is_fixed_size_binary(field.type)
        or isinstance(field.type, pa.BaseExtensionType)
    ]  # fmt: skip
    kinds = types() if doubtful else []
    made = []
    for index, column in enumerate(table.columns):
        kind = kinds[index] if index in doubtful else ""
        if "DateTime" in kind:
            column = pc.cast(pc.cast(column, pa.int64()), pa.timestamp("s"))  # noqa: PLW2901
        elif "Int128" in kind or "Int256" in kind:
            signed = "UInt" not in kind
            numbers = [
                None if value is None else int.from_bytes(value, "little", signed=signed)
                for value in column.to_pylist()
            ]
            column = pa.chunked_array([pa.array(numbers, pa.decimal256(76, 0))])  # noqa: PLW2901
        elif kind and "UInt32" not in kind:
            texts = [None if value is None else str(value) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])  # noqa: PLW2901
        elif pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = pc.cast(pc.cast(column, pa.timestamp("us", "UTC")), pa.timestamp("us"))  # noqa: PLW2901
        made.append(column)
    names = [f"c{index}" for index in range(table.num_columns)]
    return pa.Table.from_arrays(made, names=names)


def _state() -> AnswerState:
    return AnswerState(snapshot="", built_at=datetime.now(UTC), tables=(), quality=UNCHECKED)
