"""The cache of answers: memory first, then what several servers share, then the engine.

    key = SQL, values, snapshot ─▶ memory ─▶ shared store ─▶ one run for all who ask ─▶ both stores

Freshness is the snapshot's: a key with the snapshot in service can only find what was computed from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from semantic.cache.answer import Answer, AnswerKey, Outcome, compact, make_key
from semantic.cache.flights import Flights
from semantic.cache.memory import AnswerMemory
from semantic.compile.compiled import CompiledQuery
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.stream import ResultStream
from semantic.query.bound import BoundQuery


def identify(state: AnswerState) -> str:
    """Return what names a snapshot among those of all projects; empty when the engine has none."""
    return f"{state.snapshot}@{state.built_at.isoformat()}" if state.snapshot else ""


class AnswerStore(Protocol):
    """Where several servers keep answers. It may lose any, and never raises for being away."""

    def find(self, key: AnswerKey) -> Answer | None:
        """Return the answer if it is there and whole."""
        ...

    def keep(self, key: AnswerKey, answer: Answer) -> None:
        """Keep an answer, or not."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A compiled query, and the columns of its answer."""

    compiled: CompiledQuery
    bound: BoundQuery
    columns: tuple[ResultColumn, ...]


class AnswerCache:
    """Answers questions from what is kept, or has them answered. Safe to use from several threads."""

    __slots__ = ("_flights", "_memory", "_store")

    def __init__(self, room: int, store: AnswerStore | None = None) -> None:
        """Keep at most `room` bytes in memory; 0 keeps nothing there."""
        self._memory = AnswerMemory(room) if room else None
        self._store = store
        self._flights: Flights[Result] = Flights()

    @property
    def used(self) -> int:
        """How many bytes are held in memory."""
        return 0 if self._memory is None else self._memory.used

    def answer(
        self,
        question: Question,
        state: AnswerState,
        run: Callable[[threading.Event | None], Result],
        *,
        cancelled: threading.Event | None = None,
        renew: bool = False,
    ) -> Result:
        """Return the answer from the snapshot of `state`, or from a newer one.

        `run(cancelled)` computes it. With `renew` it is computed whatever is kept.

        Raises:
            QueryCancelledError: the caller left.
            Exception: whatever the run raised.
        """
        key = make_key(question.compiled, question.bound, identify(state))
        if key is None or (self._memory is None and self._store is None):
            return run(cancelled)
        if renew:
            result = run(cancelled)
            self._keep(key, result)
            return replace(result, cache="miss")
        found = self._find(key)
        if found is not None:
            return _describe(question, found, state)

        def compute(abandoned: threading.Event) -> Result:
            result = run(abandoned)
            self._keep(key, result)
            return result

        result, shared = self._flights.run(key, compute, cancelled)
        outcome: Outcome = "shared" if shared else "miss"
        return replace(result, query=question.bound.query, columns=question.columns, cache=outcome)

    def stream(
        self,
        question: Question,
        state: AnswerState,
        start: Callable[[], ResultStream],
        *,
        wide: bool = False,
        renew: bool = False,
    ) -> ResultStream:
        """Return the answer piece by piece: a kept one, or what `start` begins.

        What was read at once is kept; a long answer is computed for each who reads it.

        Raises:
            Exception: whatever the start raised.
        """
        key = make_key(question.compiled, question.bound, identify(state), wide=wide)
        if key is None or (self._memory is None and self._store is None):
            return start()
        found = None if renew else self._find(key)
        if found is not None:
            return ResultStream.of(_describe(question, found, state))
        stream = start()
        stream.head = replace(stream.head, cache="miss")
        if stream.whole is not None:
            self._keep(key, stream.whole)
        return stream

    def holds(self, question: Question, state: AnswerState) -> bool | None:
        """Return whether the answer is kept in memory; None when it is never kept."""
        key = make_key(question.compiled, question.bound, identify(state))
        if key is None or self._memory is None:
            return None
        return self._memory.find(key) is not None

    def close(self) -> None:
        """Forget everything and close the store."""
        if self._memory is not None:
            self._memory.clear()
        if self._store is not None:
            self._store.close()

    def _find(self, key: AnswerKey) -> Answer | None:
        found = None if self._memory is None else self._memory.find(key)
        if found is None and self._store is not None:
            found = self._store.find(key)
            if found is not None and self._memory is not None:
                self._memory.keep(key, found)
        return found

    def _keep(self, key: AnswerKey, result: Result) -> None:
        """Keep a result under the snapshot that it was computed from."""
        own = replace(key, snapshot=identify(result.state))
        answer = Answer(compact(result.table), result.total, result.truncated, result.engine)
        if self._memory is not None:
            self._memory.keep(own, answer)
        if self._store is not None:
            self._store.keep(own, answer)


def _describe(question: Question, answer: Answer, state: AnswerState) -> Result:
    return Result(
        query=question.bound.query,
        columns=question.columns,
        table=answer.table,
        state=state,
        total=answer.total,
        truncated=answer.truncated,
        engine=answer.engine,
        cache="hit",
        rollups=question.compiled.rollups,
    )
