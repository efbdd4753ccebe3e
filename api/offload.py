"""Synchronous work in threads: so many at once, so many waiting, each with a deadline.

The layer is synchronous, the doors are not. `Offload.run` waits for one of `concurrency` slots and
runs the work in a thread of its own pool. A slot is given back when the *thread* is done, not when
the caller stops waiting: work that ignores its cancellation keeps its slot, so threads never pile
up behind a server that looks idle.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, Final, TypeVar

from api.errors import BusyError
from api.fair import FairPlaces
from semantic.errors import QueryCancelledError, QueryTimeoutError
from semantic.steps import step

T = TypeVar("T")

WAITING_PER_SLOT: Final = 16  # a dashboard opens with a dozen charts at once
GRACE_SECONDS: Final = 2.0  # the engine stops itself at the deadline; then we stop waiting for it


class Offload:
    """A pool of threads with a bounded queue before it."""

    def __init__(self, concurrency: int, deadline_seconds: float) -> None:
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="query")
        self._slots = FairPlaces(concurrency)
        self._places = concurrency * (1 + WAITING_PER_SLOT)
        self._deadline = deadline_seconds
        self._running: set[threading.Event] = set()
        self._taken = 0
        self._stopping = False

    async def run(
        self,
        work: Callable[[threading.Event], T],
        *,
        caller: str = "",
        gone: Awaitable[object] | None = None,
    ) -> T:
        """Run `work(cancelled)` in a thread and return what it returns.

        Slots are handed out fairly among callers. `gone` completes when the caller goes away; `cancelled` is set then, and at the deadline,
        which counts the time spent waiting for a slot.

        Raises:
            BusyError: as many wait already as may.
            QueryTimeoutError: the deadline passed.
            QueryCancelledError: the caller went away.
        """
        cancelled = self._enter()
        task = asyncio.ensure_future(self._in_slot(work, cancelled, caller))
        task.add_done_callback(lambda _: self._leave(cancelled))
        watch = asyncio.ensure_future(gone) if gone is not None else None
        awaited = {task} if watch is None else {task, watch}
        try:
            await asyncio.wait(
                awaited,
                timeout=self._deadline + GRACE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return self._result(task)
            cancelled.set()
            task.add_done_callback(_retrieve)
            if watch is not None and watch.done():
                raise QueryCancelledError("the caller went away")
            raise self._too_long()
        except asyncio.CancelledError:
            cancelled.set()
            task.add_done_callback(_retrieve)
            raise
        finally:
            if watch is not None:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    @contextmanager
    def hold(self, caller: str = "") -> Iterator[Place]:
        """Keep a place for work in several steps of a caller, which may lie far apart.

        Raises:
            BusyError: as many run and wait already as may.
        """
        place = Place(self, self._enter(), caller)
        try:
            yield place
        finally:
            place.cancelled.set()
            if place.running is None or place.running.done():
                self._leave(place.cancelled)
            else:
                place.running.add_done_callback(lambda _: self._leave(place.cancelled))

    def stop(self) -> None:
        """Cancel what runs and take no more; callers are told that the server stops."""
        self._stopping = True
        for cancelled in tuple(self._running):
            cancelled.set()

    def close(self) -> None:
        """Stop, and wait for the threads to notice."""
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _enter(self) -> threading.Event:
        if self._stopping:
            raise _stopping()
        if self._taken >= self._places:
            raise BusyError(
                f"{self._taken} queries run or wait in this process",
                suggestion="ask again in a few seconds",
            )
        self._taken += 1
        cancelled = threading.Event()
        self._running.add(cancelled)
        return cancelled

    def _too_long(self) -> QueryTimeoutError:
        return QueryTimeoutError(
            f"the query took longer than {self._deadline:g} seconds",
            suggestion="ask for fewer days or members, or raise DUCAT_QUERY_TIMEOUT_SECONDS",
        )

    def _result(self, task: asyncio.Future[T]) -> T:
        try:
            return task.result()
        except QueryCancelledError as cancelled:
            if self._stopping:
                raise _stopping() from cancelled
            raise

    async def _in_slot(
        self, work: Callable[[threading.Event], T], cancelled: threading.Event, caller: str
    ) -> T:
        with step("queue"):
            await self._slots.acquire(caller)
        try:
            if cancelled.is_set():
                raise QueryCancelledError("the caller went away before the query started")
            # The thread sees the watcher and the log's fields of the request.
            run = copy_context().run
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, run, work, cancelled
            )
        finally:
            self._slots.release(caller)

    def _leave(self, cancelled: threading.Event) -> None:
        self._running.discard(cancelled)
        self._taken -= 1


class Place:
    """A place that work in several steps keeps; each step waits for a slot of its own.

    So whoever takes its answer slowly holds no thread. `cancelled` is set when the place is given up.
    """

    __slots__ = ("_caller", "_offload", "cancelled", "running")

    def __init__(self, offload: Offload, cancelled: threading.Event, caller: str) -> None:
        self._offload = offload
        self._caller = caller
        self.cancelled = cancelled
        self.running: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[threading.Event], T]) -> T:
        """Run one step in a thread. One that is given up may still run to its end there.

        Raises:
            QueryTimeoutError: the step, with its wait for a slot, took longer than a query may.
            BusyError: the server stops.
        """
        offload = self._offload
        slot = offload._in_slot(work, self.cancelled, self._caller)  # noqa: SLF001
        task = asyncio.ensure_future(slot)
        self.running = task
        try:
            await asyncio.wait({task}, timeout=offload._deadline + GRACE_SECONDS)  # noqa: SLF001
        except asyncio.CancelledError:
            self.cancelled.set()
            task.add_done_callback(_retrieve)
            raise
        if not task.done():
            self.cancelled.set()
            task.add_done_callback(_retrieve)
            raise offload._too_long()  # noqa: SLF001
        return offload._result(task)  # noqa: SLF001


def _stopping() -> BusyError:
    return BusyError("the server is stopping", suggestion="ask again when it is back")


def _retrieve(task: asyncio.Future[T]) -> None:
    """Read the outcome nobody waits for, so that asyncio does not report it as lost."""
    if not task.cancelled():
        task.exception()
