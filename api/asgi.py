"""The outermost ASGI layer: request ids, body limits, counting, and answers as ready bytes.

`Front` sends the hot path (`load`) straight to its handler and everything else to the FastAPI app;
a framework's route costs several times what the planner does for a small query.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import (
    RequestTimeoutError,
    RequestTooLargeError,
    error_body,
    error_headers,
    face_of,
    present,
)
from api.metrics import Metrics
from api.telemetry import UNTRACED, Tracing
from semantic.errors import DucatError, QueryCancelledError

LARGEST_BODY: Final = 1024 * 1024
BODY_SECONDS: Final = 30.0
REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
BAD_REQUEST: Final = 400
CLIENT_LEFT: Final = 499
log = structlog.stdlib.get_logger("ducat.api")


class Shortcut(Protocol):
    """What may answer requests to some paths at once."""

    paths: frozenset[str]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer, and return None; or return the `receive` to go on with."""
        ...


class Repeater(Protocol):
    """What answers requests that repeat to the byte."""

    def answer(self, raw: bytes, defaults: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """Return a whole response, with the server's default headers; None: it has to be asked."""
        ...


class Front:
    """Routes a request to its handler, and answers for whatever that one raises."""

    def __init__(
        self,
        hot: Mapping[str, ASGIApp],
        rest: ASGIApp,
        metrics: Metrics,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        prepare: Callable[[Mapping[str, str]], Awaitable[None]] | None = None,
        tracing: Tracing = UNTRACED,
        ready: Shortcut | None = None,
    ) -> None:
        """Take the handlers; `prepare` is awaited with the headers of each request before them.

        `ready` may answer a request before anything else; handlers find it in the scope.
        """
        self._hot = hot
        self._ready = ready
        self._rest = rest
        self._metrics = metrics
        self._lifespan = lifespan
        self._prepare = prepare
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live from the server's start to its end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            with self._tracing.connection(read_headers(scope)):
                await self._rest(scope, receive, send)
            return
        scope["ducat.ready"] = self._ready
        if self._ready is not None and scope["path"] in self._ready.paths:
            going_on = await self._ready.answer(scope, receive, send)
            if going_on is None:
                return
            receive = going_on
        headers = read_headers(scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else make_request_id()
        scope["ducat.request_id"] = request_id
        scope["ducat.headers"] = headers
        with self._tracing.request(scope["method"], scope["path"], headers, request_id) as span:
            status = await self._answer(scope, receive, send)
            span.note("http.response.status_code", status or CLIENT_LEFT)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer an HTTP request and return its status, 0 when the caller left before."""
        headers, request_id = scope["ducat.headers"], scope["ducat.request_id"]
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            if self._prepare is not None:
                await self._prepare(headers)
            app = self._hot.get(scope["path"], self._rest)
            await app(scope, limit_body(receive, headers), answer)
        except Exception as failure:
            # The outermost boundary of the server: whatever fails becomes an answer, never a hang.
            if not isinstance(failure, DucatError):
                log.exception("request failed", request_id=request_id, path=scope["path"])
            if not status and not isinstance(failure, QueryCancelledError):
                await send_error(answer, failure, request_id)
        finally:
            self._metrics.requests.labels(scope["method"], str(status or CLIENT_LEFT)).inc()
            level = log.debug if status < BAD_REQUEST else log.info
            level(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
            )
        return status

    async def _live(self, receive: Receive, send: Send) -> None:
        """Speak ASGI's lifespan protocol: a start or an end that fails is said, and raised."""
        await receive()
        started = False
        try:
            async with self._lifespan():
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except BaseException as failure:
            kind = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{kind}.failed", "message": str(failure)})
            raise
        await send({"type": "lifespan.shutdown.complete"})


def make_request_id() -> str:
    """Return an id for a request that came without one."""
    return os.urandom(16).hex()


def read_headers(scope: Scope) -> dict[str, str]:
    """Return the headers with lower-case names; of repeated ones the first."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return headers


def limit_body(
    receive: Receive,
    headers: Mapping[str, str],
    largest: int = LARGEST_BODY,
    seconds: float = BODY_SECONDS,
) -> Receive:
    """Return a `receive` that refuses bodies which are too long, declared or not, or too slow.

    A body may have `largest` bytes, and `seconds` from its first to its last.
    """
    declared = headers.get("content-length", "0")
    deadline = time.monotonic() + seconds
    seen = 0
    is_whole = False

    async def limited() -> Message:
        nonlocal seen, is_whole
        if is_whole:
            return await receive()  # waits for the caller to leave, for as long as that takes
        if declared.isdecimal() and int(declared) > largest:
            raise RequestTooLargeError(
                f"a request may have {largest} bytes, this one has {declared}"
            )
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                message = await receive()
        except TimeoutError as slow:
            raise RequestTimeoutError(
                f"the request's body did not arrive within {seconds:g} seconds"
            ) from slow
        seen += len(message.get("body", b""))
        if seen > largest:
            raise RequestTooLargeError(f"a request may have {largest} bytes")
        is_whole = not message.get("more_body", False)
        return message

    return limited


async def read_body(receive: Receive) -> bytes:
    """Return the whole body.

    Raises:
        QueryCancelledError: the caller went away before it was complete.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise QueryCancelledError("the caller went away")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def wait_gone(receive: Receive) -> None:
    """Return when the caller has closed the connection; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_bytes(
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    content_type: bytes = b"application/json; charset=utf-8",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with ready bytes."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                *((name.encode(), value.encode()) for name, value in (headers or {}).items()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, failure: BaseException, request_id: str) -> None:
    """Answer with Cube's error object."""
    error = present(failure)
    body = orjson.dumps(error_body(error, request_id))
    await send_bytes(send, body, status=face_of(error).status, headers=error_headers(error))
