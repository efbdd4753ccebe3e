"""What the workers of one `ducat serve --workers N` tell each other.

Workers share the port, so a caller's next request may reach another worker. Three things must not
depend on which: the request that comes again after `Continue wait` must find the query that runs, a
cancel request of the Postgres wire must find its connection, and `/metrics` must show all workers.

Each worker has a *seat*, made before it starts and kept when it is replaced: an inbox for datagrams
of the others, and a port of its own on the loopback. Before a worker answers `Continue wait` it tells
the others that it holds that request; who receives it hands it on over HTTP, token and all, to that
port, and answers what comes back. If the holder is gone, the query is begun anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from httptools import HttpParserError, HttpResponseParser

HELD_SECONDS: Final = 30.0  # longer than a query is kept for a caller to come again
MOST_HELD: Final = 10_000
CONNECT_SECONDS: Final = 2.0
DATAGRAM: Final = 512
_HELD: Final = struct.Struct("!cB32s")
_CANCEL: Final = struct.Struct("!cI")
_SHIFT: Final = 24
MOST_WORKERS: Final = 64
Headers = list[tuple[bytes, bytes]]
log = structlog.stdlib.get_logger("ducat.workers")


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place among the others. Numbers begin at 1; `ports[n - 1]` is worker n's own.

    `alive` reads as ended when the supervisor is gone; a byte on `ready` says that it serves.
    """

    number: int
    own: socket.socket
    inbox: socket.socket
    outboxes: tuple[socket.socket, ...]
    ports: tuple[int, ...]
    alive: int
    ready: int
    postgres: socket.socket | None = None


@dataclass(frozen=True, slots=True)
class Handed:
    """The answer of another worker."""

    status: int
    headers: Headers
    body: bytes


class PeerGoneError(Exception):
    """The other worker does not answer."""


class Peers:
    """The other workers, as one of them sees them. For one event loop."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._held: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        self._cancel: Callable[[int, bytes], None] | None = None

    @property
    def first_process(self) -> int:
        """The number below this worker's connections of the Postgres wire."""
        return self.seat.number << _SHIFT

    def start(self, leave: Callable[[], None]) -> None:
        """Listen to the others; `leave` is called when the supervisor is gone."""
        loop = asyncio.get_running_loop()
        self.seat.inbox.settimeout(0)
        loop.add_reader(self.seat.inbox, self._receive)

        def orphaned() -> None:
            loop.remove_reader(self.seat.alive)
            leave()

        loop.add_reader(self.seat.alive, orphaned)

    def say_ready(self) -> None:
        """Tell the supervisor that this worker serves."""
        with suppress(OSError):
            os.write(self.seat.ready, b"r")

    def stop(self) -> None:
        """Listen no more."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.seat.inbox)
        loop.remove_reader(self.seat.alive)

    def on_cancel(self, cancel: Callable[[int, bytes], None]) -> None:
        """Call `cancel` with process and key of the cancel requests that others received."""
        self._cancel = cancel

    def hold(self, key: Hashable) -> None:
        """Tell the others that a query runs here, and its caller will come again."""
        self._send(_HELD.pack(b"h", self.seat.number, digest(key)))

    def find_holder(self, key: Hashable) -> int | None:
        """Return the worker that said so, if it is not long ago."""
        name = digest(key)
        holder, until = self._held.get(name, (0, 0.0))
        if until < time.monotonic():
            self._held.pop(name, None)
            return None
        return holder

    def forget(self, key: Hashable) -> None:
        """Forget who held a query: it is not there any more."""
        self._held.pop(digest(key), None)

    def pass_cancel(self, process: int, key: bytes) -> None:
        """Send a cancel request to the worker whose connection it names."""
        number = process >> _SHIFT
        if number != self.seat.number and 0 < number <= len(self.seat.outboxes):
            self._send(_CANCEL.pack(b"c", process) + key[:64], [number])

    async def ask(self, number: int, head: bytes, body: bytes = b"") -> Handed:
        """Send a request, its head written already, to another worker and return the answer.

        Raises:
            PeerGoneError: it does not answer, or not to the end.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self.seat.ports[number - 1]
                )
        except (OSError, TimeoutError) as refused:
            raise PeerGoneError from refused
        try:
            writer.write(head + body)
            return await _read_answer(reader)
        except (OSError, HttpParserError) as broken:
            raise PeerGoneError from broken
        finally:
            writer.close()

    @property
    def others(self) -> tuple[int, ...]:
        """The numbers of the other workers."""
        count = len(self.seat.ports)
        return tuple(number for number in range(1, count + 1) if number != self.seat.number)

    def _send(self, datagram: bytes, numbers: Iterable[int] | None = None) -> None:
        for number in self.others if numbers is None else numbers:
            try:
                self.seat.outboxes[number - 1].send(datagram, socket.MSG_DONTWAIT)
            except OSError as full:  # that worker is stuck or being replaced: it need not know
                log.info("another worker cannot be told", worker=number, reason=str(full))

    def _receive(self) -> None:
        while True:
            try:
                datagram = self.seat.inbox.recv(DATAGRAM)
            except BlockingIOError:
                return
            if datagram[:1] == b"h" and len(datagram) == _HELD.size:
                _, number, name = _HELD.unpack(datagram)
                self._held[name] = (number, time.monotonic() + HELD_SECONDS)
                self._held.move_to_end(name)
                if len(self._held) > MOST_HELD:
                    self._held.popitem(last=False)
            elif datagram[:1] == b"c" and self._cancel is not None:
                _, process = _CANCEL.unpack_from(datagram)
                self._cancel(process, datagram[_CANCEL.size :])


def digest(key: Hashable) -> bytes:
    """Return what names a request in every worker: texts, bytes and tuples are shown alike in all."""
    return hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).digest()


def write_head(
    method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], size: int
) -> bytes:
    """Return the head of a request with the headers of another, apart from those of its transport."""
    kept = [
        name + b": " + value
        for name, value in headers
        if name.lower() not in {b"content-length", b"transfer-encoding", b"connection", b"expect"}
    ]
    first = method.encode() + b" " + target + b" HTTP/1.1"
    return b"\r\n".join(
        [first, *kept, b"content-length: %d" % size, b"connection: close", b"", b""]
    )


class _Answer:
    """What httptools calls while it reads an answer."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.parts: list[bytes] = []
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True


async def _read_answer(reader: asyncio.StreamReader) -> Handed:
    answer = _Answer()
    parser = HttpResponseParser(answer)
    while not answer.is_whole:
        part = await reader.read(65536)
        if not part:
            raise PeerGoneError
        parser.feed_data(part)
    kept = [
        item
        for item in answer.headers
        if item[0] not in {b"connection", b"transfer-encoding", b"content-length", b"date"}
    ]
    return Handed(parser.get_status_code(), kept, b"".join(answer.parts))
