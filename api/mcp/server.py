"""The agents' door: Model Context Protocol, by the official SDK.

Over HTTP it stands at `/mcp` (streamable HTTP, without sessions: each request brings its token, and
what it may see is decided anew). `ducat mcp` speaks it over standard input and output. A tool that
refuses answers with the error's stable code and what to do, which an agent can act on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
import structlog
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from starlette.types import Message, Receive, Scope, Send

from api.asgi import LARGEST_BODY, read_body, wait_gone
from api.errors import error_body, present
from api.gateway import Asker, Gateway
from api.mcp.answers import (
    check_query,
    describe_cube,
    describe_definition,
    find_members,
    list_cubes,
    run_query,
    visible_model,
    without_sql,
)
from api.mcp.tools import INSTRUCTIONS, TOOLS
from api.release import find_release
from api.scopes import may_see_sql
from semantic.errors import DucatError, QuerySyntaxError

ASKER: Final = "ducat.asker"
log = structlog.stdlib.get_logger("ducat.mcp")


class McpDoor:
    """MCP over HTTP, as an ASGI app. The SDK's task group lives in a task of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._manager: StreamableHTTPSessionManager | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            AuthenticationError: its token is not valid.
        """
        context = self._gateway.authenticator.authenticate(scope["ducat.headers"])
        body = await read_body(receive)
        left = asyncio.Event()
        scope[ASKER] = Asker(context, "mcp", scope["ducat.request_id"], left.wait)
        manager = await self._start()

        async def watch() -> None:
            await wait_gone(receive)
            left.set()

        # The SDK reads the request and never looks whether its caller is still there.
        watching = asyncio.create_task(watch())
        try:
            await manager.handle_request(scope, _replay(body), send)
        finally:
            watching.cancel()

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._stop.set()
            await self._task

    async def _start(self) -> StreamableHTTPSessionManager:
        async with self._starting:
            if self._manager is None:
                manager = StreamableHTTPSessionManager(
                    build_server(self._gateway, lambda request: request.scope[ASKER]),
                    json_response=True,
                    stateless=True,
                    max_request_body_size=LARGEST_BODY,
                )
                ready = asyncio.Event()
                self._task = asyncio.create_task(self._run(manager, ready))
                await ready.wait()
                self._manager = manager
        return self._manager

    async def _run(self, manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
        async with manager.run():
            ready.set()
            await self._stop.wait()


def _replay(body: bytes) -> Receive:
    """Return a `receive` that gives a body that was read, and then waits."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()  # until the task that asks is cancelled
        raise AssertionError

    return receive


async def serve_stdio(gateway: Gateway, asker: Asker) -> None:
    """Speak MCP over standard input and output until the input ends."""
    server = build_server(gateway, lambda _: asker)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def build_server(gateway: Gateway, find_asker: Callable[[Any], Asker]) -> Server[Any]:
    """Return the protocol's server; `find_asker` tells from an HTTP request who asks."""

    async def list_tools(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=list(TOOLS))

    async def call_tool(context: Any, parameters: CallToolRequestParams) -> CallToolResult:
        asker = find_asker(context.request)
        try:
            answer = await _answer(
                gateway, asker, parameters.name, dict(parameters.arguments or {})
            )
            if not may_see_sql(gateway.settings, asker.context):
                answer = without_sql(answer)
        except DucatError as refused:
            return _write(error_body(present(refused), asker.request_id), is_error=True)
        except Exception as failure:
            # The boundary of this door: a defect is logged, and named to the agent by its code.
            log.exception("tool failed", tool=parameters.name, request_id=asker.request_id)
            return _write(error_body(present(failure), asker.request_id), is_error=True)
        return _write(answer, is_error=False)

    return Server(
        "ducat",
        version=find_release(),
        title="Ducat metrics",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _answer(
    gateway: Gateway, asker: Asker, tool: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    expected = next((item.input_schema["required"] for item in TOOLS if item.name == tool), None)
    if expected is None:
        names = ", ".join(item.name for item in TOOLS)
        raise QuerySyntaxError(f"there is no tool {tool[:100]!r}", suggestion=f"there are {names}")
    if set(arguments) != set(expected):
        wanted = ", ".join(expected) or "nothing"
        raise QuerySyntaxError(f"{tool} takes {wanted}", suggestion="send exactly these arguments")
    model = visible_model(gateway, asker)
    match tool:
        case "list_cubes":
            return list_cubes(model)
        case "describe_cube":
            return describe_cube(model, _text(arguments["name"], "name"))
        case "find_members":
            return find_members(model, _text(arguments["text"], "text"))
        case "describe_member":
            name = _text(arguments["name"], "name")
            return await asyncio.to_thread(describe_definition, model, gateway, name)
        case "check_query":
            check = partial(check_query, model, gateway, asker, arguments["query"])
            return await gateway.think(asker.context.user, check)
        case _:
            return await run_query(model, gateway, asker, arguments["query"])


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise QuerySyntaxError(f"{name} is a text")
    return value


def _write(answer: dict[str, Any], *, is_error: bool) -> CallToolResult:
    text = orjson.dumps(answer).decode()
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=orjson.loads(text),
        is_error=is_error,
    )
