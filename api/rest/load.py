"""`/cubejs-api/v1/load`, as a bare ASGI app: the path that dashboards take thousands of times."""

from __future__ import annotations

from functools import partial

from starlette.types import Receive, Scope, Send

from api.asgi import read_body, send_bytes, wait_gone
from api.gateway import Asker
from api.handing import hand_on, send_handed
from api.ready import ReadyAnswers
from api.rest.arrow import ArrowDoor, read_accept
from api.rest.face import RestFace
from api.rest.request import read_request
from api.rest.waiting import CONTINUE_WAIT, identify
from semantic.engine.result import Result


class LoadApp:
    """Answers GET and POST; anything else is refused."""

    def __init__(self, face: RestFace, ready: ReadyAnswers) -> None:
        self._face = face
        self._ready = ready
        self._arrow = ArrowDoor(face.gateway)
        self._patience = face.gateway.settings.continue_wait_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: with the result, or with Cube's `Continue wait`."""
        form = read_accept(scope["ducat.headers"].get("accept"))
        if form is not None:
            await self._arrow.answer(form, scope, receive, send)
            return
        context = self._face.gateway.authenticator.authenticate(scope["ducat.headers"])
        body = await read_body(receive)
        asked = scope["query_string"]
        request = read_request(scope["method"], asked, body)
        asker = Asker(context, "rest", scope["ducat.request_id"])
        results: list[Result] = []
        stamp = self._face.gateway.layer.stamp()
        key = (identify(context), body or asked)
        waiting, peers = self._face.waiting, self._face.gateway.peers
        if peers is not None and key not in waiting:
            handed = await hand_on(peers, key, scope, body, receive)
            if handed is not None:
                await send_handed(send, handed)
                return
        answer = await waiting.answer(
            key,
            partial(self._face.load, request, asker, results.append),
            patience=self._patience,
            gone=wait_gone(receive),
        )
        if answer is None and peers is not None:
            peers.hold(key)
        await send_bytes(send, CONTINUE_WAIT if answer is None else answer)
        if answer is not None and len(results) == 1 and request.cache_mode != "no-cache":
            self._ready.keep(scope, body, asker, stamp, results, answer)
