"""What one caller may take of a server that others use, too: so many queries at once, so many a minute.

A caller is a user, whichever token or door it comes with; a person for whom the service user speaks
is a caller of its own. The rate is a bucket of a minute's queries that fills evenly: a dashboard may
ask its dozen at once.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from api.errors import CallerLimitError

REMEMBERED: Final = 10_000
MINUTE: Final = 60.0


@dataclass(slots=True)
class _Caller:
    running: int
    tokens: float
    seen: float


class Callers:
    """Counts the queries of each caller. For one event loop."""

    def __init__(
        self, concurrency: int, per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._concurrency = concurrency
        self._per_minute = per_minute
        self._clock = clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    @contextmanager
    def enter(self, user: str) -> Iterator[None]:
        """Count one query of a user while the block runs.

        Raises:
            CallerLimitError: the user has as many queries as one caller may.
        """
        caller = self._find(user)
        self._check(caller)
        self._take(caller)
        caller.running += 1
        try:
            yield
        finally:
            caller.running -= 1

    def count(self, user: str) -> None:
        """Count a query of a user that takes no time.

        Raises:
            CallerLimitError: the user has as many queries as one caller may.
        """
        caller = self._find(user)
        self._check(caller)
        self._take(caller)

    def _check(self, caller: _Caller) -> None:
        if caller.running >= self._concurrency:
            raise CallerLimitError(
                f"{caller.running} queries of yours run or wait already",
                suggestion="ask again when some of them are answered",
            )

    def _take(self, caller: _Caller) -> None:
        if not self._per_minute:
            return
        now = self._clock()
        filled = caller.tokens + (now - caller.seen) * self._per_minute / MINUTE
        caller.tokens, caller.seen = min(float(self._per_minute), filled), now
        if caller.tokens < 1:
            wait = math.ceil((1 - caller.tokens) * MINUTE / self._per_minute)
            raise CallerLimitError(
                f"you may ask {self._per_minute} queries in a minute",
                suggestion=f"ask again in {wait} seconds",
                retry_after=wait,
            )
        caller.tokens -= 1

    def _find(self, user: str) -> _Caller:
        found = self._callers.get(user)
        if found is None:
            found = _Caller(0, float(self._per_minute), self._clock())
            self._callers[user] = found
            self._forget()
        self._callers.move_to_end(user)
        return found

    def _forget(self) -> None:
        """Forget whoever has not asked for longest, but never one whose queries run."""
        if len(self._callers) <= REMEMBERED:
            return
        idle = next((name for name, one in self._callers.items() if not one.running), None)
        if idle is not None:
            del self._callers[idle]
