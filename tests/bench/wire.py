"""Cached answers over the Postgres wire, beside a bare asyncio server that answers the same bytes.

One blocking client keeps so many connections busy at once: it asks on each, then reads from each. What
is compared is the server's own CPU per query (`/proc`), which other work on the machine changes little.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from deploy.demo.ports import find_port
from tests.bench.report import Figure, Section
from tests.unit.api.conftest import make_site, publish
from tests.unit.api.postgres.conftest import WireServer, run_wire
from tests.unit.api.postgres.test_hostile import log_in, packet

ROUNDS: Final = 9
QUERIES: Final = 8_000
CONNECTIONS: Final = 16
READY: Final = b"Z\x00\x00\x00\x05I"
ONE_ROW: Final = b"SELECT MEASURE(count), MEASURE(amount) FROM sales"
MANY_ROWS: Final = (
    b"SELECT sale_id, is_online, MEASURE(amount) FROM sales GROUP BY 1, 2 ORDER BY 1 LIMIT 100"
)
FLOOR: Final = """
import asyncio, sys
ANSWER = open(sys.argv[2], "rb").read()
END = bytes.fromhex(sys.argv[3])
class Floor(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        if data.endswith(END):
            self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
import uvloop
uvloop.run(main())
"""


@dataclass(frozen=True, slots=True)
class Door:
    """How a query is asked: what is sent once on each connection, and what for each query."""

    name: str
    prepare: bytes
    ask: bytes


def list_doors() -> tuple[Door, ...]:
    """Return the simple protocol and a statement that is prepared once, for two answers."""
    bind = packet(b"\x00s\x00" + b"\x00\x00" * 3, b"B")
    execute = packet(b"\x00\x00\x00\x00\x00", b"E") + packet(b"", b"S")
    found = []
    for name, text in (("one row", ONE_ROW), ("100 rows", MANY_ROWS)):
        parse = packet(b"s\x00" + text + b"\x00\x00\x00", b"P") + packet(b"", b"S")
        found += [
            Door(f"simple, {name}", b"", packet(text + b"\x00", b"Q")),
            Door(f"prepared, {name}", parse, bind + execute),
        ]
    return tuple(found)


def read_answer(line: socket.socket) -> bytes:
    """Return the bytes up to ReadyForQuery."""
    found = b""
    while not found.endswith(READY):
        part = line.recv(1 << 20)
        if not part:
            raise AssertionError(found[-300:])
        found += part
    return found


def ask_all(lines: Sequence[socket.socket], data: bytes, queries: int) -> None:
    """Ask so often, on all connections at once."""
    for _ in range(queries // len(lines)):
        for line in lines:
            line.sendall(data)
        for line in lines:
            read_answer(line)


def measure(lines: Sequence[socket.socket], process: int, data: bytes) -> tuple[float, float]:
    """Return microseconds of the server's CPU per query, and queries per second."""
    server = psutil.Process(process)
    before, started = sum(server.cpu_times()[:2]), time.perf_counter()
    ask_all(lines, data, QUERIES)
    seconds = time.perf_counter() - started
    used = sum(server.cpu_times()[:2]) - before
    return used / QUERIES * 1_000_000, QUERIES / seconds


@contextlib.contextmanager
def connect(port: int, wire: WireServer | None, prepare: bytes) -> Iterator[list[socket.socket]]:
    """Lend connections, logged in at the real server."""
    with contextlib.ExitStack() as opened:
        lines = []
        for _ in range(CONNECTIONS):
            line = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if wire is not None:
                log_in(line, wire)
                if prepare:
                    line.sendall(prepare)
                    read_answer(line)
            lines.append(line)
        yield lines


@contextlib.contextmanager
def run_floor(answer: bytes, ask: bytes, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the bare server; lend its port and process."""
    script, file, port = folder / "wire_floor.py", folder / "wire_answer", find_port()
    script.write_text(FLOOR, encoding="utf-8")
    file.write_bytes(answer)
    process = subprocess.Popen([sys.executable, script, str(port), file, ask[-5:].hex()])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def measure_wire() -> Section:
    """Measure every door."""
    rows, figures = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_site(folder)
        publish(site)
        with run_wire(site, folder, DUCAT_LOG_LEVEL="warning") as wire:
            for door in list_doors():
                with connect(wire.port, wire, door.prepare) as own:
                    own[0].sendall(door.ask)
                    answer = read_answer(own[0])
                    with (
                        run_floor(answer, door.ask, folder) as (port, process),
                        connect(port, None, b"") as bare,
                    ):
                        ask_all(own, door.ask, CONNECTIONS * 4)
                        ask_all(bare, door.ask, CONNECTIONS * 4)
                        found = [
                            (
                                measure(own, wire.server.process.pid, door.ask),
                                measure(bare, process, door.ask),
                            )
                            for _ in range(ROUNDS)
                        ]
                cpu, rate = (statistics.median(item[0][i] for item in found) for i in (0, 1))
                least, most = (statistics.median(item[1][i] for item in found) for i in (0, 1))
                slug = door.name.replace(", ", "_").replace(" ", "_")
                rows.append(
                    (door.name, f"{len(answer)}", f"{cpu:.0f}", f"{least:.0f}",
                     f"{cpu / least:.2f}", f"{rate:.0f}", f"{most:.0f}")
                )  # fmt: skip
                figures.append(Figure(f"wire_{slug}_cpu", cpu / least, "x the floor", 2.0))
                target = 40_000 if "100" in door.name else None
                figures.append(
                    Figure(f"wire_{slug}_rate", rate, "queries/s", target, at_least=True)
                )
    return Section(
        name="wire",
        title="Cached answers over the Postgres wire",
        text="The same question again and again over 16 connections; microseconds of the server's CPU per query "
        "beside a bare asyncio server (uvloop) that answers the same bytes. The client is one Python process.",
        columns=("protocol", "bytes", "CPU", "floor", "ratio", "queries/s", "floor"),
        rows=tuple(rows),
        figures=tuple(figures),
    )
