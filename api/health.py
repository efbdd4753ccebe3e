"""Health checks, as bare ASGI apps: whether the process runs, and whether it can answer."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from api.asgi import read_body, send_bytes
from api.errors import MethodError
from api.gateway import Gateway
from semantic.errors import DucatError

HEALTHY: Final = b'{"health":"HEALTH"}'
OUTDATED: Final = (
    b'{"health":"HEALTH","model":"the changed model is refused; the one before serves"}'
)
STOPPING: Final = b'{"health":"DOWN","code":"too_busy","error":"the server is stopping"}'
UNAVAILABLE: Final = 503


def build_health(gateway: Gateway) -> dict[str, ASGIApp]:
    """Return what answers `/livez` and `/readyz`."""

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        await _check_method(scope, receive)
        await send_bytes(send, HEALTHY)

    async def ready(scope: Scope, receive: Receive, send: Send) -> None:
        await _check_method(scope, receive)
        if gateway.is_stopping:
            await send_bytes(send, STOPPING, status=UNAVAILABLE)
            return
        try:
            await asyncio.to_thread(gateway.layer.state)
        except DucatError as reason:
            down = {"health": "DOWN", "code": reason.code, "error": reason.message}
            await send_bytes(send, orjson.dumps(down), status=UNAVAILABLE)
            return
        is_current = gateway.metrics.has_current_model
        await send_bytes(send, HEALTHY if is_current else OUTDATED)

    return {"/livez": live, "/readyz": ready}


async def _check_method(scope: Scope, receive: Receive) -> None:
    if scope["method"] not in {"GET", "HEAD"}:
        raise MethodError(scope["method"], ("GET",))
    await read_body(receive)
