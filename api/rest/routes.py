"""Cube's other REST routes: `sql`, `dry-run`, `meta`, SQL, jobs; and the SQL door of the plug-in."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.asgi import wait_gone
from api.errors import shorten
from api.gateway import Asker, Gateway
from api.handing import hand_on, render_metrics
from api.query_log import QueryRecord, find_actor, name_filters, name_members
from api.rest.cube_sql import (
    CubeSqlRequest,
    encode_lines,
    read_conversion,
    read_cube_sql,
)
from api.rest.face import RestFace
from api.rest.jobs import answer_jobs
from api.rest.live import add_live_routes
from api.rest.request import read_fields, read_raw, read_request
from api.rest.sql_answer import SqlAnswer, SqlFace
from api.rest.sql_query import describe_views, encode_answer, select
from api.rest.waiting import CONTINUE_WAIT, Waiting, identify
from api.scopes import demand_sql
from semantic.compile.compiled import CompiledQuery
from semantic.engine.result import Result
from semantic.errors import QueryError, QuerySyntaxError, UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.sql.parse import parse_sql
from semantic.query.sql.statement import SqlQuery
from semantic.service import SemanticLayer

BASE = "/cubejs-api/v1"
FLAG_VALUES = frozenset({"", "true", "1"})


def build_routes(gateway: Gateway) -> APIRouter:
    """Return the routes; `load` and `subscribe` are answered in front of them."""
    router = APIRouter()
    face = RestFace(gateway)
    _add_cube_routes(router, face)
    _add_cube_sql_routes(router, face)
    _add_sql_routes(router, gateway)
    _add_metrics_route(router, gateway)
    add_live_routes(router, face)
    return router


def _add_cube_routes(router: APIRouter, face: RestFace) -> None:
    gateway = face.gateway

    @router.api_route(f"{BASE}/sql", methods=["GET", "POST"], summary="The SQL of a query")
    async def sql(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        raw = read_raw(request.method, request.scope["query_string"], await request.body())
        form = raw.pop("format", "rest")
        if form == "sql":
            return await _explain_sql(raw, face, context)
        if form not in ("rest", "arrow"):
            raise QuerySyntaxError(f'"format" is rest, arrow or sql, not {str(form)[:100]!r}')
        # Arrow's answers have no limit but their own, so their SQL is another.
        return _ready(await face.sql(read_fields(raw, unlimited=form == "arrow"), context))

    @router.api_route(f"{BASE}/dry-run", methods=["GET", "POST"], summary="Check a query")
    async def dry_run(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        body = await request.body()
        asked = read_request(request.method, request.scope["query_string"], body)
        return _ready(await face.dry_run(asked, context))

    @router.get(f"{BASE}/meta", summary="The model that the caller may see")
    async def meta(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        extended, only_views = _flag(request, "extended"), _flag(request, "onlyViews")
        return _ready(face.meta(context, extended=extended, only_views=only_views))

    @router.post(f"{BASE}/pre-aggregations/jobs", summary="The state of jobs: there are none")
    async def jobs(request: Request) -> Response:
        gateway.authenticator.authenticate(request.scope["ducat.headers"])
        return _ready(orjson.dumps(answer_jobs(await request.body())))


def _add_cube_sql_routes(router: APIRouter, face: RestFace) -> None:
    gateway = face.gateway
    running: Waiting[SqlAnswer] = Waiting()
    sql_face = SqlFace(gateway)

    @router.post(f"{BASE}/cubesql", summary="Answer a SELECT with lines of JSON")
    async def cube_sql(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        body = await request.body()
        asked = read_cube_sql(body)
        asker = Asker(context, "sql", request.scope["ducat.request_id"])
        key, peers = (identify(context), body), gateway.peers
        if key not in running:
            handed = await hand_on(peers, key, request.scope, body, request.receive)
            if handed is not None:
                return Response(handed.body, handed.status, media_type="application/json")
        answer = await running.answer(
            key,
            partial(_select, asked, asker, gateway, sql_face),
            patience=gateway.settings.continue_wait_seconds if asked.polls else None,
            gone=wait_gone(request.receive),
        )
        if answer is None:
            if peers is not None:
                peers.hold(key)
            return _ready(CONTINUE_WAIT)
        # The first line is made before the status is sent: what can fail has failed by then.
        lines = encode_lines(answer.table, answer.trace.built_at)
        first = await asyncio.to_thread(next, lines)
        return StreamingResponse(chain([first], lines), media_type="application/json")

    @router.post(f"{BASE}/convert-query", summary="The query JSON that asks what a SELECT asks")
    async def convert_query(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        text = read_conversion(await request.body())
        try:
            document = await gateway.think(context.user, partial(sql_face.convert, text, context))
            converted: dict[str, Any] = {"status": "ok", "query": document}
        except (QueryError, UnsupportedError) as refused:
            converted = {"status": "error", "error": shorten(refused.message)}
        return _ready(orjson.dumps(converted))


async def _select(
    asked: CubeSqlRequest, asker: Asker, gateway: Gateway, sql_face: SqlFace
) -> SqlAnswer:
    """Ask what a statement asks, and record it."""
    context = asker.context
    record = QueryRecord(
        datetime.now(UTC), asker.request_id, context.user, "sql", via=find_actor(context.claims)
    )

    def work(cancelled: threading.Event) -> tuple[SqlAnswer, QueryRecord]:
        found = sql_face.answer(asked, context, now=record.time, cancelled=cancelled)
        trace = found.trace
        for outcome in trace.outcomes:
            gateway.metrics.cached.labels(outcome).inc()
        return found, replace(
            record,
            members=trace.members,
            filtered_by=trace.filtered_by,
            rows=found.table.num_rows,
            snapshot=trace.snapshot,
        )

    return await gateway.run(work, record, asker)


async def _explain_sql(raw: dict[str, Any], face: RestFace, context: SecurityContext) -> Response:
    """Answer `sql?format=sql`: the SQL that answers a SELECT."""
    layer = face.gateway.layer
    demand_sql(face.gateway.settings, context)
    text = raw.pop("query", None)
    raw.pop("disable_post_processing", None)  # nothing is computed after the query
    if raw or not isinstance(text, str) or not text.strip():
        raise QuerySyntaxError("with format=sql a request has query, a SELECT statement")
    try:
        compiled = await face.gateway.think(context.user, partial(_compile, text, context, layer))
    except (QueryError, UnsupportedError) as refused:
        described: dict[str, Any] = {"status": "error", "error": shorten(refused.message)}
    else:
        written = [compiled.sql, list(compiled.values)]
        described = {"status": "ok", "sql": written, "query_type": "regular"}
    return _ready(orjson.dumps({"sql": described}, default=str))


def _compile(text: str, context: SecurityContext, layer: SemanticLayer) -> CompiledQuery:
    asked = _parse(text, context, layer)
    if asked.kind == "row_count":
        raise UnsupportedError("the rows of a query are counted after it is answered")
    return layer.compile(asked.query, context, now=datetime.now(UTC))


def describe_question(record: QueryRecord, asked: SqlQuery, result: Result) -> QueryRecord:
    """Return the record with what a SELECT asked and got."""
    return replace(
        record,
        members=name_members(asked.query),
        filtered_by=name_filters(asked.query),
        queries=(asked.query,),
        rows=result.table.num_rows,
        snapshot=result.state.snapshot,
    )


def _parse(
    text: str, context: SecurityContext, layer: SemanticLayer, timezone: str = "UTC"
) -> SqlQuery:
    return parse_sql(text, layer.catalog, visible=layer.visible(context), timezone=timezone)


def _add_sql_routes(router: APIRouter, gateway: Gateway) -> None:
    @router.post("/ducat/v1/sql", summary="Answer a SELECT over a view")
    async def sql_query(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        text, timezone = _read_sql(await request.body())
        gone = partial(wait_gone, request.receive)
        asker = Asker(context, "sql", request.scope["ducat.request_id"], gone)
        via = find_actor(context.claims)
        asked = QueryRecord(datetime.now(UTC), asker.request_id, context.user, "sql", via=via)

        def work(cancelled: threading.Event) -> tuple[bytes, QueryRecord]:
            found = select(
                gateway.layer,
                text,
                context,
                now=asked.time,
                timezone=timezone,
                cancelled=cancelled,
            )
            gateway.metrics.cached.labels(found[1].cache).inc()
            answer = encode_answer(*found, gateway.layer.catalog)
            return answer, replace(describe_question(asked, *found), size=len(answer))

        answer = await gateway.run(work, asked, asker)
        return Response(answer, media_type="application/json")

    @router.get("/ducat/v1/sql/meta", summary="The views and columns that SQL may name")
    async def sql_meta(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        body = await asyncio.to_thread(describe_views, gateway.layer, context)
        return Response(body, media_type="application/json")


def _add_metrics_route(router: APIRouter, gateway: Gateway) -> None:
    @router.get("/metrics", summary="Metrics in Prometheus' text format")
    async def metrics(request: Request) -> Response:
        page = await render_metrics(gateway, request.scope)
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")


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


def _ready(body: bytes) -> Response:
    return Response(body, media_type="application/json")
