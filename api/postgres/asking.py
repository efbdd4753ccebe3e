"""A session's queries on their way through the gateway."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from api.gateway import Asker, Gateway
from api.postgres.errors import SqlError
from api.postgres.query.answer import Trace
from api.query_log import QueryRecord, find_actor
from semantic.errors import QueryCancelledError
from semantic.query.context import SecurityContext

T = TypeVar("T")


@dataclass(slots=True)
class Asking:
    """Runs a session's queries through the gateway; `note` is told what each asked."""

    gateway: Gateway
    context: SecurityContext
    stop: asyncio.Event
    was_cancelled: Callable[[], bool]
    note: Callable[[QueryRecord, Trace], None]
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def ask(self, work: Callable[[threading.Event], T], trace: Trace, seconds: float) -> T:
        """Return what the work returns.

        Raises:
            DucatError: it failed, took too long, or was cancelled.
        """
        timed_out = False

        async def gone() -> None:
            nonlocal timed_out
            try:
                async with asyncio.timeout(seconds or None):
                    await self.stop.wait()
            except TimeoutError:
                timed_out = True

        asked = QueryRecord(
            time=datetime.now(UTC),
            request_id=self.request_id,
            user=self.context.user,
            face="postgres",
            via=find_actor(self.context.claims),
        )

        def describe(answer: T) -> QueryRecord:
            return replace(
                asked,
                rows=getattr(answer, "num_rows", None),
                members=trace.members,
                filtered_by=trace.filtered_by,
                queries=tuple(trace.queries),
                snapshot=trace.snapshot,
            )

        def recorded(cancelled: threading.Event) -> tuple[T, QueryRecord]:
            answer = work(cancelled)
            for outcome in trace.outcomes:
                self.gateway.metrics.cached.labels(outcome).inc()
            return answer, describe(answer)

        try:
            answer = await self.gateway.run(
                recorded, asked, Asker(self.context, "postgres", self.request_id, gone)
            )
        except QueryCancelledError as stopped:
            if timed_out:
                raise SqlError(
                    "canceling statement due to statement timeout", sqlstate="57014"
                ) from stopped
            if self.was_cancelled():
                raise SqlError(
                    "canceling statement due to user request", sqlstate="57014"
                ) from stopped
            raise
        self.note(describe(answer), trace)
        return answer
