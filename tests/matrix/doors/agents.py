"""MCP by the official client, one session for all questions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final

from anyio.from_thread import start_blocking_portal
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from tests.matrix.doors.door import Kinds, list_columns, read_part
from tests.matrix.question import Answer, Kind, Part, Question, Value, to_milliseconds
from tests.unit.api.conftest import Server

MOST_ROWS: Final = 1000


class Agents:
    """The tool `run_query`."""

    name = "mcp"

    def __init__(self, server: Server, kinds: Kinds) -> None:
        self._kinds = kinds
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._session = self._stack.enter_context(
            self._portal.wrap_async_context_manager(_open(server))
        )

    def ask(self, question: Question) -> Answer:
        """Ask a query for each date range; the tool answers one."""
        return Answer(tuple(self._portal.call(self._ask, part) for part in question.parts))

    async def _ask(self, document: dict[str, Any]) -> Part:
        query = {"limit": MOST_ROWS} | document
        answer = await self._session.call_tool("run_query", {"query": query})
        found: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]
        assert not answer.is_error, found
        assert found["truncated"] is False or "limit" in document
        columns = list_columns(document)
        places = [found["columns"].index(name) for name in columns]
        rows = [[row[place] for place in places] for row in found["rows"]]
        return read_part(columns, rows, self._kinds, found.get("total_rows"))

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Times have milliseconds, as in REST."""
        del kind, column, zone
        return to_milliseconds(value)

    def try_words(self, words: str) -> object:
        """Nothing is beyond this door's words."""
        return words

    def close(self) -> None:
        """End the session."""
        self._stack.close()


@asynccontextmanager
async def _open(server: Server) -> AsyncIterator[ClientSession]:
    headers = {"authorization": str(server.client.headers["authorization"])}
    async with (
        create_mcp_http_client(headers=headers) as client,
        streamable_http_client(f"{server.url}/mcp", http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        yield session
