"""What runs queries: a served DuckDB file, or a database that is somebody else's."""

from __future__ import annotations

import threading
from typing import Protocol

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import Dialect
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.query.bound import BoundQuery


class QueryEngine(Protocol):
    """Runs compiled queries on one database. Safe to use from several threads."""

    @property
    def dialect(self) -> Dialect:
        """What the SQL must be written in."""
        ...

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Return the answer, from one state of the tables.

        Raises:
            SourceUnavailableError: the database or a table cannot be reached.
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: the database refused or failed.
        """
        ...

    def state(self, tables: tuple[str, ...] | None) -> AnswerState:
        """Return how fresh and how good the tables are (None: all of them)."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
