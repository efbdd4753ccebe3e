"""When answers may have changed: new tables in service, or a new model.

Live doors (GraphQL subscriptions, Cube's WebSocket) wait here. However many wait, the served
snapshot is looked at once a second, and not at all while nobody waits.
"""

from __future__ import annotations

import asyncio
from typing import Final

from semantic.errors import SnapshotError
from semantic.service import SemanticLayer

SECONDS: Final = 1.0
NOTHING: Final = "nothing"


class Changes:
    """Tells waiters of one event loop when what is in service is another than they saw."""

    def __init__(self, layer: SemanticLayer, *, seconds: float = SECONDS) -> None:
        self._layer = layer
        self._seconds = seconds
        self._waiting: set[asyncio.Future[str]] = set()
        self._watcher: asyncio.Task[None] | None = None

    async def read(self) -> str:
        """Return what is in service now: a text that is another whenever answers may be."""
        return await asyncio.to_thread(self._read)

    async def after(self, seen: str) -> str:
        """Return what is in service as soon as it is another than `seen`."""
        found = await self.read()
        while found == seen:
            found = await self._wait(found)
        return found

    async def _wait(self, seen: str) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch(seen))
        try:
            return await future
        finally:
            self._waiting.discard(future)

    async def _watch(self, seen: str) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._seconds)
                found = await self.read()
                if found != seen:
                    seen = found
                    for future in self._waiting:
                        if not future.done():
                            future.set_result(found)
        finally:
            self._watcher = None

    def _read(self) -> str:
        try:
            snapshot = self._layer.state().snapshot
        except SnapshotError:
            snapshot = NOTHING
        return f"{self._layer.catalog.version}/{snapshot}"
