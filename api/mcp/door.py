"""`/mcp` before its first request: the SDK takes a second to import, and most servers never need it."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from api.gateway import Gateway

if TYPE_CHECKING:
    from api.mcp.server import McpDoor


class LazyMcpDoor:
    """An ASGI app that imports what answers at its first request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._door: McpDoor | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        async with self._opening:
            if self._door is None:
                module = await asyncio.to_thread(import_module, "api.mcp.server")
                door: McpDoor = module.McpDoor(self._gateway)
                self._door = door
        await self._door(scope, receive, send)

    async def close(self) -> None:
        """End what runs."""
        if self._door is not None:
            await self._door.close()
