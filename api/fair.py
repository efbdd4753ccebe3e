"""Places for work, handed out fairly: nobody waits behind the whole queue of somebody else.

A free place goes to the caller who has the fewest running, of equal ones to who has waited longest for a
turn. So a script with thirty queries in the queue costs a person who asks one at most the end of one query.
Within a caller it is first come, first served.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class FairPlaces:
    """A number of places. For one event loop."""

    __slots__ = ("_free", "_running", "_waiting")

    def __init__(self, places: int) -> None:
        self._free = places
        self._running: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def acquire(self, caller: str) -> None:
        """Wait for a place; one that was given up while waiting goes to the next."""
        if self._free and not self._waiting:
            self._take(caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(caller)  # it was given in the same moment
            else:
                self._forget(caller, turn)
            raise

    def release(self, caller: str) -> None:
        """Give a place back."""
        self._free += 1
        left = self._running[caller] - 1
        if left:
            self._running[caller] = left
        else:
            del self._running[caller]
        while self._free and self._waiting:
            self._give()

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._running[caller] = self._running.get(caller, 0) + 1

    def _give(self) -> None:
        chosen = min(self._waiting, key=lambda caller: self._running.get(caller, 0))
        turns = self._waiting[chosen]
        turn = turns.popleft()
        if turns:
            self._waiting.move_to_end(chosen)
        else:
            del self._waiting[chosen]
        if not turn.done():  # a cancelled one takes nothing
            self._take(chosen)
            turn.set_result(None)

    def _forget(self, caller: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(caller)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[caller]
