"""Answers from a rollup over HTTP, without a cache, beside a bare server with one statement by hand.

Each request has other dates, so each is computed. The servers are processes of their own; the client is
another one on the same cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import psutil

from api.auth import make_token
from deploy.demo.ports import find_port
from tests.bench.report import Figure
from tests.unit.api.conftest import DUCAT, SECRET, wait_address

SECONDS: Final = 3.0
ROUNDS: Final = 3
CLIENTS: Final = (1, 8)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a server answered: p50 in milliseconds, answers in a second, its CPU for each in milliseconds."""

    p50: float
    rate: float
    cpu: float


def measure_http(folder: Path, file: Path) -> tuple[list[tuple[str, ...]], list[Figure]]:
    """Return rows for the table, and figures; `file` is the rollup's."""
    found: dict[tuple[str, int], list[Pace]] = {}
    with run_server(folder) as own, run_floor(file) as floor:
        servers = {"ducat": own, "bare": floor}
        for _ in range(ROUNDS):
            for clients, (name, server) in itertools.product(CLIENTS, servers.items()):
                _measure(server, clients, 0.5)
                found.setdefault((name, clients), []).append(_measure(server, clients, SECONDS))
    paces = {key: _middle(items) for key, items in found.items()}
    rows: list[tuple[str, ...]] = []
    for clients in CLIENTS:
        ours, bare = paces["ducat", clients], paces["bare", clients]
        name = f"HTTP, {clients} client{'s' * (clients > 1)}"
        rows += [
            (f"{name}, p50", "", f"{ours.p50:.2f}", f"{bare.p50:.2f}", ""),
            (f"{name}, answers/s", "", f"{ours.rate:.0f}", f"{bare.rate:.0f}", ""),
            (f"{name}, CPU of the server", "", f"{ours.cpu:.2f}", f"{bare.cpu:.2f}", ""),
        ]
    one, many = paces["ducat", 1], paces["ducat", CLIENTS[-1]]
    bare = paces["bare", CLIENTS[-1]]
    return rows, [
        Figure("rollup_http_p50", one.p50, "ms", 3),
        Figure("rollup_http_rate", many.rate, "requests/s", 700, at_least=True),
        Figure("rollup_http_over_bare", many.rate / bare.rate, "x the bare server's", 700 / 830,
               at_least=True),
        Figure("rollup_http_cpu", many.cpu / bare.cpu, "x the bare server's"),
    ]  # fmt: skip


def _middle(items: list[Pace]) -> Pace:
    return Pace(
        *(
            statistics.median(values)
            for values in zip(*((i.p50, i.rate, i.cpu) for i in items), strict=True)
        )
    )


@contextlib.contextmanager
def run_server(folder: Path, **settings: str) -> Iterator[tuple[int, int]]:
    """Run `ducat serve` over a project, without a cache; lend its port and process id."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")
    } | {
        "DUCAT_PROJECT": str(folder),
        "DUCAT_HOME": str(folder),
        "DUCAT_SERVING": str(folder / "serving"),
        "DUCAT_JWT_SECRET": SECRET,
        "DUCAT_CACHE_BYTES": "0",
        "DUCAT_LOG_LEVEL": "warning",
        **settings,
    }
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [DUCAT, "serve", "--port", "0"], env=environment, stderr=stream, cwd=folder
        )
        try:
            yield int(wait_address(process, log).rpartition(":")[2]), process.pid
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def run_floor(file: Path) -> Iterator[tuple[int, int]]:
    """Run the bare server over a rollup's file; lend its port and process id."""
    port = find_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.rollup_floor", str(port), str(file)]
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                asyncio.run(_connect(port))
                break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


async def _connect(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def _requests(token: str) -> Iterator[bytes]:
    for number in itertools.count():
        begin = date(1992, 2, 1) + timedelta(days=number % 2_000)
        end = begin + timedelta(days=300 + number % 97)
        dates = [begin.isoformat(), end.isoformat()]
        query = {
            "measures": ["lineitem.n_lines", "lineitem.rev"],
            "dimensions": ["lineitem.l_shipmode"],
            "timeDimensions": [
                {"dimension": "lineitem.l_shipdate", "granularity": "month", "dateRange": dates}
            ],
        }
        body = json.dumps({"query": query}).encode()
        lines = [
            "POST /cubejs-api/v1/load HTTP/1.1", "host: 127.0.0.1", f"authorization: {token}",
            "content-type: application/json", f"content-length: {len(body)}",
        ]  # fmt: skip
        yield "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _measure(server: tuple[int, int], clients: int, seconds: float) -> Pace:
    port, number = server
    process = psutil.Process(number)
    before, started = sum(process.cpu_times()[:2]), time.perf_counter()
    taken = asyncio.run(_ask_for(port, clients, seconds))
    lasted = time.perf_counter() - started
    used = sum(process.cpu_times()[:2]) - before
    return Pace(statistics.median(taken), len(taken) / lasted, used / len(taken) * 1000)


async def _ask_for(port: int, clients: int, seconds: float) -> list[float]:
    requests = _requests(f"Bearer {make_token(SECRET, user='ann', groups=())}")
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (started := time.perf_counter()) < end:
                writer.write(next(requests))
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise AssertionError(head)
                length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                body = await reader.readexactly(int(length))
                if b"lineitem.by_day" not in body:
                    raise AssertionError(body[:300])
                taken.append((time.perf_counter() - started) * 1000)
        finally:
            writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return taken
