"""The one place where the metrics server is put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from api.asgi import Front
from api.encode import warm_up
from api.errors import NoRouteError, error_body, face_of, present
from api.gateway import Gateway
from api.graphql.routes import build_routes as build_graphql
from api.landing import render_landing
from api.mcp.door import LazyMcpDoor
from api.reload import ModelWatcher
from api.rest.load import LoadApp
from api.rest.routes import BASE
from api.rest.routes import build_routes as build_rest
from semantic.errors import DucatError
from semantic.project import Project
from semantic.service import SemanticLayer
from semantic.settings import Settings


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
    agents = LazyMcpDoor(gateway)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = ModelWatcher(layer, project, gateway.metrics) if project is not None else None
        await asyncio.to_thread(warm_up)
        if watcher is not None:
            watcher.start()
        try:
            yield
        finally:
            if watcher is not None:
                watcher.stop()
            await agents.close()
            await asyncio.to_thread(gateway.close)

    rest = FastAPI(title="Ducat", docs_url=None, redoc_url=None, lifespan=lifespan)
    rest.include_router(build_rest(gateway))
    rest.include_router(build_graphql(gateway))

    @rest.get("/", include_in_schema=False)
    async def landing() -> Response:
        page = await asyncio.to_thread(render_landing, layer)
        return Response(page, media_type="text/html; charset=utf-8")

    @rest.exception_handler(Exception)
    async def failed(request: Request, failure: Exception) -> Response:
        error = present(failure)
        if isinstance(failure, HTTPException):
            error = NoRouteError(f"{request.method} {request.url.path}: {failure.detail}")
        body = orjson.dumps(error_body(error, request.scope.get("ducat.request_id")))
        status = (
            failure.status_code if isinstance(failure, HTTPException) else face_of(error).status
        )
        return Response(body, status, media_type="application/json")

    rest.add_exception_handler(HTTPException, failed)
    rest.add_exception_handler(DucatError, failed)
    app: ASGIApp = Front({f"{BASE}/load": LoadApp(gateway), "/mcp": agents}, rest, gateway.metrics)
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id"],
    )
