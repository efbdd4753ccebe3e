"""Stops queries that run too long, or whose caller went away.

One thread watches all running queries; it sleeps when there have been none for a while, so that a
stream of short queries need not wake it for each. A query is taken off the
watch before its connection is used again, so a late interrupt never hits another query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol

_PAUSE: Final = 0.02
_LINGERING: Final = 2.0  # seconds
Reason = Literal["timeout", "cancelled"]


class Interruptible(Protocol):
    """Something that runs a query and can be told to stop."""

    def interrupt(self) -> None:
        """Stop what runs."""


@dataclass(slots=True)
class Watch:
    """One running query; `reason` says why it was stopped, when it was."""

    target: Interruptible
    deadline: float
    cancelled: threading.Event | None
    reason: Reason | None = None


class Watchdog:
    """Watches running queries from a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: list[Watch] = []
        self._closed = False
        self._is_asleep = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(
        self, target: Interruptible, seconds: float, cancelled: threading.Event | None
    ) -> Iterator[Watch]:
        """Interrupt `target` after `seconds`, or soon after `cancelled` is set, until the end."""
        watch = Watch(target, time.monotonic() + seconds, cancelled)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="ducat-query-deadlines", daemon=True
                )
                self._thread.start()
            self._watches.append(watch)
            if self._is_asleep:
                self._changed.notify()
        try:
            yield watch
        finally:
            with self._changed:
                self._watches.remove(watch)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        busy_until = 0.0
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._watches:
                    busy_until = now + _LINGERING
                for watch in self._watches:
                    if watch.cancelled is not None and watch.cancelled.is_set():
                        watch.reason = "cancelled"
                    elif now >= watch.deadline:
                        watch.reason = "timeout"
                    if watch.reason is not None:
                        # Again each time: a query that had not begun yet did not notice.
                        watch.target.interrupt()
                self._is_asleep = now >= busy_until
                self._changed.wait(None if self._is_asleep else _PAUSE)
                self._is_asleep = False
