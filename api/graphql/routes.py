"""GraphQL over HTTP, at `/graphql` and where Cube has it, and the explorer page."""

from __future__ import annotations

from functools import partial
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from api.asgi import wait_gone
from api.gateway import Asker, Gateway
from api.graphql.execute import GraphQLFace, read_graphql

PATHS = ("/graphql", "/cubejs-api/graphql")


def build_routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this door."""
    router = APIRouter()
    face = GraphQLFace(gateway)
    page = files("api.graphql").joinpath("explorer.html").read_bytes()

    async def answer(request: Request) -> Response:
        context = gateway.authenticator.authenticate(request.scope["ducat.headers"])
        asked = read_graphql(await request.body())
        gone = partial(wait_gone, request.receive)
        asker = Asker(context, "graphql", request.scope["ducat.request_id"], gone)
        status, body = await face.answer(asked, asker)
        return Response(body, status, media_type="application/json")

    async def explore() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    for path in PATHS:
        router.add_api_route(path, answer, methods=["POST"], summary="Answer a GraphQL request")
    router.add_api_route(
        PATHS[0], explore, methods=["GET"], summary="A page to explore GraphQL with"
    )
    return router
