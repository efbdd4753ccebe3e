"""A server in this process with all its doors, and the requests that callers send to it."""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import duckdb
import httpx
import jwt
import psycopg
from pydantic import SecretStr

from api.app import build_app
from api.flight.server import FlightServer
from api.gateway import Gateway
from api.postgres.server import PostgresServer
from semantic.service import SemanticLayer
from semantic.settings import Settings
from semantic.snapshot import QualityState, Snapshot, TableSnapshot, identify, publish_snapshot
from tests.property.access.flight_line import FlightLine
from tests.property.access.world import TABLES, Caller

SECRET: Final = "0123456789abcdef0123456789abcdef"
NOW: Final = datetime(2024, 6, 1, tzinfo=UTC)
NAMES: Final = ("sales", "shops", "items")
BASE: Final = "/cubejs-api/v1"
Door = Literal["rest", "graphql", "sql", "wire", "flight", "mcp", "get"]


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a caller sends: a path or tool or statement, and what goes with it."""

    door: Door
    target: str
    body: Any = None


@dataclass(slots=True)
class Realm:
    """A running server."""

    client: httpx.AsyncClient
    _gateway: Gateway
    _stack: AsyncExitStack
    _wire: PostgresServer | None = None
    _flight: FlightServer | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _lines: dict[str, psycopg.AsyncConnection[tuple[Any, ...]]] = field(default_factory=dict)
    _flight_lines: dict[str, FlightLine] = field(default_factory=dict)

    async def ask(self, request: Request, caller: Caller) -> Any:
        """Return what the caller gets, without what differs from one answer to the next."""
        match request.door:
            case "wire":
                return await self._ask_wire(request.target, caller)
            case "flight":
                line = await self._open_flight(caller)
                told, rows = await asyncio.to_thread(line.ask, request.target, about=request.body)
                return *told, sort_rows(rows)
            case "get":
                response = await self.client.get(request.target, headers=headers(caller))
            case "mcp":
                call = {"name": request.target, "arguments": request.body}
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
                accept = {"accept": "application/json, text/event-stream"}
                response = await self.client.post(
                    "/mcp", json=body, headers=headers(caller) | accept
                )
            case _:
                response = await self.client.post(
                    request.target, json=request.body, headers=headers(caller)
                )
        return response.status_code, normalize(response.text)

    async def _open_wire(self) -> PostgresServer:
        async with self._opening:
            if self._wire is None:
                self._wire = PostgresServer(self._gateway)
                await self._wire.start()
                self._stack.push_async_callback(self._wire.close)
            return self._wire

    async def _ask_wire(self, text: str, caller: Caller) -> Any:
        line = self._lines.get(caller.name)
        wire = await self._open_wire()
        if line is None:
            line = await psycopg.AsyncConnection.connect(
                host="127.0.0.1", port=wire.port, user=caller.name, dbname="ducat",
                password=make_token(caller), autocommit=True,
            )  # fmt: skip
            self._lines[caller.name] = line
            self._stack.push_async_callback(line.close)
        try:
            async with line.cursor() as cursor:
                await cursor.execute(text.encode())
                columns = [(item.name, item.type_code) for item in cursor.description or ()]
                rows = (
                    [[str(cell) for cell in row] for row in await cursor.fetchall()]
                    if columns
                    else []
                )
        except psycopg.Error as refused:
            said = refused.diag
            return (
                "refused",
                said.sqlstate,
                said.message_primary,
                said.message_detail,
                said.message_hint,
            )
        return "answered", tuple(columns), sort_rows(rows)

    async def _open_flight(self, caller: Caller) -> FlightLine:
        async with self._opening:
            if self._flight is None:
                self._flight = FlightServer(self._gateway)
                self._stack.push_async_callback(self._flight.close)
            port = self._flight.port
        if caller.name not in self._flight_lines:
            line = await asyncio.to_thread(FlightLine.open, port, make_token(caller))
            self._flight_lines[caller.name] = line
            self._stack.push_async_callback(asyncio.to_thread, line.close)
        return self._flight_lines[caller.name]


def make_token(caller: Caller) -> str:
    """Return the caller's token."""
    told = {
        "sub": caller.name, "groups": list(caller.groups), "exp": int(time.time()) + 3600,
        "is_boss": caller.is_boss, "levels": list(caller.levels),
    }  # fmt: skip
    return jwt.encode(told, SECRET, "HS256")


def headers(caller: Caller) -> dict[str, str]:
    """Return the headers of the caller's requests."""
    return {"authorization": f"Bearer {make_token(caller)}"}


VOLATILE: Final = frozenset({"requestId", "seconds", "version", "catalogVersion", "cache"})
"""What differs from one answer to the next. The model's version says when any of it changed."""


def normalize(text: str) -> Any:
    """Return an answer without its id and its seconds, rows without their order."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return _strip(found)


def _strip(found: Any) -> Any:
    match found:
        case dict():
            left_out = VOLATILE | ({"rows"} if "loadedAt" in found else set())  # of a table
            return {key: _strip(value) for key, value in found.items() if key not in left_out}
        case list():
            return sort_rows([_strip(item) for item in found])
        case str() if found.startswith("{"):
            return normalize(found) if found.endswith("}") else found
        case _:
            return found


def sort_rows(items: list[Any]) -> list[Any]:
    """Return a list of rows in an order of its own; other lists keep theirs."""
    is_table = any(isinstance(item, list | dict | tuple) for item in items)
    return sorted(items, key=repr) if is_table else items


@cache
def _settings() -> Settings:
    return Settings(jwt_secret=SecretStr(SECRET), sql_groups="nobody", query_concurrency=2)


@cache
def _tables() -> Path:
    """Return a file with the tables, made once."""
    file = Path(tempfile.mkdtemp(prefix="ducat-access-")) / "tables.duckdb"
    atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
    with duckdb.connect(str(file)) as connection:
        connection.execute(TABLES)
    return file


@asynccontextmanager
async def open_realm(
    folder: Path, model: str, reduction: tuple[str, ...] = ()
) -> AsyncIterator[Realm]:
    """Serve a model over the tables, from which `reduction` (SQL) has taken rows."""
    project, serving = folder / "project", folder / "serving"
    (project / "semantic" / "model").mkdir(parents=True)
    (project / "semantic" / "model" / "model.yml").write_text(model)
    serving.mkdir()
    shutil.copy(_tables(), serving / "tables.duckdb")
    if reduction:
        with duckdb.connect(str(serving / "tables.duckdb")) as connection:
            for statement in reduction:
                connection.execute(statement)
    passed = QualityState("passed", NOW)
    tables = tuple(TableSnapshot(name, 1, 60, None, NOW, passed) for name in NAMES)
    publish_snapshot(serving, Snapshot(identify(tables), "tables.duckdb", NOW, tables))
    found = {"project": project, "home": folder, "serving": serving}
    settings = _settings().model_copy(update=found)
    layer = SemanticLayer.of(settings)
    async with AsyncExitStack() as stack:
        stack.callback(layer.close)
        gateway = Gateway(layer, settings, secret=None)
        app = build_app(gateway)
        await stack.enter_async_context(_live(app))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ducat")
        await stack.enter_async_context(client)
        with_wire = settings.model_copy(update={"postgres_port": 0, "flight_port": 0})
        yield Realm(client, Gateway(layer, with_wire, secret=None), stack)


@asynccontextmanager
async def _live(app: Any) -> AsyncIterator[None]:
    """Run the app's lifespan around the block."""
    said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    heard: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, said.get, heard.put))
    await said.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await said.put({"type": "lifespan.shutdown"})
        await task
