"""Connections that say nothing, half a request, or too much: shown out before they cost anything.

uvicorn limits neither the time that a request's head may take nor its size. Here a head has
`HEAD_SECONDS` from its connection's beginning (or from its own first byte, on a connection that was
used before) and `LARGEST_HEAD` bytes. Of connections that never sent a whole head, the oldest is closed
when there are too many. Bodies are limited where they are read: `asgi.limit_body`.

A request that repeats to the byte on a connection that is idle is answered here (`repeat.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.asgi import Repeater

HEAD_SECONDS: Final = 20.0
LARGEST_HEAD: Final = 64 * 1024
MOST_STRANGERS: Final = 500
LONGEST_REPEATED: Final = 24 * 1024
TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s"
)
BODY: Final = (
    b'{"type":"UserError","error":"the head of a request may have 65536 bytes",'
    b'"code":"request_too_large","sqlState":"54000"}'
)
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"),
)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with limits on the head of a request."""

    repeater: ClassVar[Repeater | None] = None
    strangers: ClassVar[dict[GuardedProtocol, None]] = {}
    head_seconds: ClassVar[float] = HEAD_SECONDS

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._timer: asyncio.TimerHandle | None = None
        self._size = 0
        self._has_head = False
        self._in_body = False  # of a request whose head is whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.strangers[self] = None
        if len(self.strangers) > MOST_STRANGERS:
            oldest = next(iter(self.strangers))
            del self.strangers[oldest]
            oldest.transport.abort()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on, unless this is more than a head may have."""
        is_idle = not self._in_body and self._is_between_requests()
        if is_idle and self._repeat(data):
            return
        if self._has_head and (self.cycle is None or self.cycle.response_complete):
            # The next request, or the rest of a body that nobody reads: either must end in time.
            self._has_head = False
            self._size = 0
            self._await_head()
        if not self._has_head and not self._in_body:
            self._size += len(data)
        super().data_received(data)
        if is_idle and len(data) <= LONGEST_REPEATED and self._is_one_request():
            self.scope["ducat.raw"] = data  # type: ignore[typeddict-unknown-key]
        if not self._has_head and self._size > LARGEST_HEAD and not self.transport.is_closing():
            self.transport.write(TOO_LARGE % (len(BODY), BODY))
            self.transport.close()

    def _is_between_requests(self) -> bool:
        """Whether nothing of a next request has arrived, and the last one is answered."""
        if self._has_head:
            return self._is_answered()
        return not self._size and self.cycle is None

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_one_request(self) -> bool:
        """Whether a whole request has arrived, and nothing of a next one."""
        if not self._has_head or self._in_body or self.pipeline:
            return False
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def _repeat(self, data: bytes) -> bool:
        """Answer bytes that are known; whether they were."""
        if self.repeater is None or self.flow.write_paused or self.transport.is_closing():
            return False
        response = self.repeater.answer(data, self.server_state.default_headers)
        if response is None:
            return False
        self._has_head = True
        self._stop_waiting()
        self.server_state.total_requests += 1
        self.transport.write(response)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        return True

    def on_headers_complete(self) -> None:
        """Go on: the head is whole."""
        self._has_head = self._in_body = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Go on: the body is whole, too, whether somebody read it or not."""
        self._in_body = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        self.strangers.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
