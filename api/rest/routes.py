"""Cube's other REST routes: `sql`, `dry-run`, `meta`, the health checks; and the SQL door."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from api.asgi import wait_gone
from api.gateway import Asker, Gateway
from api.query_log import QueryRecord
from api.rest.answer import describe_pivot, describe_query
from api.rest.meta import encode_meta
from api.rest.request import LoadRequest, read_request
from api.rest.sql_query import answer_sql, describe_views
from semantic.compile.compiled import CompiledQuery
from semantic.errors import QuerySyntaxError
from semantic.query.context import SecurityContext

BASE = "/cubejs-api/v1"
FLAG_VALUES = frozenset({"", "true", "1"})


def build_routes(gateway: Gateway) -> APIRouter:
    """Return the routes; `load` is answered in front of them."""
    router = APIRouter()
    _add_cube_routes(router, gateway)
    _add_sql_routes(router, gateway)
    _add_metrics_route(router, gateway)
    return router


def _add_cube_routes(router: APIRouter, gateway: Gateway) -> None:
    @router.api_route(f"{BASE}/sql", methods=["GET", "POST"], summary="The SQL of a query")
    async def sql(request: Request) -> Response:
        context, asked = await _read(request, gateway)
        now = datetime.now(UTC)
        described = [
            _describe_sql(await asyncio.to_thread(gateway.layer.compile, query, context, now=now))
            for query in asked.asked.queries
        ]
        return _json(described[0] if asked.asked.kind == "regularQuery" else described)

    @router.api_route(f"{BASE}/dry-run", methods=["GET", "POST"], summary="Check a query")
    async def dry_run(request: Request) -> Response:
        context, asked = await _read(request, gateway)
        now = datetime.now(UTC)
        for query in asked.asked.queries:
            await asyncio.to_thread(gateway.layer.compile, query, context, now=now)
        queries = [
            describe_query(query, asked.cache_mode, now=now) for query in asked.asked.queries
        ]
        return _json(
            {
                "queryType": asked.asked.kind,
                "normalizedQueries": queries,
                "queryOrder": [
                    {
                        item["id"]: "desc" if item["desc"] else "asc"
                        for item in query.get("order", ())
                    }
                    for query in queries
                ],
                "transformedQueries": [],
                "pivotQuery": describe_pivot(asked.asked, queries),
            }
        )

    @router.get(f"{BASE}/meta", summary="The model that the caller may see")
    async def meta(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        body = encode_meta(
            gateway.layer.visible(context),
            gateway.layer.catalog,
            extended=_flag(request, "extended"),
            only_views=_flag(request, "onlyViews"),
        )
        return Response(body, media_type="application/json")


def _add_sql_routes(router: APIRouter, gateway: Gateway) -> None:
    @router.post("/ducat/v1/sql", summary="Answer a SELECT over a view")
    async def sql_query(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        text, timezone = _read_sql(await request.body())
        gone = partial(wait_gone, request.receive)
        asker = Asker(context, "sql", request.scope["ducat.request_id"], gone)
        asked = QueryRecord(datetime.now(UTC), asker.request_id, context.user, "sql")

        def work(cancelled: threading.Event) -> tuple[bytes, QueryRecord]:
            answer = answer_sql(
                gateway.layer,
                text,
                context,
                now=asked.time,
                timezone=timezone,
                cancelled=cancelled,
            )
            return answer, replace(asked, snapshot=gateway.layer.state().snapshot)

        answer = await gateway.run(work, asked, asker)
        return Response(answer, media_type="application/json")

    @router.get("/ducat/v1/sql/meta", summary="The views and columns that SQL may name")
    async def sql_meta(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        body = await asyncio.to_thread(describe_views, gateway.layer, context)
        return Response(body, media_type="application/json")


def _add_metrics_route(router: APIRouter, gateway: Gateway) -> None:
    @router.get("/metrics", summary="Metrics in Prometheus' text format")
    async def metrics() -> Response:
        page = await asyncio.to_thread(gateway.metrics.render)
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _read(request: Request, gateway: Gateway) -> tuple[SecurityContext, LoadRequest]:
    context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
    body = await request.body()
    return context, read_request(request.method, request.scope["query_string"], body)


def _describe_sql(compiled: CompiledQuery) -> dict[str, Any]:
    described = {
        "sql": [compiled.sql, list(compiled.values)],
        "aliasNameToMember": {column.name: column.member for column in compiled.columns},
        "memberNames": [column.member for column in compiled.columns],
        "dataSource": "default",
        "external": False,
    }
    return {"sql": described, "dataSource": "default"}


def _read_sql(body: bytes) -> tuple[str, str]:
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as malformed:
        raise QuerySyntaxError(f"the body is not JSON: {malformed}") from malformed
    if not isinstance(raw, dict) or not isinstance(raw.get("sql"), str):
        raise QuerySyntaxError(
            'the body is not a JSON object with a text "sql"',
            suggestion='send {"sql": "SELECT ..."}',
        )
    unknown = sorted(set(raw) - {"sql", "timezone"})
    if unknown:
        raise QuerySyntaxError(f'"{unknown[0]}" is not allowed: a request has sql and timezone')
    timezone = raw.get("timezone") or "UTC"
    if not isinstance(timezone, str):
        raise QuerySyntaxError('"timezone" is the name of a time zone, such as "America/New_York"')
    return raw["sql"], timezone


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name)
    if value is None or value == "false":
        return False
    if value in FLAG_VALUES:
        return True
    raise QuerySyntaxError(f'"{name}" is true or false, not "{value[:100]}"')


def _json(body: dict[str, Any] | list[dict[str, Any]]) -> Response:
    return Response(orjson.dumps(body, default=str), media_type="application/json")
