"""Identical questions at the same time run once.

The first to ask runs the query in its own thread; who asks the same meanwhile waits for that. Each
may leave: the query is cancelled when all of them have left, and not before. An error is everybody's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from semantic.cache.answer import AnswerKey
from semantic.errors import QueryCancelledError

T = TypeVar("T")
_LOOK: Final = 0.05  # seconds between two looks whether the caller left


class _Abandoned(threading.Event):
    """Set when everyone has left whom it was told of; one who cannot leave is None."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[threading.Event | None] = []

    def is_set(self) -> bool:
        return all(caller is not None and caller.is_set() for caller in tuple(self.callers))


class _Flight(Generic[T]):
    """One query on its way, and those who wait for it."""

    __slots__ = ("abandoned", "done", "failure", "result")

    def __init__(self) -> None:
        self.abandoned = _Abandoned()
        self.done = threading.Event()
        self.result: T | None = None
        self.failure: BaseException | None = None


class Flights(Generic[T]):
    """The queries on their way. Safe to use from several threads."""

    __slots__ = ("_flights", "_lock")

    def __init__(self) -> None:
        self._flights: dict[AnswerKey, _Flight[T]] = {}
        self._lock = threading.Lock()

    def run(
        self,
        key: AnswerKey,
        work: Callable[[threading.Event], T],
        cancelled: threading.Event | None,
    ) -> tuple[T, bool]:
        """Return what `work(cancelled)` returns, and whether another's work was it.

        Raises:
            QueryCancelledError: the caller left.
            Exception: whatever the work raised, for all who waited.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None or flight.abandoned.is_set()
                if flight is None or leads:
                    flight = self._flights[key] = _Flight()
                flight.abandoned.callers.append(cancelled)
            if leads:
                return self._lead(key, flight, work), False
            try:
                return self._wait(flight, cancelled), True
            except QueryCancelledError:
                # Stopped by all others in the moment in which this caller joined them.
                if cancelled is not None and cancelled.is_set():
                    raise

    def _lead(self, key: AnswerKey, flight: _Flight[T], work: Callable[[threading.Event], T]) -> T:
        try:
            flight.result = result = work(flight.abandoned)
        except BaseException as failure:
            flight.failure = failure
            raise
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.done.set()
        return result

    def _wait(self, flight: _Flight[T], cancelled: threading.Event | None) -> T:
        while not flight.done.wait(_LOOK):
            if cancelled is not None and cancelled.is_set():
                raise QueryCancelledError("the query was cancelled")
        if flight.failure is not None:
            raise flight.failure
        return flight.result  # type: ignore[return-value]  # set before `done`
