"""Messages of the server as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_I: Final = struct.Struct("!i")
_HEAD: Final = struct.Struct("!ci")
_COLUMN: Final = struct.Struct("!IhIhih")

AUTHENTICATED: Final = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
ASK_PASSWORD: Final = b"R\x00\x00\x00\x08\x00\x00\x00\x03"
PARSED: Final = b"1\x00\x00\x00\x04"
BOUND: Final = b"2\x00\x00\x00\x04"
CLOSED: Final = b"3\x00\x00\x00\x04"
NO_DATA: Final = b"n\x00\x00\x00\x04"
EMPTY_QUERY: Final = b"I\x00\x00\x00\x04"
SUSPENDED: Final = b"s\x00\x00\x00\x04"
COPY_DONE: Final = b"c\x00\x00\x00\x04"
READY: Final = {state: b"Z\x00\x00\x00\x05" + state.encode() for state in "ITE"}
_SASL: Final = 10
_SASL_CONTINUE: Final = 11
_SASL_FINAL: Final = 12


@dataclass(frozen=True, slots=True)
class Field:
    """A column of an answer: its name, the OID and width of its type, and the type's modifier."""

    name: str
    oid: int
    size: int
    modifier: int = -1


def frame(kind: bytes, body: bytes) -> bytes:
    """Return a message: its letter, its length, its body."""
    return _HEAD.pack(kind, len(body) + 4) + body


def ask_sasl(mechanisms: Iterable[str]) -> bytes:
    """Offer ways to log in."""
    names = b"".join(name.encode() + b"\x00" for name in mechanisms)
    return frame(b"R", _I.pack(_SASL) + names + b"\x00")


def continue_sasl(data: str, *, final: bool = False) -> bytes:
    """Give the server's next step of SASL."""
    return frame(b"R", _I.pack(_SASL_FINAL if final else _SASL_CONTINUE) + data.encode())


def report_parameter(name: str, value: str) -> bytes:
    """Tell a setting that clients follow."""
    return frame(b"S", text(name) + text(value))


def give_key(process: int, key: bytes) -> bytes:
    """Give what a CancelRequest must bring."""
    return frame(b"K", _I.pack(process) + key)


def complete(tag: str) -> bytes:
    """End a statement."""
    return frame(b"C", text(tag))


def describe_parameters(oids: Sequence[int]) -> bytes:
    """Tell the types of a statement's parameters."""
    return frame(b"t", struct.pack(f"!H{len(oids)}I", len(oids), *oids))


def describe_row(fields: Sequence[Field], formats: Sequence[int]) -> bytes:
    """Tell the columns of an answer; `formats` has one for each."""
    parts = [struct.pack("!H", len(fields))]
    for number, (field, form) in enumerate(zip(fields, formats, strict=True), start=1):
        del number
        parts += [
            text(field.name),
            _COLUMN.pack(0, 0, field.oid, field.size, field.modifier, form),
        ]
    return frame(b"T", b"".join(parts))


def report_error(fields: Mapping[str, str], *, notice: bool = False) -> bytes:
    """Tell an error, or a notice, by its fields."""
    body = b"".join(letter.encode() + text(value) for letter, value in fields.items())
    return frame(b"N" if notice else b"E", body + b"\x00")


def start_copy(columns: int, form: int) -> bytes:
    """Begin a COPY to the client; all columns have one format."""
    return frame(b"H", struct.pack(f"!bH{columns}H", form, columns, *([form] * columns)))


def report_protocol(minor: int, options: Sequence[str]) -> bytes:
    """Tell the newest minor version that is spoken, and the options that are not known."""
    body = struct.pack("!II", minor, len(options)) + b"".join(text(item) for item in options)
    return frame(b"v", body)


def text(value: str) -> bytes:
    """Return a text as the wire has it; a zero byte cannot be said and is left out."""
    return value.replace("\x00", "").encode("utf-8", "replace") + b"\x00"
