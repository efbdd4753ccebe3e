"""Connections that say nothing, half a request, or too much: shown out before they cost anything.

uvicorn limits neither the time that a request's head may take nor its size. Here a head has
`HEAD_SECONDS` from its connection's beginning (or from its own first byte, on a connection that was
used before) and `LARGEST_HEAD` bytes. Of connections that never sent a whole head, the oldest is closed
when there are too many. Bodies are limited where they are read: `asgi.limit_body`.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 20.0
LARGEST_HEAD: Final = 64 * 1024
MOST_STRANGERS: Final = 500
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
        if self._has_head and (self.cycle is None or self.cycle.response_complete):
            # The next request, or the rest of a body that nobody reads: either must end in time.
            self._has_head = False
            self._size = 0
            self._await_head()
        if not self._has_head and not self._in_body:
            self._size += len(data)
        super().data_received(data)
        if not self._has_head and self._size > LARGEST_HEAD and not self.transport.is_closing():
            self.transport.write(TOO_LARGE % (len(BODY), BODY))
            self.transport.close()

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
