"""Every route that is not on the hot path, behind FastAPI. Imported late: see `lazy.py`."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from api.errors import MethodError, NoRouteError, error_body, error_headers, face_of, present
from api.gateway import Gateway
from api.graphql.routes import build_routes as build_graphql
from api.landing import render_landing
from api.openapi import build_document
from api.rest.routes import build_routes as build_rest
from semantic.errors import DucatError


def build_routes_app(gateway: Gateway) -> ASGIApp:
    """Return the FastAPI app of these routes."""
    app = FastAPI(title="Ducat", docs_url=None, redoc_url=None)
    app.openapi = build_document  # type: ignore[method-assign]
    app.include_router(build_rest(gateway))
    app.include_router(build_graphql(gateway))

    @app.get("/", include_in_schema=False)
    async def landing() -> Response:
        page = await asyncio.to_thread(render_landing, gateway.layer)
        return Response(page, media_type="text/html; charset=utf-8")

    @app.exception_handler(Exception)
    async def failed(request: Request, failure: Exception) -> Response:
        error = present(failure)
        if isinstance(failure, HTTPException):
            allowed = (failure.headers or {}).get("Allow")
            error = (
                NoRouteError(f"{request.method} {request.url.path}: {failure.detail}")
                if allowed is None
                else MethodError(request.method, tuple(allowed.split(", ")))
            )
        body = orjson.dumps(error_body(error, request.scope.get("ducat.request_id")))
        status = (
            failure.status_code if isinstance(failure, HTTPException) else face_of(error).status
        )
        return Response(body, status, headers=error_headers(error), media_type="application/json")

    app.add_exception_handler(HTTPException, failed)
    app.add_exception_handler(DucatError, failed)
    return app
