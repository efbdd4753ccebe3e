"""Cube's WebSocket protocol: requests with ids over one connection, and answers that come again.

The client says `{"authorization": token}` and hears `{"handshake": true}`. Then each message has a
`messageId`, a `method` and `params`; its answer carries the same id, a status and REST's body, and is
followed by `{"messageProcessedId": id}`. A `subscribe` is answered at once and again whenever new
tables or a new model come into service, until `{"unsubscribe": id}`. The token is checked before
every answer, so that a subscription does not outlive it.

Two habits of the real client shape this. It sends whatever it still waits for again each minute, with
the same id: a message that is in work is not begun twice, only acknowledged, which also tells the
client that the connection lives. And it does not send again after `Continue wait`: so none is sent
here, an answer comes when it is there.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never
from urllib.parse import urlsplit

import orjson
import structlog
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from api.asgi import REQUEST_ID, read_headers
from api.errors import AuthenticationError, CallerLimitError, error_body, face_of, present
from api.exact_json import read_json
from api.gateway import Asker
from api.rest.face import RestFace
from api.rest.request import LoadRequest, read_fields
from semantic.errors import DucatError, QuerySyntaxError
from semantic.query.context import SecurityContext

PATHS: Final = ("/", "/cubejs-api/v1", "/cubejs-api/v1/ws")
HANDSHAKE_SECONDS: Final = 20.0
MOST_MESSAGES: Final = 100  # in work at once on one connection, subscriptions among them
LONGEST_ID: Final = 64
OK: Final = 200
log = structlog.stdlib.get_logger("ducat.api")

Method = Literal["load", "sql", "dry-run", "meta", "subscribe"]
FIELDS: Final[dict[Method, frozenset[str]]] = {
    "load": frozenset({"query", "queryType", "cache"}),
    "subscribe": frozenset({"query", "queryType", "cache"}),
    "sql": frozenset({"query"}),
    "dry-run": frozenset({"query"}),
    "meta": frozenset({"onlyViews"}),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A request over the connection."""

    id: str | int
    method: Method
    request_id: str
    fields: dict[str, Any]


def add_live_routes(router: APIRouter, face: RestFace) -> None:
    """Add the WebSocket at the addresses that Cube's clients are given."""
    settings = face.gateway.settings
    origins = {item.strip() for item in settings.cors_origins.split(",") if item.strip()}

    async def live(websocket: WebSocket) -> None:
        headers = read_headers(websocket.scope)
        if not is_own_page(headers, origins):
            await websocket.close()  # before it was accepted: the handshake is answered 403
            return
        await websocket.accept()
        await LiveConnection(websocket, face).run()

    for path in PATHS:
        router.add_api_websocket_route(path, live)


def is_own_page(headers: dict[str, str], origins: set[str]) -> bool:
    """Whether a handshake comes from a program, from a page of this server, or from one let in."""
    origin = headers.get("origin")
    if origin is None or "*" in origins or origin in origins:
        return True
    return urlsplit(origin).netloc == headers.get("host")


