"""Bytes that are no conversation end their own connection, and nothing else."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.auth import make_token
from api.gateway import Gateway
from api.postgres.server import PostgresServer
from semantic.project import Project
from semantic.service import SemanticLayer
from semantic.settings import Settings
from tests.unit.api.conftest import SECRET, Site
from tests.unit.api.postgres.conftest import WireServer

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STARTUP = b"\x00\x03\x00\x00user\x00ann\x00\x00"
LETTERS = [b"Q", b"P", b"B", b"D", b"E", b"C", b"S", b"H", b"p", b"d", b"c", b"f", b"F", b"z"]


@contextmanager
def dial(wire: WireServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", wire.port), timeout=20) as line:
        yield line


def packet(body: bytes, kind: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def read_all(line: socket.socket) -> bytes:
    """Read until the server closes; it must."""
    found = b""
    try:
        while part := line.recv(65536):
            found += part
    except ConnectionError:
        pass
    return found


def log_in(line: socket.socket, wire: WireServer) -> None:
    line.sendall(packet(STARTUP) + packet(wire.token.encode() + b"\x00", b"p"))
    found = b""
    while not found.endswith(b"Z\x00\x00\x00\x05I"):
        part = line.recv(65536)
        assert part, found
        found += part


def check_alive(wire: WireServer) -> None:
    with wire.connect(connect_timeout=10) as db:
        assert db.execute("SELECT MEASURE(count) FROM sales").fetchone() == (400,)


@QUICK
@given(data=st.binary(min_size=8, max_size=300))
def test_nonsense_before_the_login_is_answered_with_an_end(wire: WireServer, data: bytes) -> None:
    with dial(wire) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        read_all(line)


@QUICK
@given(
    messages=st.lists(
        st.tuples(st.sampled_from(LETTERS), st.binary(max_size=60)), min_size=1, max_size=6
    )
)
def test_nonsense_after_the_login_ends_that_connection_only(
    wire: WireServer, messages: list[tuple[bytes, bytes]]
) -> None:
    with dial(wire) as line:
        log_in(line, wire)
        with suppress(OSError):  # the server may have closed already
            for kind, body in messages:
                line.sendall(packet(body, kind))
            line.sendall(packet(b"", b"X"))
            line.shutdown(socket.SHUT_WR)
        read_all(line)


@QUICK
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=80))
def test_any_text_is_answered_and_the_session_lives_on(wire: WireServer, text: str) -> None:
    with wire.connect(autocommit=True) as db:
        state: str | None = "00000"
        try:
            db.execute(text.encode())
        except psycopg.Error as refused:
            state = refused.diag.sqlstate
        assert state not in {None, "XX000"}, text
        assert not db.closed


def test_after_all_that_the_server_answers(wire: WireServer) -> None:
    check_alive(wire)
    log = wire.server.log.read_text()
    assert "a connection of the Postgres wire failed" not in log
    assert "Exception in callback" not in log


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"08P01"),
        (packet(b"\x00\x02\x00\x00"), b"0A000"),
        (packet(b"\x00\x03\x00\x00\x00"), b"28000"),
        (packet(STARTUP) + packet(b"x", b"Q"), b"08P01"),
    ],
)
def test_the_end_says_why(wire: WireServer, data: bytes, state: bytes) -> None:
    with dial(wire) as line:
        line.sendall(data)
        assert b"C" + state in read_all(line)


def test_a_message_that_is_too_long_is_refused_before_it_comes(wire: WireServer) -> None:
    with dial(wire) as line:
        log_in(line, wire)
        line.sendall(b"Q" + struct.pack("!I", 64 * 1024 * 1024))
        assert b"08P01" in read_all(line)


def test_two_hundred_silent_half_and_noisy_connections_keep_no_one_out(wire: WireServer) -> None:
    with ExitStack() as opened:
        for number in range(200):
            line = opened.enter_context(dial(wire))
            if number % 4 == 1:
                line.sendall(packet(STARTUP)[:10])
            elif number % 4 == 2:
                line.sendall(b"\xff" * 100)
            elif number % 4 == 3:
                line.sendall(packet(STARTUP))
        for _ in range(5):
            check_alive(wire)


def test_clients_that_are_slow_to_say_something_are_shown_out(site: Site) -> None:
    layer = SemanticLayer.open(Project.open(site.project), serving=site.database.parent)
    gateway = Gateway(layer, Settings(home=site.home, postgres_port=0), secret=SECRET)
    server = PostgresServer(gateway)
    server.handshake_seconds = server.message_seconds = 0.2

    async def talk() -> list[bytes]:
        await server.start()
        silent, _ = await asyncio.open_connection("127.0.0.1", server.port)
        half, writer = await asyncio.open_connection("127.0.0.1", server.port)
        token = make_token(SECRET, user="ann").encode()
        writer.write(packet(STARTUP) + packet(token + b"\x00", b"p") + b"Q\x00\x00")
        found = [await silent.read(), (await half.read())[-6:]]
        await server.close()
        return found

    try:
        assert asyncio.run(talk()) == [b"", b"Z\x00\x00\x00\x05I"]
    finally:
        gateway.close()
        layer.close()


def test_a_cancel_request_with_another_key_stops_nothing(wire: WireServer) -> None:
    with wire.connect(autocommit=True) as db:
        with dial(wire) as line:
            line.sendall(packet(struct.pack("!Ii", 80877102, db.info.backend_pid) + b"abcd"))
            assert read_all(line) == b""
        assert db.execute("SELECT 1").fetchone() == (1,)
