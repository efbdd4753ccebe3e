"""Cube's long poll: a query that takes long is answered `Continue wait`, and found again.

Whoever sends the same request again gets the query that runs already. A query lives as long as
somebody wants it: a caller that is waiting, or one that was told to come again and has `GRACE_SECONDS`
to do so. Then it is cancelled, and its slot is free; Cube lets it run on, and abandoned queries
hold up those of others there.

Requests are the same when the same caller sends the same bytes. Two that arrive while one runs share
it: its answer says which tables it was computed from. What has ended is found again only by those who
were told to come again: under a steady stream of the same request somebody is always attached, and an
old answer would be given for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from semantic.errors import QueryCancelledError
from semantic.query.context import SecurityContext

T = TypeVar("T")
GRACE_SECONDS: Final = 15.0
CONTINUE_WAIT: Final = b'{"error":"Continue wait"}'
# They differ from one token of a caller to the next, and decide nothing about what it may see.
_OF_THE_TOKEN: Final = frozenset({"iat", "exp", "nbf", "jti"})


@dataclass(slots=True)
class _Query(Generic[T]):
    """A running query: `attached` wait for it now, `expected` were told to come again."""

    task: asyncio.Task[T]
    attached: int = 0
    expected: int = 0
    is_fetched: bool = False
    ending: asyncio.TimerHandle | None = None


class Waiting(Generic[T]):
    """The queries that callers wait for. For one event loop."""

    def __init__(
        self, grace: float = GRACE_SECONDS, dispose: Callable[[T], object] | None = None
    ) -> None:
        """`dispose` is given each answer that was never fetched, when nobody waits for it any more."""
        self._grace = grace
        self._dispose = dispose
        self._queries: dict[Hashable, _Query[T]] = {}

    async def answer(
        self,
        key: Hashable,
        start: Callable[[], Coroutine[Any, Any, T]],
        *,
        patience: float | None,
        gone: Awaitable[object] | None = None,
    ) -> T | None:
        """Return the answer of the query of this key, started if there is none; None: come again.

        Raises:
            QueryCancelledError: `gone` completed: the caller left.
            Exception: what the query raised.
        """
        query = self._attach(key, start)
        watch = asyncio.ensure_future(gone) if gone is not None else None
        awaited: set[asyncio.Future[Any]] = {query.task}
        if watch is not None:
            awaited.add(watch)
        try:
            await asyncio.wait(awaited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if query.task.done():
                query.is_fetched = True
                return query.task.result()
            if watch is not None and watch.done():
                raise QueryCancelledError("the caller went away")
            query.expected += 1
            return None
        finally:
            self._detach(key, query)
            if watch is not None:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    def __contains__(self, key: Hashable) -> bool:
        """Whether the query of this key runs or is kept here."""
        return key in self._queries

    def __len__(self) -> int:
        """Return how many queries run or are kept for a caller to fetch."""
        return len(self._queries)

    def _attach(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> _Query[T]:
        query = self._queries.get(key)
        if query is None or (query.task.done() and not query.expected):
            query = _Query(asyncio.create_task(start()))
            self._queries[key] = query
        elif query.expected:
            query.expected -= 1
        if query.ending is not None:
            query.ending.cancel()
            query.ending = None
        query.attached += 1
        return query

    def _detach(self, key: Hashable, query: _Query[T]) -> None:
        query.attached -= 1
        if query.attached:
            return
        if query.expected:
            loop = asyncio.get_running_loop()
            query.ending = loop.call_later(self._grace, self._end, key, query)
        else:
            self._end(key, query)

    def _end(self, key: Hashable, query: _Query[T]) -> None:
        if self._queries.get(key) is query:
            del self._queries[key]
        if not query.task.done():
            query.task.cancel()
        elif not query.task.cancelled():
            # Read, so that asyncio does not report it as lost.
            failed = query.task.exception() is not None
            if self._dispose is not None and not failed and not query.is_fetched:
                self._dispose(query.task.result())


def identify(context: SecurityContext) -> Hashable:
    """Return what makes two callers the same one: user, groups, and claims that may matter."""
    return context.user, context.groups, _freeze(context.claims)


def _freeze(claims: Mapping[str, Any]) -> Hashable:
    return tuple(
        (name, repr(value)) for name, value in sorted(claims.items()) if name not in _OF_THE_TOKEN
    )
