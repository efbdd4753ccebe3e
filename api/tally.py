"""Counts and writes down answers that repeat: for many at once, within a twentieth of a second.

To count one and to write its line costs more than to send it. So both wait until there are some, or
`SECONDS` have passed; then all lines go to the query log by one call. What a `kill -9` can lose is the
lines of that time.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Final

from api.gateway import Gateway
from api.metrics import BUCKETS
from api.query_log import FaceName
from api.state import format_instant

SECONDS: Final = 0.05
MOST: Final = 256


class ReadyTally:
    """The repeated answers of one door. For one event loop."""

    __slots__ = ("_came_ready", "_gateway", "_lines", "_queries", "_second", "_seconds", "_taken",
                 "_timer")  # fmt: skip

    def __init__(self, gateway: Gateway, face: FaceName) -> None:
        """Count nothing yet; what waits when the gateway closes is written then."""
        metrics = gateway.metrics
        self._gateway = gateway
        self._queries = metrics.queries.labels(face, "ok")
        self._seconds = metrics.query_seconds.labels(face)
        self._came_ready = metrics.cached.labels("ready")
        self._lines: list[bytes] = []
        self._taken: list[float] = []
        self._timer: asyncio.TimerHandle | None = None
        self._second = (0, b"")
        gateway.flushes.append(self.flush)

    def add(self, line: bytes, seconds: float) -> None:
        """Count one answer, and keep its line."""
        self._lines.append(line)
        self._taken.append(seconds)
        if len(self._lines) >= MOST:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SECONDS, self.flush)

    def flush(self) -> None:
        """Count and write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._lines:
            return
        lines, taken = self._lines, self._taken
        self._lines, self._taken = [], []
        self._queries.inc(len(lines))
        self._came_ready.inc(len(lines))
        short = [seconds for seconds in taken if seconds <= BUCKETS[0]]
        self._seconds.observe_short(len(short), sum(short))
        if len(short) < len(taken):
            for seconds in taken:
                if seconds > BUCKETS[0]:
                    self._seconds.observe(seconds)
        self._gateway.append_log(b"".join(lines))

    def write_now(self) -> bytes:
        """Return the time as the query log writes it; its second is written once."""
        now = time.time()
        second = int(now)
        if self._second[0] != second:
            text = format_instant(datetime.fromtimestamp(second, UTC))
            self._second = (second, text.partition(".")[0].encode())
        return b"%s.%03dZ" % (self._second[1], int((now - second) * 1000))
