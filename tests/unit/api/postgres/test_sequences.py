"""Whole messages of the wire in any order: answered as the protocol says, or the connection ends.

What should come back is counted by a small model of the protocol that knows nothing of the server.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.api.postgres.conftest import WireServer
from tests.unit.api.postgres.test_hostile import check_alive, dial, log_in, packet, read_all

QUICK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
COUNT = b"SELECT MEASURE(count) FROM sales"


def parse(name: bytes = b"", text: bytes = COUNT) -> bytes:
    return packet(name + b"\x00" + text + b"\x00\x00\x00", b"P")


def bind(portal: bytes = b"", statement: bytes = b"") -> bytes:
    return packet(portal + b"\x00" + statement + b"\x00" + b"\x00\x00" * 3, b"B")


MESSAGES: dict[str, bytes] = {
    "parse": parse(),
    "parse named": parse(b"s"),
    "parse nonsense": parse(text=b"SELEC"),
    "bind": bind(),
    "bind named": bind(b"p", b"s"),
    "describe statement": packet(b"Ss\x00", b"D"),
    "describe portal": packet(b"P\x00", b"D"),
    "execute": packet(b"\x00\x00\x00\x00\x00", b"E"),
    "execute some": packet(b"p\x00\x00\x00\x00\x01", b"E"),
    "close": packet(b"Ss\x00", b"C"),
    "flush": packet(b"", b"H"),
    "sync": packet(b"", b"S"),
    "query": packet(COUNT + b"\x00", b"Q"),
    "query nonsense": packet(b"SELEC\x00", b"Q"),
    "query nothing": packet(b"\x00", b"Q"),
    "begin": packet(b"BEGIN\x00", b"Q"),
    "copy in": packet(b"COPY sales FROM STDIN\x00", b"Q"),
    "copy data": packet(b"1\t2\n", b"d"),
    "copy done": packet(b"", b"c"),
    "copy fail": packet(b"no\x00", b"f"),
    "call": packet(struct.pack("!IHHH", 1, 0, 0, 0), b"F"),
    "password": packet(b"x\x00", b"p"),
}
SIMPLE = frozenset({"query", "query nonsense", "query nothing", "begin", "copy in"})


def split(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of what the server said; all of it must be whole messages."""
    while stream:
        assert len(stream) >= 5, stream
        (length,) = struct.unpack_from("!I", stream, 1)
        assert len(stream) > length, stream
        yield stream[:1], stream[5 : 1 + length]
        stream = stream[1 + length :]


FAILS = frozenset(
    {"parse nonsense", "bind", "bind named", "describe statement", "call",
     "describe portal", "execute", "execute some", "parse named"}
)  # fmt: skip


def may_fail(names: list[str]) -> bool:
    """Say whether a message of the extended protocol can be refused; Sync is waited for then.

    A failed statement after BEGIN fails the transaction, and every later Parse with it.
    """
    opened = names[names.index("begin") :] if "begin" in names else []
    broken = {"query nonsense", "copy in"} & set(opened)
    return bool(FAILS & set(names)) or bool(broken and "parse" in opened)


@QUICK
@given(names=st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=14))
def test_any_order_of_messages_is_answered_by_the_rules(wire: WireServer, names: list[str]) -> None:
    with dial(wire) as line:
        log_in(line, wire)
        # Nothing is sent after what ends the connection: a reset would lose the words at its end.
        sent = names[: names.index("password") + 1] if "password" in names else names
        end = b"" if "password" in names else packet(b"", b"S") + packet(b"", b"X")
        line.sendall(b"".join(MESSAGES[name] for name in sent) + end)
        said = list(split(read_all(line)))
    # The model: ready after each Sync, and after each simple query that is not skipped.
    errors = [body for kind, body in said if kind == b"E"]
    fatal = [body for body in errors if b"SFATAL" in body]
    ready = sum(kind == b"Z" for kind, _ in said)
    before = names[: names.index("password")] if "password" in names else names
    syncs = before.count("sync") + ("password" not in names)
    queries = sum(name in SIMPLE for name in before)
    assert bool(fatal) == ("password" in names)
    assert syncs <= ready <= syncs + queries
    if not may_fail(before):
        assert ready == syncs + queries  # nothing can have failed in the extended protocol
    if fatal:
        assert said[-1][0] == b"E"
        assert b"C08P01" in fatal[0]
    assert not [body for body in errors if b"CXX000" in body]


