"""The one place where the metrics server is put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Protocol, cast

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from api.asgi import Front
from api.encode import warm_up
from api.gateway import Gateway
from api.health import build_health
from api.lazy import LazyApp
from api.ready import ReadyAnswers
from api.reload import ModelWatcher
from api.rest.face import RestFace
from api.rest.load import LoadApp
from semantic.project import Project
from semantic.service import SemanticLayer
from semantic.settings import Settings

BASE = "/cubejs-api/v1"
_ANSWERING_SECONDS = 0.5  # from the lifespan's start until uvicorn answers, on a busy machine


class Closeable(Protocol):
    """A door that has something to end."""

    async def close(self) -> None:
        """End it."""


def create_app(
    layer: SemanticLayer,
    settings: Settings,
    *,
    secret: str | None = None,
    project: Project | None = None,
) -> ASGIApp:
    """Return the ASGI app of one server over `layer`, which the caller closes.

    `secret` stands in for a missing `DUCAT_JWT_SECRET`. With `project` its model files are watched
    and a changed model is put in service without a restart.

    Raises:
        SettingsError: there is no secret to check tokens with, or it is too short.
    """
    return build_app(Gateway(layer, settings, secret=secret), project)


def build_app(gateway: Gateway, project: Project | None = None) -> ASGIApp:
    """Return the ASGI app over a gateway, which it closes when its lifespan ends."""
    layer, settings = gateway.layer, gateway.settings
    agents = LazyApp(lambda: _make("api.mcp.server", "McpDoor", gateway))
    routes = LazyApp(lambda: _make("api.routes", "build_routes_app", gateway))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        watcher = ModelWatcher(layer, project, gateway.metrics) if project is not None else None
        await asyncio.to_thread(warm_up)
        if watcher is not None:
            watcher.start()
        warming = asyncio.create_task(_warm_up(routes))
        wire = await _open_wire(gateway) if settings.postgres_port is not None else None
        flight = await _open_flight(gateway) if settings.flight_port is not None else None
        try:
            yield
        finally:
            await warming
            if flight is not None:
                await flight.close()
            if wire is not None:
                await wire.close()
            if watcher is not None:
                watcher.stop()
            if agents.made is not None:
                await cast("Closeable", agents.made).close()
            await asyncio.to_thread(gateway.close)

    ready = ReadyAnswers(gateway)
    gateway.repeater = ready.repeated
    load = LoadApp(RestFace(gateway), ready)
    hot: dict[str, ASGIApp] = {f"{BASE}/load": load, f"{BASE}/subscribe": load, "/mcp": agents}
    guard = gateway.authenticator
    app: ASGIApp = Front(
        hot | build_health(gateway),
        routes,
        gateway.metrics,
        lifespan,
        guard.prepare if guard.key_set is not None else None,
        gateway.tracing,
        ready,
    )
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["accept", "authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id"],
    )


async def _warm_up(routes: LazyApp) -> None:
    """Import the frameworks once the server answers, before the first request that needs them."""
    await asyncio.sleep(_ANSWERING_SECONDS)
    await routes.warm_up()


async def _open_wire(gateway: Gateway) -> Closeable:
    """Listen for Postgres clients; imported only where they are wanted."""
    from api.postgres.start import open_server  # noqa: PLC0415

    return await open_server(gateway)


async def _open_flight(gateway: Gateway) -> Closeable | None:
    """Listen for Flight SQL clients; imported only where they are wanted."""
    from api.flight.start import open_server  # noqa: PLC0415

    return await open_server(gateway)


def _make(module: str, name: str, gateway: Gateway) -> ASGIApp:
    app: ASGIApp = getattr(import_module(module), name)(gateway)
    return app
