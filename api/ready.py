"""Ready answers of `load` and GraphQL: the bytes of before, while nothing has changed.

A request that is equal byte for byte, with the same token, gets the same body as long as the same
model, snapshot and checks are in service. The body of an answer that the cache gave is kept under the
request; the next one needs no parsing, planning or writing of JSON. It is still counted against its
caller's limits, in the metrics and in the query log.

What is not kept: answers that depend on the clock ("last week"), to callers whose token ends soon, to
requests that want tracing, another format, or any header that could matter and is not known here. A
token is checked anew every five seconds.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from api.asgi import REQUEST_ID, limit_body, make_request_id
from api.errors import CallerLimitError
from api.gateway import Asker, Gateway, begin_record
from api.query_log import QueryRecord
from api.repeat import RepeatedRequests
from api.telemetry import UNTRACED
from semantic.engine.result import Result
from semantic.errors import DucatError
from semantic.query.context import SecurityContext

_SECONDS: Final = 5.0
_SHARE: Final = 8  # of the memory for answers
_LONGEST: Final = 16 * 1024  # bytes of a request
_LATER: Final = timedelta(days=401, hours=5, minutes=7, seconds=11, microseconds=13)
_HARMLESS: Final = frozenset({
    b"host", b"user-agent", b"accept-encoding", b"accept-language", b"connection",
    b"cache-control", b"pragma", b"referer", b"cookie", b"x-forwarded-for", b"x-forwarded-proto",
    b"x-real-ip", b"forwarded", b"sec-fetch-mode", b"keep-alive",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: what its answer is kept under."""

    path: str
    method: str
    query: bytes
    body: bytes
    authorization: bytes
    user: bytes


@dataclass(slots=True)
class _Ready:
    """An answer, what it holds for, and what is recorded of it."""

    start: list[tuple[bytes, bytes]]
    body: Message
    stamp: Hashable
    until: float
    user: str
    records: tuple[QueryRecord, ...]
    size: int
    is_kept: bool = True


