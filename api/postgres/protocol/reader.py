"""Bytes to messages, whole ones only.

A length is checked before its bytes are waited for: a client cannot make the server keep more than
`largest` of them. Texts are UTF-8. Whatever is malformed raises ProtocolError, and the reader is of
no more use.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal

from api.postgres.errors import ProtocolError
from api.postgres.protocol.messages import (
    Bind,
    CancelRequest,
    Close,
    CopyPart,
    Describe,
    EncryptionRequest,
    Execute,
    FirstMessage,
    Flush,
    FunctionCall,
    Message,
    Parse,
    Password,
    SimpleQuery,
    Startup,
    Sync,
    Terminate,
)

LARGEST_FIRST: Final = 10_000
LARGEST_PASSWORD: Final = 65_536
LARGEST: Final = 4 * 1024 * 1024
CANCEL: Final = 80877102
TLS: Final = 80877103
GSS: Final = 80877104
MAJOR: Final = 3
_HEAD: Final = 5
_SMALLEST_LENGTH: Final = 4
_FIRST_HEAD: Final = 8
_LONGEST_KEY: Final = 256
_LENGTH: Final = struct.Struct("!I")
_SHORT: Final = struct.Struct("!H")
_SIGNED: Final = struct.Struct("!i")


class Reader:
    """Takes bytes as they come and gives whole messages."""

    __slots__ = ("_buffer", "_start", "largest")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        self.largest = LARGEST_PASSWORD

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    @property
    def waiting(self) -> int:
        """How many bytes wait."""
        return len(self._buffer) - self._start

    @property
    def is_empty(self) -> bool:
        """Whether no byte waits."""
        return len(self._buffer) == self._start

    def read_first(self) -> FirstMessage | None:
        """Return the packet that opens a connection, or None until it is whole.

        Raises:
            ProtocolError: it is none.
        """
        if len(self._buffer) - self._start < _SMALLEST_LENGTH:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, self._start)
        if not _FIRST_HEAD <= length <= LARGEST_FIRST:
            raise ProtocolError("invalid length of startup packet")
        if len(self._buffer) - self._start < length:
            return None
        body = bytes(self._buffer[self._start + 4 : self._start + length])
        self._start += length
        return _read_first(body)

    def read(self) -> Message | None:
        """Return the next message, or None until it is whole.

        Raises:
            ProtocolError: it is none, or too long.
        """
        start, buffer = self._start, self._buffer
        if len(buffer) - start < _HEAD:
            if len(buffer) > start and buffer[start] not in _PARSERS:
                raise ProtocolError(f"invalid frontend message type {buffer[start]}")
            return None
        parser = _PARSERS.get(buffer[start])
        if parser is None:
            raise ProtocolError(f"invalid frontend message type {buffer[start]}")
        (length,) = _LENGTH.unpack_from(buffer, start + 1)
        if not _SMALLEST_LENGTH <= length <= self.largest:
            raise ProtocolError(f"invalid length of a message; at most {self.largest} bytes")
        end = start + 1 + length
        if len(buffer) < end:
            return None
        body = _Body(bytes(buffer[start + _HEAD : end]))
        self._start = end
        message = parser(body)
        body.finish()
        return message


class _Body:
    """The fields of one message, read in order."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def text(self) -> str:
        end = self._data.find(b"\x00", self._place)
        if end < 0:
            raise ProtocolError("a text in a message does not end")
        raw = self._data[self._place : end]
        self._place = end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError as invalid:
            raise ProtocolError(
                "invalid byte sequence for encoding UTF8", sqlstate="22021"
            ) from invalid

    def short(self) -> int:
        (value,) = _SHORT.unpack(self.take(2))
        return int(value)

    def long(self) -> int:
        (value,) = _SIGNED.unpack(self.take(4))
        return int(value)

    def take(self, count: int) -> bytes:
        end = self._place + count
        if count < 0 or end > len(self._data):
            raise ProtocolError("a message ends before its fields do")
        found = self._data[self._place : end]
        self._place = end
        return found

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._place)

    def finish(self) -> None:
        if self._place != len(self._data):
            raise ProtocolError("a message is longer than its fields")


def _read_first(body: bytes) -> FirstMessage:
    (code,) = _LENGTH.unpack_from(body)
    fields = _Body(body[4:])
    match code:
        case 80877103 | 80877104:
            fields.finish()
            return EncryptionRequest("tls" if code == TLS else "gss")
        case 80877102:
            process = fields.long()
            key = fields.rest()
            if not 0 < len(key) <= _LONGEST_KEY:
                raise ProtocolError("invalid length of a cancel request")
            return CancelRequest(process, key)
    if code >> 16 != MAJOR:
        raise ProtocolError(
            f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: this server speaks 3.0",
            sqlstate="0A000",
        )
    parameters: dict[str, str] = {}
    while name := fields.text():
        parameters[name] = fields.text()
    fields.finish()
    return Startup(code & 0xFFFF, MappingProxyType(parameters))


def _read_password(body: _Body) -> Message:
    return Password(body.rest())


def _read_query(body: _Body) -> Message:
    return SimpleQuery(body.text())


def _read_parse(body: _Body) -> Message:
    name, text = body.text(), body.text()
    count = body.short()
    return Parse(name, text, struct.unpack(f"!{count}I", body.take(4 * count)))


def _read_bind(body: _Body) -> Message:
    portal, statement = body.text(), body.text()
    formats = _read_formats(body)
    values: list[bytes | None] = []
    for _ in range(body.short()):
        length = body.long()
        if length < -1:
            raise ProtocolError("invalid length of a value")
        values.append(None if length < 0 else body.take(length))
    if len(formats) not in {0, 1, len(values)}:
        raise ProtocolError(
            f"bind message has {len(formats)} parameter formats but {len(values)} parameters"
        )
    return Bind(portal, statement, formats, tuple(values), _read_formats(body))


def _read_formats(body: _Body) -> tuple[int, ...]:
    count = body.short()
    formats: tuple[int, ...] = struct.unpack(f"!{count}H", body.take(2 * count))
    if any(value > 1 for value in formats):
        raise ProtocolError("unsupported format code: 0 is text, 1 is binary", sqlstate="22023")
    return formats


def _read_kind(body: _Body) -> Literal["statement", "portal"]:
    match body.take(1):
        case b"S":
            return "statement"
        case b"P":
            return "portal"
        case other:
            raise ProtocolError(f"invalid subtype {other[0]}")


def _read_describe(body: _Body) -> Message:
    return Describe(_read_kind(body), body.text())


def _read_close(body: _Body) -> Message:
    return Close(_read_kind(body), body.text())


def _read_execute(body: _Body) -> Message:
    return Execute(body.text(), max(0, body.long()))


def _read_copy(body: _Body) -> Message:
    body.rest()
    return CopyPart()


def _read_call(body: _Body) -> Message:
    body.rest()
    return FunctionCall()


_PARSERS: Final[dict[int, Callable[[_Body], Message]]] = {
    ord("p"): _read_password,
    ord("Q"): _read_query,
    ord("P"): _read_parse,
    ord("B"): _read_bind,
    ord("D"): _read_describe,
    ord("E"): _read_execute,
    ord("C"): _read_close,
    ord("S"): lambda _: Sync(),
    ord("H"): lambda _: Flush(),
    ord("X"): lambda _: Terminate(),
    ord("d"): _read_copy,
    ord("c"): _read_copy,
    ord("f"): _read_copy,
    ord("F"): _read_call,
}