@dataclass(slots=True)
class LiveConnection:
    """One client. A task for each message that is in work."""

    socket: WebSocket
    face: RestFace
    _token: str | None = None
    _work: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _live: set[str] = field(default_factory=set)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Answer messages until the client leaves; then end what is in work for it."""
        try:
            with suppress(WebSocketDisconnect, TimeoutError):
                await self._read()
        finally:
            tasks = list(self._work.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.socket.application_state is WebSocketState.CONNECTED:
                await self._close()

    async def _read(self) -> None:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            while self._token is None:
                await self._take(await self._receive())
        while True:
            await self._take(await self._receive())

    async def _receive(self) -> str:
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        if isinstance(text, str):
            return text
        # Bytes that are no text become one that is no JSON: the message is refused as such.
        return bytes(message.get("bytes") or b"").decode(errors="replace")

    async def _take(self, text: str) -> None:
        """Begin what a message asks; what is wrong with it is answered."""
        message_id: str | int | None = None
        try:
            raw = _read_object(text)
            message_id = _read_id(raw.get("messageId"))
            if "authorization" in raw:
                await self._enter(raw)
            elif "unsubscribe" in raw:
                self._stop(_read_id(raw["unsubscribe"]))
            else:
                await self._begin(_read_message(raw))
        except DucatError as refused:
            await self._send_error(message_id, refused)

    async def _enter(self, raw: dict[str, Any]) -> None:
        token = raw["authorization"]
        if not isinstance(token, str) or set(raw) != {"authorization"}:
            raise QuerySyntaxError("Invalid authorization message format")
        await self._authenticate(token)
        self._token = token
        await self._send({"handshake": True})

    async def _authenticate(self, token: str) -> SecurityContext:
        guard = self.face.gateway.authenticator
        headers = {"authorization": token}
        await guard.prepare(headers)
        return guard.authenticate(headers)

    def _stop(self, message_id: str | int | None) -> None:
        task = self._work.pop(str(message_id), None)
        self._live.discard(str(message_id))
        if task is not None:
            task.cancel()

    async def _begin(self, message: Message) -> None:
        if self._token is None:
            raise AuthenticationError("Not authorized", suggestion="send authorization first")
        name = str(message.id)
        if name in self._work:
            if name in self._live:
                await self._send({"messageProcessedId": message.id})
            return
        if len(self._work) >= MOST_MESSAGES:
            raise CallerLimitError(
                f"{MOST_MESSAGES} messages of this connection are in work already",
                suggestion="unsubscribe from some",
            )
        task = asyncio.create_task(self._answer(message, self._token))
        self._work[name] = task
        task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._work.get(name) is task:
            del self._work[name]
            self._live.discard(name)
        failed = None if task.cancelled() else task.exception()
        if failed is not None:  # the client left while its answer was sent
            log.info("a message could not be answered", reason=repr(failed)[:300])

    async def _answer(self, message: Message, token: str) -> None:
        """Answer a message, and a subscription again at each change."""
        changes = self.face.gateway.changes
        is_live = message.method == "subscribe"
        if is_live:
            self._live.add(str(message.id))
        while True:
            seen = await changes.read() if is_live else ""
            try:
                context = await self._authenticate(token)
                body = await self._ask(message, context)
            except AuthenticationError as refused:
                await self._send_error(message.id, refused, message.request_id)
                return
            except Exception as failure:
                # The boundary of one message: whatever fails is its answer, the connection stays.
                if not isinstance(failure, DucatError):
                    log.exception("message failed", request_id=message.request_id)
                await self._send_error(message.id, failure, message.request_id)
            else:
                answer = {"messageId": message.id, "message": orjson.Fragment(body), "status": OK}
                await self._send(answer)
            await self._send({"messageProcessedId": message.id})
            if not is_live:
                return
            await changes.after(seen)

    async def _ask(self, message: Message, context: SecurityContext) -> bytes:
        face = self.face
        match message.method:
            case "load" | "subscribe":
                asker = Asker(context, "rest", message.request_id)
                return await face.load(_read_request(message), asker)
            case "sql":
                return await face.sql(_read_request(message), context)
            case "dry-run":
                return await face.dry_run(_read_request(message), context)
            case "meta":
                only_views = message.fields.get("onlyViews", False)
                if not isinstance(only_views, bool):
                    raise QuerySyntaxError('"onlyViews" is true or false')
                return face.meta(context, only_views=only_views)
            case _ as unreachable:
                assert_never(unreachable)

    async def _send_error(
        self, message_id: str | int | None, failure: Exception, request_id: str | None = None
    ) -> None:
        error = present(failure)
        body = error_body(error, request_id)
        sent = {"message": body, "status": face_of(error).status}
        await self._send(sent if message_id is None else {"messageId": message_id} | sent)

    async def _send(self, message: dict[str, Any]) -> None:
        text = orjson.dumps(message).decode()
        async with self._sending:
            await self.socket.send_text(text)

    async def _close(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):  # the client was faster
            await self.socket.close()


def _read_object(text: str) -> dict[str, Any]:
    try:
        raw = read_json(text)
    except ValueError as malformed:
        raise QuerySyntaxError(f"Invalid JSON payload: {malformed}") from malformed
    if not isinstance(raw, dict):
        raise QuerySyntaxError("Invalid message format: a message is an object")
    return raw


def _read_id(given: object) -> str | int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    if isinstance(given, str) and len(given) <= LONGEST_ID:
        return given
    raise QuerySyntaxError("messageId is a number or a short text")


def _read_message(raw: dict[str, Any]) -> Message:
    message_id = _read_id(raw.get("messageId"))
    if message_id is None:
        raise QuerySyntaxError("messageId is required")
    unknown = sorted(set(raw) - {"messageId", "requestId", "method", "params"})
    if unknown:
        raise QuerySyntaxError(f'Invalid message format: "{unknown[0][:100]}" is not allowed')
    method = raw.get("method")
    if not isinstance(method, str) or method not in FIELDS:
        raise QuerySyntaxError(
            f"Unsupported method: {str(method)[:100]}" if method else "Method is required"
        )
    fields = raw.get("params") or {}
    if not isinstance(fields, dict) or not set(fields) <= FIELDS[method]:
        raise QuerySyntaxError(
            "Invalid message format: params",
            suggestion=f"{method} has {', '.join(sorted(FIELDS[method]))}",
        )
    given = raw.get("requestId")
    request_id = uuid.uuid4().hex
    if isinstance(given, str) and REQUEST_ID.fullmatch(given):
        request_id = given
    return Message(message_id, method, request_id, fields)


def _read_request(message: Message) -> LoadRequest:
    return read_fields(dict(message.fields))
