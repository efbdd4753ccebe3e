"""Answers that a door sends bit by bit: one query of the gateway, in several steps.

A `Flow` is opened, stepped until its rows are at an end, and closed; each step runs in a thread of
the pool, and between two of them it holds a place and the engine's connection, but no thread. The
query is counted, logged and recorded once, when the flow is closed, with what was sent by then.

Work that was given up may still run in its thread for a moment. The stream is closed after it: a
lock stands between them, and who must wait for it does so in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Generic, Self, TypeVar

from api.gateway import Asker, Gateway, begin_record, describe_span, fail_record
from api.offload import Place
from api.query_log import QueryRecord
from semantic.engine.stream import ResultStream
from semantic.errors import QueryCancelledError
from semantic.query.query import Query

T = TypeVar("T")
U = TypeVar("U")


class _Rows:
    """The stream, as threads see it: one at a time, and none after it was closed."""

    __slots__ = ("_closed", "_lock", "_stream")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: ResultStream | None = None
        self._closed = False

    def open(self, opening: Callable[[], ResultStream]) -> None:
        with self._lock:
            self._check()
            self._stream = opening()

    def use(self, work: Callable[[ResultStream], U]) -> U:
        with self._lock:
            self._check()
            assert self._stream is not None  # noqa: S101 -- `open` came first
            return work(self._stream)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._stream is not None:
                self._stream.close()

    def close_soon(self) -> None:
        """Close without waiting: for a thread that still reads, or for the engine."""
        if self._lock.acquire(blocking=False):
            try:
                if self._stream is None or not self._stream.is_held:
                    self._closed = True
                    return
            finally:
                self._lock.release()
        threading.Thread(target=self.close, name="ducat-close", daemon=True).start()

    def _check(self) -> None:
        if self._closed:
            raise QueryCancelledError("the caller went away")


class Flow(Generic[T]):
    """A query whose answer is sent bit by bit. `first` is what the first step made of the rows.

    `rows` and `size` (bytes) are what was sent, as the door counts it.
    """

    def __init__(
        self, gateway: Gateway, record: QueryRecord, held: ExitStack, place: Place
    ) -> None:
        self.first: T
        self.rows: int | None = None
        self.size: int | None = None
        self._gateway = gateway
        self._record = record
        self._held = held
        self._place = place
        self._stream = _Rows()
        self._started = time.perf_counter()
        self._is_closed = False
        self._is_claimed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> None:
        self.close(failure)

    @classmethod
    async def open(
        cls,
        gateway: Gateway,
        query: Query,
        asker: Asker,
        begin: Callable[[ResultStream], T],
        *,
        now: datetime | None = None,
        wide: bool = False,
        renew: bool = False,
    ) -> Flow[T]:
        """Run a query until its first rows are there, and let `begin` look at them, in a thread.

        Raises:
            CallerLimitError, BusyError: as many queries run already as may.
            DucatError: the query was refused or failed; logged already.
        """
        record = begin_record(query, asker, now)
        started = time.perf_counter()
        with ExitStack() as stack:
            in_flight = gateway.metrics.in_flight.labels(asker.face)
            in_flight.inc()
            stack.callback(in_flight.dec)
            try:
                stack.enter_context(gateway.callers.enter(asker.context.user))
                place = stack.enter_context(gateway.offload.hold(asker.context.user))
            except Exception as refused:
                failed = fail_record(record, refused)
                gateway.finish(replace(failed, seconds=time.perf_counter() - started))
                raise
            flow: Flow[T] = cls(gateway, record, stack.pop_all(), place)

        def work(cancelled: threading.Event) -> T:
            flow._stream.open(
                lambda: gateway.layer.stream(
                    query,
                    asker.context,
                    now=record.time,
                    cancelled=cancelled,
                    wide=wide,
                    renew=renew,
                )
            )
            return flow._stream.use(flow._look(begin))

        with gateway.tracing.query(asker.face, asker.request_id) as span:
            try:
                flow.first = await flow._run(work)
            finally:
                describe_span(span, flow._record)
        return flow

    async def step(self, work: Callable[[ResultStream], U]) -> U:
        """Run `work` over the rows, in a thread. Whatever fails closes the flow.

        Raises:
            DucatError: the query failed; logged already.
        """
        return await self._run(lambda _: self._stream.use(work))

    def claim(self) -> bool:
        """Take the flow for oneself; False when somebody else did, for rows are read only once."""
        claimed, self._is_claimed = self._is_claimed, True
        return not claimed

    def close(self, failure: BaseException | None = None) -> None:
        """End the query and record it; `failure` is why, if it did not end by itself."""
        if self._is_closed:
            return
        self._is_closed = True
        record = replace(self._record, rows=self.rows, size=self.size)
        match failure:
            case None:
                pass
            case Exception():
                record = fail_record(record, failure)
            case _:
                record = replace(record, code=QueryCancelledError.code)
        self._place.cancelled.set()
        self._stream.close_soon()
        self._held.close()
        self._record = replace(record, seconds=time.perf_counter() - self._started)
        self._gateway.finish(self._record)

    def _look(self, begin: Callable[[ResultStream], T]) -> Callable[[ResultStream], T]:
        def look(stream: ResultStream) -> T:
            snapshot = stream.head.state.snapshot or None
            self._gateway.metrics.cached.labels(stream.head.cache).inc()
            self._record = replace(self._record, snapshot=snapshot)
            return begin(stream)

        return look

    async def _run(self, work: Callable[[threading.Event], U]) -> U:
        try:
            return await self._place.run(work)
        except BaseException as failure:
            self.close(failure)
            raise
