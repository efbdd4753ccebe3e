"""What runs compiled queries: the served file, or a database of others."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Protocol, runtime_checkable

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import Dialect
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.stream import ResultStream
from semantic.plan.statistics import Statistics
from semantic.query.bound import BoundQuery


class StalePlanError(Exception):
    """The query was planned for columns of other types than the tables in service have."""


@runtime_checkable
class RollupReader(Protocol):
    """An engine that reads rollups."""

    def distrust(self, names: tuple[str, ...]) -> None:
        """Read these rollups no more, as they are built now."""
        ...


class QueryEngine(Protocol):
    """Runs queries that were compiled for its dialect. Safe to use from several threads."""

    @property
    def dialect(self) -> Dialect:
        """What its SQL is like."""
        ...

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Return the answer, from one state of the data.

        Raises:
            StalePlanError: plan anew, and ask again.
            SnapshotError: nothing is in service.
            SourceUnavailableError: the database or a table is not there.
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: the database refused or failed.
        """
        ...

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

        With `wide` sums of whole numbers keep the type that they have in the database.

        Raises:
            DucatError: as for `execute`; what fails after the first rows is raised by `read`.
        """
        ...

    def state(self, tables: tuple[str, ...] | None) -> AnswerState:
        """Return the state of what is in service.

        Raises:
            SnapshotError, SourceUnavailableError: nothing can be asked.
        """
        ...

    def stamp(self) -> Hashable | None:
        """Return what changes when other tables or checks come into service; None: not known."""
        ...

    def statistics(self) -> Statistics:
        """Return what is known of the tables, which may be nothing."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...
