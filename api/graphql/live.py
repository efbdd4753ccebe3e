"""Subscriptions over a WebSocket: a query whose answer comes again when what is in service changes.

The protocol (`graphql-transport-ws`) and its limits are Strawberry's; what it runs is ours. A token
is sent as a header of the handshake, or as `Authorization` in the parameters of `connection_init`,
for browsers cannot send headers. It is checked again before each answer, so that a subscription
does not outlive it.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from json import JSONDecodeError
from typing import Any, Final, cast

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import ExecutionResult, PreExecutionError

from api.asgi import read_headers
from api.errors import present, shorten
from api.exact_json import read_json
from api.gateway import Asker, Gateway
from api.graphql.documents import GraphQLRequest
from api.graphql.execute import GraphQLFace, RejectedError, describe_errors
from semantic.errors import DucatError

ALLOWED: Final = frozenset({OperationType.QUERY, OperationType.SUBSCRIPTION})
INIT_TIMEOUT: Final = timedelta(seconds=20)
MOST_SUBSCRIPTIONS: Final = 50  # of one connection


@dataclass(slots=True)
class Connection:
    """One WebSocket: the headers of its handshake and the parameters of its `connection_init`."""

    headers: Mapping[str, str]
    request_id: str
    connection_params: dict[str, Any] = field(default_factory=dict)

    def credentials(self) -> dict[str, str]:
        """Return the headers that say who asks; those of `connection_init` come first."""
        sent = {
            key.lower(): value
            for key, value in self.connection_params.items()
            if isinstance(value, str)
        }
        return {**self.headers, **sent}


class WrittenError(GraphQLError):
    """An error that is described already."""

    def __init__(self, described: dict[str, Any]) -> None:
        super().__init__(described["message"])
        self._described = described

    @property
    def formatted(self) -> Any:
        """What is sent."""
        return self._described


class LiveSchema:
    """What Strawberry's protocol asks of a schema, answered for the caller's own schema."""

    def __init__(self, gateway: Gateway, face: GraphQLFace) -> None:
        self._gateway = gateway
        self._face = face

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: object = None,
    ) -> AsyncIterator[ExecutionResult]:
        """Return the answers of one operation."""
        del root_value, operation_extensions, allowed_operation_types
        request = GraphQLRequest(query or "", variable_values or {}, operation_name)
        return self._answers(request, cast("Connection", context_value))

    async def _answers(
        self, request: GraphQLRequest, connection: Connection
    ) -> AsyncIterator[ExecutionResult]:
        first = True
        seen = await self._gateway.changes.read()
        while True:
            try:
                credentials = connection.credentials()
                await self._gateway.authenticator.prepare(credentials)
                context = self._gateway.authenticator.authenticate(credentials)
                asker = Asker(context, "graphql", connection.request_id)
                answered = await self._face.execute(request, asker, ALLOWED)
            except RejectedError as rejected:
                errors = describe_errors(rejected.errors, rejected.code)
                written: list[GraphQLError] = [WrittenError(error) for error in errors]
                # The model may have changed since the first answer: then it ends with the reason.
                kind = PreExecutionError if first else ExecutionResult
                yield kind(data=None, errors=written)
                return
            except DucatError as refused:
                wrapped = GraphQLError(refused.message, original_error=refused)
                [described] = describe_errors([wrapped])
                yield ExecutionResult(data=None, errors=[WrittenError(described)])
                return
            body = answered.body
            yield ExecutionResult(
                data=body.get("data"),
                errors=[WrittenError(error) for error in body.get("errors", ())],
                extensions=body.get("extensions"),
            )
            if not answered.repeats:
                return
            first = False
            seen = await self._gateway.changes.after(seen)


class LiveView(GraphQL[Connection, None]):
    """Strawberry's WebSocket view, with our tokens and our way to write JSON."""

    def __init__(self, gateway: Gateway, schema: LiveSchema, origins: tuple[str, ...]) -> None:
        super().__init__(
            cast("BaseSchema", schema),
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_TIMEOUT,
            max_subscriptions_per_connection=MOST_SUBSCRIPTIONS,
            allowed_origins=origins,
        )
        self._gateway = gateway

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Connection:
        """Return what is known of the connection."""
        del response
        return Connection(read_headers(request.scope), uuid.uuid4().hex)

    async def on_ws_connect(self, context: Connection) -> dict[str, object]:
        """Refuse a connection whose token is not valid."""
        try:
            credentials = context.credentials()
            await self._gateway.authenticator.prepare(credentials)
            self._gateway.authenticator.authenticate(credentials)
        except DucatError as refused:
            raise ConnectionRejectionError(
                {"message": shorten(present(refused).message)}
            ) from refused
        return {}

    def decode_json(self, data: str | bytes) -> object:
        """Return a message of the protocol; what is none is said to be no JSON, and ends the socket."""
        try:
            message = read_json(data)
        except ValueError as malformed:
            raise JSONDecodeError(str(malformed)[:100], "", 0) from malformed
        if not _is_message(message):
            raise JSONDecodeError("no message of graphql-transport-ws", "", 0)
        return message

    def encode_json(self, data: object) -> str:
        """Return JSON; rows are ready fragments."""
        return orjson.dumps(data).decode()


def _is_message(message: object) -> bool:
    """Whether the types are those that the protocol gives its messages; Strawberry does not look."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    payload = message.get("payload")
    if not isinstance(message.get("id", ""), str) or not isinstance(payload, dict | None):
        return False
    if message["type"] != "subscribe":
        return True
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )
