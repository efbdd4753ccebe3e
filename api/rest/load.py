"""`/cubejs-api/v1/load`, as a bare ASGI app: the path that dashboards take thousands of times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from starlette.types import Receive, Scope, Send

from api.asgi import read_body, send_bytes, wait_gone
from api.gateway import Asker, Gateway
from api.rest.answer import encode_load
from api.rest.request import read_request


class LoadApp:
    """Answers GET and POST; anything else is refused."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = self._gateway.authenticator.authenticate(scope["ducat.headers"])
        body = await read_body(receive)
        request = read_request(scope["method"], scope["query_string"], body)
        asker = Asker(context, "rest", scope["ducat.request_id"], partial(wait_gone, receive))
        catalog = self._gateway.layer.catalog
        now = datetime.now(UTC)
        answer = await self._gateway.load(
            request.query,
            asker,
            lambda result: encode_load(result, request, catalog, now=now),
            now=now,
        )
        await send_bytes(send, answer)