@QUICK
@given(
    packets=st.lists(
        st.sampled_from(
            [
                packet(struct.pack("!I", 80877103)),
                packet(struct.pack("!I", 80877104)),
                packet(struct.pack("!IiI", 80877102, 1, 1)),
                packet(struct.pack("!Ii", 80877102, -1) + b"x" * 256),
                packet(b"\x00\x03\x00\x00user\x00ann\x00\x00"),
                packet(b"\x00\x03\x00\x63user\x00ann\x00_pq_.x\x00y\x00\x00"),
                packet(b"wrong\x00", b"p"),
                packet(b"SCRAM-SHA-256\x00\x00\x00\x00\x04n,,x", b"p"),
                *list(MESSAGES.values())[:4],
            ]
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_order_before_the_login_lets_nobody_in(wire: WireServer, packets: list[bytes]) -> None:
    with dial(wire) as line:
        with suppress(OSError):
            for item in packets:
                line.sendall(item)
            line.shutdown(socket.SHUT_WR)
        found = read_all(line)
    assert b"R\x00\x00\x00\x08\x00\x00\x00\x00" not in found  # AuthenticationOk
    assert b"Z\x00\x00\x00\x05" not in found


@pytest.mark.parametrize("size", [1, 2, 7])
def test_messages_in_pieces_are_the_same_messages(wire: WireServer, size: int) -> None:
    stream = parse() + bind() + MESSAGES["execute"] + MESSAGES["sync"] + packet(b"", b"X")
    with dial(wire) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        log_in(line, wire)
        for place in range(0, len(stream), size):
            line.sendall(stream[place : place + size])
        said = list(split(read_all(line)))
    assert [kind for kind, _ in said] == [b"1", b"2", b"D", b"C", b"Z"]
    assert said[2][1].endswith(b"400")


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"P" + struct.pack("!I", 0xFFFFFFFF), b"08P01"),
        (b"P" + struct.pack("!I", 3), b"08P01"),
        (packet(b"\x00" + COUNT + b"\x00\xff\xff", b"P"), b"08P01"),
        (packet(b"\x00\x00\x00\x00\xff\xff", b"B"), b"08P01"),
        (packet(b"\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00", b"B"), b"08P01"),
        (packet(b"\x00\x00\x00\x01\x00\x07\x00\x00\x00\x00", b"B"), b"22023"),
        (packet(b"X\x00", b"D"), b"08P01"),
        (packet(b"no end", b"Q"), b"08P01"),
        (packet(b"\xff\x00", b"Q"), b"22021"),
    ],
)
def test_lengths_and_counts_that_lie_end_the_connection(
    wire: WireServer, data: bytes, state: bytes
) -> None:
    with dial(wire) as line:
        log_in(line, wire)
        line.sendall(data)
        said = list(split(read_all(line)))
    assert [kind for kind, _ in said] == [b"E"]
    assert b"C" + state in said[0][1]


def test_statements_and_portals_without_end_are_limited(wire: WireServer) -> None:
    process = psutil.Process(wire.server.process.pid)
    check_alive(wire)
    before = process.memory_info().rss
    with dial(wire) as line:
        log_in(line, wire)
        line.settimeout(120)
        said = b""
        for begin in range(0, 5_000, 500):
            numbers = [b"%d" % number for number in range(begin, begin + 500)]
            line.sendall(b"".join(parse(b"s" + n, b"SELECT 1") for n in numbers))
            line.sendall(b"".join(bind(b"p" + n, b"s" + n) for n in numbers) + MESSAGES["sync"])
            part = b""
            while not part.endswith(b"Z\x00\x00\x00\x05I"):
                more = line.recv(65536)
                assert more, part[-300:]
                part += more
            said += part
        line.sendall(packet(b"", b"X"))
    states = {body.split(b"\x00C")[1][:5] for kind, body in split(said) if kind == b"E"}
    assert states <= {b"53400", b"54000"}
    assert states, "thousands of statements were kept"
    assert process.memory_info().rss - before < 100 * 1024 * 1024


def test_the_server_answers_after_all_that(wire: WireServer) -> None:
    check_alive(wire)
    assert "a connection of the Postgres wire failed" not in wire.server.log.read_text()
