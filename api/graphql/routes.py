"""GraphQL over HTTP and WebSocket, at `/graphql` and where Cube has it, and the explorer page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request, Response, WebSocket

from api.asgi import wait_gone
from api.gateway import Asker, Gateway
from api.graphql.documents import GraphQLRequest, read_body, read_parameters
from api.graphql.execute import OK, GraphQLFace
from api.graphql.live import LiveSchema, LiveView
from api.graphql.page import read_page

PATHS = ("/graphql", "/cubejs-api/graphql")


def build_routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this door."""
    router = APIRouter()
    face = GraphQLFace(gateway)
    page = read_page()
    origins = [item.strip() for item in gateway.settings.cors_origins.split(",")]
    view = LiveView(gateway, LiveSchema(gateway, face), tuple(item for item in origins if item))

    answer = partial(_answer, gateway, face)

    async def post(request: Request) -> Response:
        body = await request.body()
        return await answer(request, lambda: read_body(body))

    async def get(request: Request) -> Response:
        if {"query", "extensions", "documentId"} & set(request.query_params):
            await request.body()
            parameters = request.scope["query_string"]
            return await answer(request, lambda: read_parameters(parameters))
        return Response(page.html, media_type="text/html; charset=utf-8")

    async def live(websocket: WebSocket) -> None:
        await view(websocket.scope, websocket.receive, websocket.send)

    for path in PATHS:
        router.add_api_route(path, post, methods=["POST"], summary="Answer a GraphQL request")
        router.add_api_route(
            path,
            get,
            methods=["GET"],
            summary="Answer a GraphQL query, or show a page to explore GraphQL with",
        )
        router.add_api_websocket_route(path, live)

    def add_asset(name: str, kind: str, content: bytes) -> None:
        async def asset() -> Response:
            headers = {"cache-control": "max-age=3600"}
            return Response(content, media_type=kind, headers=headers)

        router.add_api_route(f"{PATHS[0]}/{name}", asset, methods=["GET"], include_in_schema=False)

    for name, (kind, content) in page.assets.items():
        add_asset(name, kind, content)
    return router


async def _answer(
    gateway: Gateway, face: GraphQLFace, request: Request, read: Callable[[], GraphQLRequest]
) -> Response:
    # Who asks comes first: a stranger learns nothing, not even what is wrong with the request.
    context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
    gone = partial(wait_gone, request.receive)
    asker = Asker(context, "graphql", request.scope["ducat.request_id"], gone)
    stamp = gateway.layer.stamp()
    status, body, results = await face.answer(read(), asker)
    ready = request.scope.get("ducat.ready")
    if status == OK and ready is not None:
        ready.keep(request.scope, await request.body(), asker, stamp, results, body)
    return Response(body, status, media_type="application/json")