class ReadyAnswers:
    """Keeps bodies by request. For one event loop."""

    paths = frozenset({"/cubejs-api/v1/load", "/graphql", "/cubejs-api/graphql"})

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._room = gateway.settings.cache_bytes // _SHARE
        self._used = 0
        self._ready: OrderedDict[Asked, _Ready] = OrderedDict()
        self._is_traced = gateway.tracing is not UNTRACED
        self.repeated = RepeatedRequests(gateway)
        metrics = gateway.metrics
        self._counted = {
            method: metrics.requests.labels(method, "200") for method in ("GET", "POST")
        }
        self._came_ready = metrics.cached.labels("ready")

    def __len__(self) -> int:
        return len(self._ready)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer when the answer is ready: None then, else the `receive` to go on with."""
        if not self._ready or self._is_traced:
            return receive
        found = _read_headers(scope)
        if found is None:
            return receive
        authorization, user, given, length = found
        started = time.perf_counter()
        body, method = b"", scope["method"]
        if method == "POST":
            try:
                message = await limit_body(receive, {"content-length": str(length)})()
            except DucatError as refused:  # too long, or too slow: said where all is said
                return _fail(refused)
            body = message.get("body", b"")
            receive = _replay(message, receive)
            if message["type"] != "http.request" or message.get("more_body", False):
                return receive
        elif length or method != "GET":
            return receive
        asked = Asked(scope["path"], method, scope["query_string"], body, authorization, user)
        ready = self._find(asked)
        if ready is None:
            return receive
        if not self._may_ask(ready):
            return receive  # who refuses says it in full
        request_id = given if REQUEST_ID.fullmatch(given) else make_request_id()
        headers = [*ready.start, (b"x-request-id", request_id.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(ready.body)
        self._counted[method].inc()
        self._came_ready.inc()
        self._record(ready, request_id, time.perf_counter() - started)
        if not given:
            self._learn(scope, asked, ready)
        return None

    def _learn(self, scope: Scope, asked: Asked, ready: _Ready) -> None:
        """Remember the request's bytes, where they came as one piece on a connection that stays."""
        raw = scope.get("ducat.raw")
        if raw is None or scope["http_version"] != "1.1" or raw in self.repeated:
            return
        end = raw.find(b"\r\n\r\n")
        if end < 0 or raw[end + 4 :] != asked.body:
            return
        if any(
            name == b"connection" and value != b"keep-alive" for name, value in scope["headers"]
        ):
            return
        self.repeated.learn(
            raw,
            asked.method,
            ready.start,
            ready.body["body"],
            ready.records,
            lambda: ready.is_kept and self._holds(ready) and self._may_ask(ready),
        )

    def keep(
        self,
        scope: Scope,
        body: bytes,
        asker: Asker,
        stamp: Hashable | None,
        results: Sequence[Result],
        answer: bytes,
    ) -> None:
        """Keep an answer if it may be kept: all of it from the cache, and nothing changed meanwhile.

        `stamp` is the layer's from before the request was answered.
        """
        layer = self._gateway.layer
        found = _read_headers(scope)
        size = len(answer) + len(body) + len(scope["query_string"]) + 2_000
        until = _end(asker.context)
        if (
            found is None
            or stamp is None
            or not results
            or "apiKey" in asker.context.claims  # a revoked key ends at once
            or self._is_traced
            or any(result.cache != "hit" for result in results)
            or size > self._room
            or until <= 0
            or layer.stamp() != stamp
            or not all(
                layer.is_timeless(result.query, asker.context, datetime.now(UTC), _LATER)
                for result in results
            )
        ):
            return
        method, path = scope["method"], scope["path"]
        key = Asked(path, method, scope["query_string"], body, found[0], found[1])
        records = tuple(
            replace(
                begin_record(result.query, asker),
                rows=result.table.num_rows,
                snapshot=result.state.snapshot,
                size=len(answer) if asker.face == "rest" else None,
            )
            for result in results
        )
        start = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", str(len(answer)).encode()),
            (b"cache-control", b"no-store"),
        ]
        message: Message = {"type": "http.response.body", "body": answer}
        self._drop(key)
        ends = time.monotonic() + min(_SECONDS, until)
        self._ready[key] = _Ready(start, message, stamp, ends, asker.context.user, records, size)
        self._used += size
        while self._used > self._room:
            self._drop(next(iter(self._ready)))

    def _may_ask(self, ready: _Ready) -> bool:
        """Count the queries of an answer against their caller; whether that may have them."""
        try:
            for _ in ready.records:
                self._gateway.callers.count(ready.user)
        except CallerLimitError:
            return False
        return True

    def _record(self, ready: _Ready, request_id: str, seconds: float) -> None:
        now = datetime.now(UTC)
        for record in ready.records:
            ended = replace(record, time=now, request_id=request_id, seconds=seconds)
            self._gateway.finish(ended, quiet=True)

    def _find(self, asked: Asked) -> _Ready | None:
        ready = self._ready.get(asked)
        if ready is None:
            return None
        if not self._holds(ready):
            self._drop(asked)
            return None
        self._ready.move_to_end(asked)
        return ready

    def _holds(self, ready: _Ready) -> bool:
        return time.monotonic() <= ready.until and self._gateway.stamp() == ready.stamp

    def _drop(self, asked: Asked) -> None:
        known = self._ready.pop(asked, None)
        if known is not None:
            known.is_kept = False
            self._used -= known.size


def _read_headers(scope: Scope) -> tuple[bytes, bytes, str, int] | None:
    """Return token, user, request id and length; None when a header is there that may matter."""
    authorization = user = given = b""
    length = b"0"
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = authorization or value
        elif name == b"content-length":
            length = value
        elif name == b"x-request-id":
            given = given or value
        elif name == b"x-ducat-user":
            user = user or value
        elif name not in _HARMLESS and _matters(name, value):
            return None
    if not length.isdigit() or int(length) > _LONGEST:
        return None
    return authorization, user, given.decode("latin-1"), int(length)


def _matters(name: bytes, value: bytes) -> bool:
    """Whether a header could change the answer."""
    if name == b"accept":
        return b"arrow" in value or not value.startswith((b"*/*", b"application/json"))
    return name != b"content-type" or not value.startswith(b"application/json")


def _replay(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives a message again that was taken already."""
    waiting = [message]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _fail(failure: DucatError) -> Receive:
    """Return a `receive` that raises."""

    async def failed() -> Message:
        raise failure

    return failed


def _end(context: SecurityContext) -> float:
    """Return how many seconds the caller's token lasts; without the skew that may be allowed."""
    expiry = context.claims.get("exp")
    if expiry is None:
        return _SECONDS
    if not isinstance(expiry, int | float):
        return 0
    return expiry - time.time()
