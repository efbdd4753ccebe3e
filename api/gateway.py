"""What every door has in common: who asks, the queue, the deadline, the record of what was asked.

A door turns its request into work for the layer and its answer into bytes; both happen in a thread
of the pool. The gateway makes sure that each query, whatever door it came through and however it
ended, is counted, logged and written to the query log once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

import orjson
import structlog

from api.asgi import Repeater
from api.auth import Authenticator
from api.callers import Callers
from api.changes import Changes
from api.errors import face_of, present
from api.metrics import Metrics
from api.offload import Offload
from api.peers import Peers
from api.query_log import FaceName, QueryLog, QueryRecord, find_actor, name_filters, name_members
from api.telemetry import UNTRACED, Tracing
from semantic.engine.result import Result
from semantic.errors import DucatError, QueryCancelledError
from semantic.query.context import SecurityContext
from semantic.query.query import Query
from semantic.service import SemanticLayer
from semantic.settings import Settings
from semantic.steps import Step, step

T = TypeVar("T")
SERVER_ERROR: Final = 500
log = structlog.stdlib.get_logger("ducat.api")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, through which door, and the id that ties the log lines of a request together.

    `gone` starts a wait for the caller to leave; None where nobody can.
    """

    context: SecurityContext
    face: FaceName
    request_id: str
    gone: Callable[[], Awaitable[object]] | None = None


class Gateway:
    """The layer, and everything between it and the doors."""

    def __init__(
        self,
        layer: SemanticLayer,
        settings: Settings,
        *,
        secret: str | None,
        tracing: Tracing = UNTRACED,
        peers: Peers | None = None,
    ) -> None:
        """Wire one server; `secret` stands in for a missing `DUCAT_JWT_SECRET`.

        Raises:
            SettingsError: there is no secret, or it is too short.
        """
        self.layer = layer
        self.settings = settings
        self.tracing = tracing
        self.peers = peers
        self.is_stopping = False
        self.authenticator = Authenticator.of(settings, secret)
        self.offload = Offload(settings.query_concurrency, settings.query_timeout_seconds)
        self.callers = Callers(settings.caller_concurrency, settings.caller_rate)
        self.query_log = QueryLog(settings.query_log_path)
        self.metrics = Metrics(layer.state, lambda: layer.shadow.tally)
        self.changes = Changes(layer)
        self.flushes: list[Callable[[], None]] = []
        """What writes the log lines that wait, so that lines stay in the order of their times."""
        self._stamp: tuple[Hashable | None] | None = None
        self.repeater: Repeater | None = None  # what answers requests by their bytes alone
        self.closing: list[Callable[[], None]] = []
        """What a door opened late, closed with the gateway."""

    async def load(
        self,
        query: Query,
        asker: Asker,
        encode: Callable[[Result], T],
        *,
        now: datetime | None = None,
        renew: bool = False,
    ) -> T:
        """Answer a query and return what `encode` makes of the result.

        With `renew` it is computed, whatever answers are kept.

        Raises:
            DucatError: the query was refused or failed; logged already.
        """
        asked = begin_record(query, asker, now)

        def work(cancelled: threading.Event) -> tuple[T, QueryRecord]:
            result = self.layer.load(
                query, asker.context, now=asked.time, cancelled=cancelled, renew=renew
            )
            self.metrics.cached.labels(result.cache).inc()
            answered = replace(
                asked, rows=result.table.num_rows, snapshot=result.state.snapshot or None
            )
            with step("render") as rendering:
                rendering.note("ducat.cache", result.cache)
                answer = encode(result)
            if isinstance(answer, bytes):
                answered = replace(answered, size=len(answer))
            return answer, answered

        return await self.run(work, asked, asker)

    async def run(
        self,
        work: Callable[[threading.Event], tuple[T, QueryRecord]],
        asked: QueryRecord,
        asker: Asker,
    ) -> T:
        """Run work in the pool and record how it ended.

        Raises:
            CallerLimitError: the caller has as many queries as one may.
            DucatError: the query was refused or failed; logged already.
        """
        with self.tracing.query(asked.face, asked.request_id) as span:
            return await self._run(work, asked, asker, span)

    async def _run(
        self,
        work: Callable[[threading.Event], tuple[T, QueryRecord]],
        asked: QueryRecord,
        asker: Asker,
        span: Step,
    ) -> T:
        start = time.perf_counter()
        in_flight = self.metrics.in_flight.labels(asked.face)
        in_flight.inc()
        record = asked
        try:
            with self.callers.enter(asker.context.user):
                answer, record = await self.offload.run(
                    work, caller=asker.context.user, gone=asker.gone and asker.gone()
                )
        except asyncio.CancelledError:
            record = replace(asked, code=QueryCancelledError.code)
            raise
        except Exception as failure:
            # Whatever fails is recorded with its code, and goes on to the face.
            record = fail_record(asked, failure)
            raise
        finally:
            in_flight.dec()
            record = replace(record, seconds=time.perf_counter() - start)
            describe_span(span, record)
            self.finish(record)
        return answer

    async def think(self, user: str, work: Callable[[], T]) -> T:
        """Run what plans and reads no data, such as `sql` and `dry-run`, within the caller's limits.

        Raises:
            CallerLimitError: the caller asks as much as one may.
            DucatError: what the work raised.
        """
        with self.callers.enter(user):
            return await asyncio.to_thread(work)

    def close(self) -> None:
        """Cancel what runs, wait for it, and close the files."""
        self.offload.close()
        for close in self.closing:
            close()
        self.flush()
        self.query_log.close()

    def finish(self, record: QueryRecord, *, quiet: bool = False) -> None:
        """Count, write and log a query that has ended. Called once for each.

        A `quiet` one, which took no work, is logged for those who debug; the query log has it.
        """
        self.flush()
        self.metrics.queries.labels(record.face, record.code).inc()
        self.metrics.query_seconds.labels(record.face).observe(record.seconds)
        self.append_log(orjson.dumps(record.describe(), option=orjson.OPT_APPEND_NEWLINE))
        if quiet and self.settings.log_level != "debug":
            return
        log.info(
            "query",
            request_id=record.request_id,
            user=record.user,
            face=record.face,
            members=record.members,
            rows=record.rows,
            seconds=round(record.seconds, 6),
            code=record.code,
        )

    def flush(self) -> None:
        """Count and write what waits to be."""
        for flush in self.flushes:
            flush()

    def stamp(self) -> Hashable | None:
        """Return the layer's stamp, looked at once for all that arrived at the same moment.

        That is, in one turn of the event loop: none of it can have come after a change was seen.
        """
        if self._stamp is None:
            self._stamp = (self.layer.stamp(),)
            asyncio.get_running_loop().call_soon(self._forget_stamp)
        return self._stamp[0]

    def _forget_stamp(self) -> None:
        self._stamp = None

    def append_log(self, line: bytes) -> None:
        """Append a line to the query log; what cannot be written is said in the server's own."""
        try:
            self.query_log.append(line)
        except OSError as full:
            log.warning("the query log cannot be written", reason=str(full))


