"""Single values in text and in binary: what `encode` cannot do a column at a time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from api.postgres.types import (
    BOOL,
    BYTEA,
    DATE,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    INTERVAL,
    ITEMS,
    JSON,
    NUMERIC,
    OID,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    PgType,
)

EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001 -- the wire's timestamps have no zone
EPOCH_DAY: Final = EPOCH.date()
_BASE: Final = 10_000
_GROUP: Final = 4
_MICRO: Final = timedelta(microseconds=1)
_NEGATIVE: Final = 0x4000
_NAN: Final = 0xC000
_SPECIAL: Final = frozenset('{}",\\')
_PACKED: Final = {INT2: "!h", INT4: "!i", INT8: "!q", FLOAT4: "!f", FLOAT8: "!d", OID: "!I"}
_NUMERIC_HEAD: Final = struct.Struct("!HhHH")


def write_text(type_: PgType, value: Any) -> bytes:
    """Return a value as PostgreSQL writes it."""
    return _text(type_, value).encode()


def _text(type_: PgType, value: Any) -> str:
    if type_.oid in ITEMS:
        return _array(ITEMS[type_.oid], value)
    if type_ == JSON:
        return orjson.dumps(value, default=str).decode()
    if type_ == BYTEA:
        return "\\x" + bytes(value).hex()
    if type_ == BOOL:
        return "t" if value else "f"
    if type_ == INTERVAL:
        return _interval(*split_interval(value))
    if type_ == NUMERIC:
        return f"{Decimal(value):f}"
    if type_ in {FLOAT4, FLOAT8}:
        return repr(value).removesuffix(".0")
    if type_ == TIMESTAMPTZ:
        return write_instant(value, ZoneInfo("UTC")).decode()
    return str(value)


def write_instant(value: datetime, zone: ZoneInfo) -> bytes:
    """Return an instant on the clock of a zone, with its offset."""
    local = value.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    minutes = abs(offset) // timedelta(minutes=1)
    sign = "-" if offset < timedelta() else "+"
    shown = f"{sign}{minutes // 60:02d}" + (f":{minutes % 60:02d}" if minutes % 60 else "")
    text = local.replace(tzinfo=None).isoformat(" ")
    return ((text.rstrip("0") if "." in text else text) + shown).encode()


def _array(item: PgType, values: Sequence[Any]) -> str:
    return "{" + ",".join(_item(item, value) for value in values) + "}"


def _item(item: PgType, value: Any) -> str:
    if value is None:
        return "NULL"
    text = _text(item, value)
    bare = text and text.upper() != "NULL" and not any(
        letter in _SPECIAL or letter.isspace() for letter in text
    )  # fmt: skip
    return text if bare else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_interval(value: Any) -> tuple[int, int, int]:
    """Return an interval's months, days and microseconds."""
    if isinstance(value, timedelta):
        return 0, 0, value // _MICRO
    return value.months, value.days, value.nanoseconds // 1000


def _interval(months: int, days: int, micros: int) -> str:
    years, months = int(months / 12), months - int(months / 12) * 12
    parts = [
        f"{count} {name}{'' if count == 1 else 's'}"
        for count, name in ((years, "year"), (months, "mon"), (days, "day"))
        if count
    ]
    if micros or not parts:
        seconds, rest = divmod(abs(micros), 1_000_000)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        fraction = f".{rest:06d}".rstrip("0") if rest else ""
        parts.append(("-" if micros < 0 else "") + clock + fraction)
    return " ".join(parts)


