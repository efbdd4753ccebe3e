"""`/cubejs-api/v1/load`, as a bare ASGI app: the path that dashboards take thousands of times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from api.asgi import read_body, send_bytes, wait_gone
from api.gateway import Asker, Gateway
from api.members import Model
from api.rest.answer import encode_load, encode_part, encode_parts
from api.rest.request import LoadRequest, read_request
from semantic.engine.result import Result
from semantic.errors import SnapshotError
from semantic.query.query import Query

ATTEMPTS: Final = 3


class LoadApp:
    """Answers GET and POST; anything else is refused."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = self._gateway.authenticator.authenticate(scope["ducat.headers"])
        body = await read_body(receive)
        request = read_request(scope["method"], scope["query_string"], body)
        request.check_kind()
        asker = Asker(context, "rest", scope["ducat.request_id"], partial(wait_gone, receive))
        layer = self._gateway.layer
        model = Model(layer.catalog, layer.visible(context))
        now = datetime.now(UTC)
        if request.asked.kind != "regularQuery":
            await send_bytes(send, await self._load_all(request, asker, model, now))
            return
        answer = await self._gateway.load(
            request.query,
            asker,
            lambda result: encode_load(result, request, model, now=now),
            now=now,
        )
        await send_bytes(send, answer)

    async def _load_all(
        self, request: LoadRequest, asker: Asker, model: Model, now: datetime
    ) -> bytes:
        """Answer several queries, all from the same tables: their answers will be compared.

        Raises:
            SnapshotError: new tables came into service each time while the queries ran.
        """
        for _ in range(ATTEMPTS):
            answers: list[bytes] = []
            queries: list[Query] = []
            snapshots: set[str] = set()
            for place, query in enumerate(request.asked.queries):
                answer, asked, snapshot = await self._gateway.load(
                    query,
                    asker,
                    partial(_encode, request=request, place=place, model=model, now=now),
                    now=now,
                )
                answers.append(answer)
                queries.append(asked)
                snapshots.add(snapshot)
            if len(snapshots) == 1:
                return encode_parts(answers, queries, request, now=now)
        raise SnapshotError(
            "new tables came into service while the queries ran", suggestion="ask again"
        )


def _encode(
    result: Result, *, request: LoadRequest, place: int, model: Model, now: datetime
) -> tuple[bytes, Query, str]:
    answer = encode_part(result, request, place, model, now=now)
    return answer, result.query, result.state.snapshot