def describe_span(span: Step, record: QueryRecord) -> None:
    """Tell a span what a query asked and got: names, never values."""
    span.note("ducat.members", record.members)
    span.note("ducat.filtered_by", record.filtered_by)
    names = (name.partition(".")[0] for name in (*record.members, *record.filtered_by))
    span.note("ducat.cubes", tuple(dict.fromkeys(names)))
    span.note("ducat.code", record.code)
    if record.rows is not None:
        span.note("ducat.rows", record.rows)
    if record.size is not None:
        span.note("ducat.bytes", record.size)
    if record.snapshot is not None:
        span.note("ducat.snapshot", record.snapshot)


def begin_record(query: Query, asker: Asker, now: datetime | None = None) -> QueryRecord:
    """Return the record of a query that begins."""
    return QueryRecord(
        time=now or datetime.now(UTC),
        request_id=asker.request_id,
        user=asker.context.user,
        face=asker.face,
        via=find_actor(asker.context.claims),
        members=name_members(query),
        filtered_by=name_filters(query),
        queries=(query,),
    )


def fail_record(asked: QueryRecord, failure: Exception) -> QueryRecord:
    """Return the record of a query that failed; a defect, or what the engine could not do, is logged."""
    if not isinstance(failure, DucatError) or face_of(failure).status == SERVER_ERROR:
        log.error("query failed", request_id=asked.request_id, user=asked.user, exc_info=failure)
    return replace(asked, code=present(failure).code)
