"""Apps that are imported after the server answers: health checks and `load` need no framework.

FastAPI, GraphQL and the agents' SDK take longer to import than all the rest. They are imported in
a thread once the server listens, or by the first request that needs them, whichever is earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """An ASGI app that `make` makes when it is first needed, in a thread."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = self._app if self._app is not None else await self.warm_up()
        await app(scope, receive, send)

    @property
    def made(self) -> ASGIApp | None:
        """The app, when it was made already."""
        return self._app

    async def warm_up(self) -> ASGIApp:
        """Make the app, unless it is made, and return it."""
        async with self._making:
            if self._app is None:
                self._app = await asyncio.to_thread(self._make)
            return self._app