def write_binary(type_: PgType, value: Any) -> bytes:  # noqa: C901 -- a branch for each type
    """Return a value as the wire's binary format has it."""
    if type_.oid in ITEMS:
        return _binary_array(ITEMS[type_.oid], value)
    if type_ in _PACKED:
        return struct.pack(_PACKED[type_], value)
    if type_ == NUMERIC:
        return write_numeric(Decimal(value))
    if type_ == BOOL:
        return b"\x01" if value else b"\x00"
    if type_ == INTERVAL:
        months, days, micros = split_interval(value)
        return struct.pack("!qii", micros, days, months)
    if type_ == DATE:
        return struct.pack("!i", (value - EPOCH_DAY).days)
    if type_ == TIMESTAMP:
        return struct.pack("!q", (value - EPOCH) // _MICRO)
    if type_ == TIMESTAMPTZ:
        naive = value.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
        return struct.pack("!q", (naive - EPOCH) // _MICRO)
    if type_ == TIME:
        since = timedelta(
            hours=value.hour, minutes=value.minute,
            seconds=value.second, microseconds=value.microsecond,
        )  # fmt: skip
        return struct.pack("!q", since // _MICRO)
    if type_ == BYTEA:
        return bytes(value)
    return _text(type_, value).encode()


def _binary_array(item: PgType, values: Sequence[Any]) -> bytes:
    has_null = any(value is None for value in values)
    if not values:
        return struct.pack("!iiI", 0, 0, item.oid)
    parts = [struct.pack("!iiIii", 1, has_null, item.oid, len(values), 1)]
    for value in values:
        if value is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            raw = write_binary(item, value)
            parts += [struct.pack("!i", len(raw)), raw]
    return b"".join(parts)


def write_numeric(value: Decimal) -> bytes:
    """Return a decimal in groups of four digits, as PostgreSQL sends it."""
    if not value.is_finite():
        return _NUMERIC_HEAD.pack(0, 0, _NAN, 0)
    sign, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    text = "".join(map(str, digits)) + "0" * max(0, int(exponent))
    whole, fraction = (
        (text[:-scale] or "", text[-scale:].rjust(scale, "0")) if scale else (text, "")
    )
    whole = whole.rjust(-(-len(whole) // _GROUP) * _GROUP, "0")
    fraction = fraction.ljust(-(-len(fraction) // _GROUP) * _GROUP, "0")
    joined = whole + fraction
    groups = [int(joined[at : at + _GROUP]) for at in range(0, len(joined), _GROUP)]
    weight = len(whole) // _GROUP - 1
    while groups and not groups[0]:
        groups.pop(0)
        weight -= 1
    while groups and not groups[-1]:
        groups.pop()
    if not groups:
        weight = 0
    head = _NUMERIC_HEAD.pack(len(groups), weight, _NEGATIVE if sign and groups else 0, scale)
    return head + struct.pack(f"!{len(groups)}H", *groups)


def read_numeric(data: bytes) -> Decimal:
    """Return the decimal that binary format writes.

    Raises:
        ValueError, struct.error: it is none.
    """
    count, weight, sign, scale = _NUMERIC_HEAD.unpack_from(data)
    if sign not in {0, _NEGATIVE}:
        return Decimal("NaN")
    groups = struct.unpack(f"!{count}H", data[_NUMERIC_HEAD.size :])
    if any(group >= _BASE for group in groups) or abs(weight) > _BASE or scale > _BASE:
        raise ValueError("malformed numeric")
    digits = "".join(f"{group:04d}" for group in groups) or "0"
    exponent = (weight - count + 1) * _GROUP if count else 0
    number = Decimal((1 if sign else 0, tuple(map(int, digits)), exponent))
    # Not quantize(): it rounds to the precision of the context.
    shown = f"{number:f}"
    whole, _, fraction = shown.partition(".")
    return Decimal(f"{whole}.{fraction[:scale].ljust(scale, '0')}" if scale else whole)


def write_copy(row: Sequence[bytes | None]) -> bytes:
    """Return a row of COPY's text format."""
    return b"\t".join(b"\\N" if cell is None else _escape(cell) for cell in row) + b"\n"


def _escape(cell: bytes) -> bytes:
    return (
        cell.replace(b"\\", b"\\\\")
        .replace(b"\t", b"\\t")
        .replace(b"\n", b"\\n")
        .replace(b"\r", b"\\r")
    )


def write_csv(row: Sequence[bytes | None]) -> bytes:
    """Return a row of COPY's CSV format."""
    return b",".join(b"" if cell is None else _quote(cell) for cell in row) + b"\n"


def _quote(cell: bytes) -> bytes:
    if cell and not any(mark in cell for mark in (b",", b'"', b"\n", b"\r")) and cell != b"\\.":
        return cell
    return b'"' + cell.replace(b'"', b'""') + b'"'


Moment = date | datetime | time
