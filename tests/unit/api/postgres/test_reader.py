"""Bytes to messages: in pieces, within limits, in their order; everything else is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.postgres.errors import ProtocolError
from api.postgres.protocol.connection import Connection, Phase
from api.postgres.protocol.messages import (
    Bind,
    CancelRequest,
    Describe,
    EncryptionRequest,
    Execute,
    Message,
    Parse,
    SimpleQuery,
    Startup,
    Sync,
    Terminate,
)
from api.postgres.protocol.reader import LARGEST_FIRST, LARGEST_PASSWORD

STARTUP = b"\x00\x03\x00\x00user\x00ann\x00database\x00ducat\x00\x00"


def frame(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def first(body: bytes) -> bytes:
    return struct.pack("!I", len(body) + 4) + body


def ready() -> Connection:
    connection = Connection()
    connection.feed(first(STARTUP))
    assert isinstance(connection.next(), Startup)
    connection.logged_in()
    return connection


def test_a_startup_packet_gives_its_parameters_even_byte_by_byte() -> None:
    connection = Connection()
    packet = first(STARTUP)
    for place in range(len(packet)):
        assert connection.next() is None
        connection.feed(packet[place : place + 1])
    found = connection.next()
    assert isinstance(found, Startup)
    assert dict(found.parameters) == {"user": "ann", "database": "ducat"}
    assert connection.phase is Phase.LOGIN


def test_encryption_and_cancel_requests_are_told_apart() -> None:
    connection = Connection()
    connection.feed(first(struct.pack("!I", 80877103)))
    assert connection.next() == EncryptionRequest("tls")
    connection.feed(first(struct.pack("!I", 80877104)))
    assert connection.next() == EncryptionRequest("gss")
    connection.feed(first(struct.pack("!Ii", 80877102, 5) + b"abcd"))
    assert connection.next() == CancelRequest(5, b"abcd")
    assert connection.phase is Phase.CLOSED


def test_bytes_that_came_before_encryption_are_refused() -> None:
    connection = Connection()
    connection.feed(first(struct.pack("!I", 80877103)) + b"early")
    assert connection.next() == EncryptionRequest("tls")
    with pytest.raises(ProtocolError):
        connection.starts_over()


def test_messages_of_the_extended_protocol_are_read_in_order() -> None:
    connection = ready()
    connection.feed(
        frame(b"P", b"s\x00select $1\x00" + struct.pack("!HI", 1, 23))
        + frame(
            b"B",
            b"p\x00s\x00" + struct.pack("!HHHi", 1, 1, 2, 1) + b"x" + struct.pack("!iHH", -1, 1, 1),
        )
        + frame(b"D", b"Pp\x00")
        + frame(b"E", b"p\x00" + struct.pack("!i", 7))
        + frame(b"S", b"")
        + frame(b"Q", b"select 1\x00")
        + frame(b"X", b"")
    )
    found: list[Message | None] = [connection.next() for _ in range(7)]  # type: ignore[misc]
    assert found == [
        Parse("s", "select $1", (23,)),
        Bind("p", "s", (1,), (b"x", None), (1,)),
        Describe("portal", "p"),
        Execute("p", 7),
        Sync(),
        SimpleQuery("select 1"),
        Terminate(),
    ]
    assert connection.phase is Phase.CLOSED


def test_after_a_failure_everything_up_to_sync_is_skipped() -> None:
    connection = ready()
    connection.failed()
    connection.feed(frame(b"D", b"Sx\x00") + frame(b"Q", b"x\x00") + frame(b"S", b""))
    assert connection.next() == Sync()
    assert connection.phase is Phase.READY


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!I", LARGEST_FIRST + 1),
        struct.pack("!I", 3),
        first(struct.pack("!I", 2 << 16)),
        first(b"\x00\x03\x00\x00user\x00ann"),
        first(b"\x00\x03\x00\x00user\x00\xff\x00\x00"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_first_packet_that_is_none_is_refused(data: bytes) -> None:
    connection = Connection()
    connection.feed(data)
    with pytest.raises(ProtocolError):
        connection.next()
    assert connection.phase is Phase.CLOSED


@pytest.mark.parametrize(
    "data",
    [
        b"z",
        b"Q" + struct.pack("!I", 1 << 31),
        b"Q" + struct.pack("!I", 3),
        frame(b"Q", b"no end"),
        frame(b"Q", b"one\x00two\x00"),
        frame(b"B", b"p\x00s\x00" + struct.pack("!HHi", 0, 1, 50)),
        frame(b"B", b"p\x00s\x00" + struct.pack("!HH", 1, 7)),
        frame(b"D", b"Xp\x00"),
        frame(b"p", b"again\x00"),
    ],
)
def test_a_message_that_is_none_is_refused(data: bytes) -> None:
    connection = ready()
    connection.feed(data)
    with pytest.raises(ProtocolError):
        connection.next()


def test_before_the_login_a_message_is_short() -> None:
    connection = Connection()
    connection.feed(first(STARTUP))
    connection.next()
    connection.feed(b"p" + struct.pack("!I", LARGEST_PASSWORD + 1))
    with pytest.raises(ProtocolError):
        connection.next()


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
def test_any_bytes_are_messages_or_an_error_of_the_protocol(
    pieces: list[bytes], logged_in: bool
) -> None:
    connection = ready() if logged_in else Connection()
    try:
        for piece in pieces:
            connection.feed(piece)
            while connection.next() is not None:
                pass
    except ProtocolError:
        assert connection.phase is Phase.CLOSED


@given(
    st.sampled_from([b"Q", b"P", b"B", b"D", b"E", b"C", b"S", b"H", b"d", b"F"]),
    st.binary(max_size=80),
)
def test_any_body_of_a_known_message_is_read_or_refused(kind: bytes, body: bytes) -> None:
    connection = ready()
    connection.feed(frame(kind, body))
    try:
        connection.next()
    except ProtocolError:
        assert connection.phase is Phase.CLOSED
