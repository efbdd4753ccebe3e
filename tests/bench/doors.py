"""Cached answers through the doors, beside a bare server that answers the same bytes.

Server and floor are processes of their own; the load comes from this one, over kept connections, in turns.
What is compared is the server's own CPU per request (`/proc`), which other work on the machine does not
change much; requests per second are what one busy client process could ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from deploy.demo.ports import find_port
from tests.bench.report import Figure, Section
from tests.unit.api.conftest import make_site, publish, run_server

ROUNDS: Final = 9
REQUESTS: Final = 1_500
CONNECTIONS: Final = 8
ARROW: Final = "application/vnd.apache.arrow.stream"
LOAD: Final = "/cubejs-api/v1/load"
ONE_ROW: Final = {"measures": ["sales.count", "sales.amount"]}
GRAPHQL: Final = {"query": "{ cube { sales { count amount } } }"}
FLOOR: Final = """
import sys
BODY = open(sys.argv[2], "rb").read()
HEAD = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(BODY)).encode())]
async def app(scope, receive, send):
    if scope["type"] != "http":
        await receive(); await send({"type": "lifespan.startup.complete"}); await receive(); return
    while (await receive()).get("more_body"): pass
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})
import uvicorn
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as bytes, and the server that takes it."""

    port: int
    process: int
    head: bytes


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> bytes:
    writer.write(head)
    found = await reader.readuntil(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in found.lower():
        return await reader.readuntil(b"\r\n0\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in found.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return await reader.readexactly(length)


async def _run(request: Request, count: int) -> bytes:
    """Send so many requests over some connections; return the last body."""

    async def one(times: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", request.port)
        body = b""
        try:
            for _ in range(times):
                body = await _ask(reader, writer, request.head)
        finally:
            writer.close()
        return body

    bodies = await asyncio.gather(*(one(count // CONNECTIONS) for _ in range(CONNECTIONS)))
    return bodies[-1]


def measure(request: Request) -> tuple[float, float]:
    """Return microseconds of the server's CPU per request, and requests per second."""
    process = psutil.Process(request.process)
    before, started = sum(process.cpu_times()[:2]), time.perf_counter()
    asyncio.run(_run(request, REQUESTS))
    seconds = time.perf_counter() - started
    used = sum(process.cpu_times()[:2]) - before
    return used / REQUESTS * 1_000_000, REQUESTS / seconds


def write_request(
    path: str, token: str, document: Mapping[str, object], accept: str = "application/json"
) -> bytes:
    """Return a POST."""
    body = json.dumps(document).encode()
    lines = [
        f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: {token}",
        "content-type: application/json", f"accept: {accept}", f"content-length: {len(body)}",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.contextmanager
def run_floor(body: bytes, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a bare ASGI server of these bytes; lend its port and process id."""
    script, file, port = folder / "floor.py", folder / f"{os.urandom(4).hex()}.json", find_port()
    script.write_text(FLOOR, encoding="utf-8")
    file.write_bytes(body)
    process = subprocess.Popen([sys.executable, script, str(port), file])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                asyncio.run(_connect(port))
                break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def _connect(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def measure_doors() -> Section:
    """Measure `load`, GraphQL and Arrow."""
    rows: list[tuple[str, ...]] = []
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_site(folder)
        publish(site)
        with run_server(site, folder, DUCAT_LOG_LEVEL="warning") as server:
            port = int(server.url.rpartition(":")[2])
            token = str(server.client.headers["authorization"])
            doors: dict[str, tuple[bytes, float | None]] = {
                "load": (write_request(LOAD, token, {"query": ONE_ROW}), 1.3),
                "graphql": (write_request("/graphql", token, GRAPHQL), 5.0),
                "arrow": (write_request(LOAD, token, {"query": ONE_ROW}, ARROW), None),
            }
            for door, (head, target) in doors.items():
                own = Request(port, server.process.pid, head)
                body = asyncio.run(_run(own, CONNECTIONS * 4))
                with run_floor(body, folder) as (floor_port, floor_pid):
                    floor = Request(floor_port, floor_pid, head)
                    found = [(measure(own), measure(floor)) for _ in range(ROUNDS)]
                cpu, rate = (statistics.median(item[0][i] for item in found) for i in (0, 1))
                floor_cpu, floor_rate = (
                    statistics.median(item[1][i] for item in found) for i in (0, 1)
                )
                rows.append(
                    (door, f"{len(body)}", f"{cpu:.0f}", f"{floor_cpu:.0f}",
                     f"{cpu / floor_cpu:.2f}", f"{rate:.0f}", f"{floor_rate:.0f}")
                )  # fmt: skip
                figures.append(Figure(f"cached_{door}_cpu", cpu / floor_cpu, "x the floor", target))
                figures.append(Figure(f"cached_{door}_rate", rate, "requests/s"))
    return Section(
        name="doors",
        title="Cached answers through the doors",
        text="One row, asked again and again over 8 connections; microseconds of the server's CPU per "
        "request beside a bare ASGI app that answers the same bytes under the same uvicorn.",
        columns=("door", "bytes", "CPU", "floor", "ratio", "requests/s", "floor"),
        rows=tuple(rows),
        figures=tuple(figures),
    )
