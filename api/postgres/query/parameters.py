"""Parameters of a statement: what types they have, their values, and the tree with values in it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqlglot import exp

from api.postgres.cells import EPOCH, EPOCH_DAY, read_numeric
from api.postgres.errors import SqlError
from api.postgres.types import (
    BOOL,
    BPCHAR,
    BYTEA,
    DATE,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    INTERVAL,
    ITEMS,
    JSONB,
    NAME,
    NUMERIC,
    OID,
    REGCLASS,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    TYPES,
    UNKNOWN,
    VARCHAR,
    PgType,
    make_array,
)  # fmt: skip

MOST_PARAMETERS: Final = 65_535
Value = Any
ColumnType = Callable[[exp.Expr], PgType | None]
_DIGITS: Final = re.compile(r"[+-]?\d{1,40}")
_TEXTS: Final = {TEXT.oid, VARCHAR.oid, BPCHAR.oid, NAME.oid, UNKNOWN.oid, 0}
_INTEGERS: Final = {INT2.oid: "!h", INT4.oid: "!i", INT8.oid: "!q", OID.oid: "!I",
                    REGCLASS.oid: "!I"}  # fmt: skip
_NAMES: Final = {
    "smallint": INT2, "int": INT4, "bigint": INT8, "float": FLOAT4, "double": FLOAT8,
    "decimal": NUMERIC, "text": TEXT, "varchar": VARCHAR, "boolean": BOOL, "date": DATE,
    "timestamp": TIMESTAMP, "timestampntz": TIMESTAMP, "timestamptz": TIMESTAMPTZ,
    "interval": INTERVAL, "regclass": TEXT, "oid": OID, "name": TEXT, "bit": OID,
}  # fmt: skip


def number_of(node: exp.Expr) -> int | None:
    """Return the number of a parameter, or None for what is none."""
    if isinstance(node, exp.Parameter):
        text = node.name or str(getattr(node.this, "this", ""))
        if not text.isdigit() or not 1 <= int(text) <= MOST_PARAMETERS:
            raise SqlError("there is no such parameter", sqlstate="42P02")
        return int(text)
    if isinstance(node, exp.Placeholder):
        raise SqlError("parameters are written $1, $2, …", sqlstate="42601")
    return None


def infer_types(
    tree: exp.Expr, given: Sequence[int], column_type: ColumnType
) -> tuple[PgType, ...]:
    """Return the types of a statement's parameters; `given` are the client's, 0 where unknown."""
    found: dict[int, PgType] = {}
    most = 0
    for node in tree.find_all(exp.Parameter, exp.Placeholder):
        number = number_of(node)
        if number is None:
            continue
        most = max(most, number)
        if number not in found:
            guess = _infer(node, column_type)
            if guess is not None:
                found[number] = guess
    count = max(most, len(given))
    types: list[PgType] = []
    for place in range(count):
        oid = given[place] if place < len(given) else 0
        if oid and oid != UNKNOWN.oid:
            types.append(TYPES.get(oid, PgType(oid, "unknown", "unknown", -1, "X", 0)))
        else:
            types.append(found.get(place + 1, TEXT))
    return tuple(types)


def _infer(node: exp.Expr, column_type: ColumnType) -> PgType | None:
    parent = node.parent
    while isinstance(parent, exp.Paren | exp.Neg):
        node, parent = parent, parent.parent
    match parent:
        case exp.Cast():
            is_array = parent.to.this == exp.DType.ARRAY
            kind = parent.to.expressions[0] if is_array and parent.to.expressions else parent.to
            name = str(getattr(kind, "this", kind))
            name = getattr(getattr(kind, "this", None), "value", name).lower()
            type_ = _NAMES.get(name)
            return make_array(type_) if type_ is not None and is_array else type_
        case exp.Limit() | exp.Offset():
            return INT8
        case exp.Any():
            grand = parent.parent
            other = grand.this if isinstance(grand, exp.Binary) else None
            type_ = column_type(other) if other is not None else None
            return make_array(type_ or TEXT)
        case exp.Binary() | exp.Between() | exp.In():
            sides = [child for child in parent.iter_expressions() if child is not node]
            for side in sides:
                type_ = column_type(side)
                if type_ is not None:
                    return type_
    return None


def read_value(type_: PgType, form: int, data: bytes | None) -> Value:
    """Return the value that a client sent.

    Raises:
        SqlError: it is none of its type.
    """
    if data is None:
        return None
    try:
        return _read_binary(type_, data) if form else _read_text(type_, data.decode())
    except UnicodeDecodeError as invalid:
        raise SqlError("invalid byte sequence for encoding UTF8", sqlstate="22021") from invalid
    except (ValueError, struct.error, InvalidOperation, OverflowError, IndexError) as invalid:
        raise SqlError(
            f"invalid input for type {type_.title}", sqlstate="22P03" if form else "22P02"
        ) from invalid


def _read_text(type_: PgType, text: str) -> Value:  # noqa: C901 -- a branch for each type
    if "\x00" in text:
        raise ValueError(text)
    if type_.oid in ITEMS:
        return [
            None if item is None else _read_text(ITEMS[type_.oid], item)
            for item in split_array(text)
        ]
    if type_.oid in _INTEGERS:
        if not _DIGITS.fullmatch(text.strip()):
            raise ValueError(text)
        return int(text)
    if type_ in {FLOAT4, FLOAT8}:
        return float(text)
    if type_ == NUMERIC:
        return Decimal(text)
    if type_ == BOOL:
        word = text.strip().lower()
        if (word and any(full.startswith(word) for full in ("true", "yes", "on"))) or word == "1":
            return True
        if (word and any(full.startswith(word) for full in ("false", "no", "off"))) or word == "0":
            return False
        raise ValueError(text)
    if type_ == DATE:
        return date.fromisoformat(text.strip())
    if type_ in {TIMESTAMP, TIMESTAMPTZ}:
        return datetime.fromisoformat(_whole_offset(text.strip()))
    return text


def _whole_offset(text: str) -> str:
    found = re.search(r"[+-]\d{2}$", text)
    return f"{text}:00" if found and ":" in text else text


def _read_binary(type_: PgType, data: bytes) -> Value:  # noqa: C901 -- a branch for each type
    if type_.oid in ITEMS:
        return _read_array(data)
    if type_.oid in _INTEGERS:
        return struct.unpack(_INTEGERS[type_.oid], data)[0]
    if type_ == FLOAT4:
        return struct.unpack("!f", data)[0]
    if type_ == FLOAT8:
        return struct.unpack("!d", data)[0]
    if type_ == BOOL:
        if len(data) != 1:
            raise ValueError(data)
        return data != b"\x00"
    if type_ == NUMERIC:
        return read_numeric(data)
    if type_ == DATE:
        return EPOCH_DAY + timedelta(days=struct.unpack("!i", data)[0])
    if type_ in {TIMESTAMP, TIMESTAMPTZ}:
        moment = EPOCH + timedelta(microseconds=struct.unpack("!q", data)[0])
        return moment if type_ == TIMESTAMP else moment.replace(tzinfo=UTC)
    if type_ == INTERVAL:
        micros, days, months = struct.unpack("!qii", data)
        return f"{months} months {days} days {micros} microseconds"
    if type_ == BYTEA:
        return data
    text = (data[1:] if type_ == JSONB else data).decode()
    if "\x00" in text:
        raise ValueError(text)
    return text


def _read_array(data: bytes) -> list[Value]:
    dimensions, _, oid = struct.unpack_from("!iiI", data)
    if dimensions == 0:
        return []
    if dimensions != 1 or oid not in TYPES:
        raise ValueError(data)
    count, _ = struct.unpack_from("!ii", data, 12)
    place, found = 20, list[Value]()
    for _ in range(count):
        (length,) = struct.unpack_from("!i", data, place)
        place += 4
        if length < 0:
            found.append(None)
            continue
        if place + length > len(data):
            raise ValueError(data)
        found.append(_read_binary(TYPES[oid], data[place : place + length]))
        place += length
    if place != len(data):
        raise ValueError(data)
    return found


def split_array(text: str) -> list[str | None]:
    """Return the items of an array of one dimension, `{a,"b c",NULL}`.

    Raises:
        SqlError: it is none.
    """
    try:
        return _read_items(text)
    except (ValueError, IndexError) as invalid:
        raise SqlError(f"malformed array literal: {text[:60]}", sqlstate="22P02") from invalid


def _read_items(text: str) -> list[str | None]:
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(text)
    inside, items, place = text[1:-1], list[str | None](), 0
    if not inside.strip():
        return []
    while place <= len(inside):
        while place < len(inside) and inside[place].isspace():
            place += 1
        if place < len(inside) and inside[place] == '"':
            item, place = _quoted(inside, place + 1)
            items.append(item)
        else:
            end = inside.find(",", place)
            end = len(inside) if end < 0 else end
            word = inside[place:end].strip()
            if not word or "{" in word or "}" in word or '"' in word:
                raise ValueError(text)
            items.append(None if word.upper() == "NULL" else word.replace("\\", ""))
            place = end
        while place < len(inside) and inside[place].isspace():
            place += 1
        if place < len(inside) and inside[place] != ",":
            raise ValueError(text)
        place += 1
    return items


def _quoted(text: str, place: int) -> tuple[str, int]:
    found = []
    while text[place] != '"':
        if text[place] == "\\":
            place += 1
        found.append(text[place])
        place += 1
    return "".join(found), place + 1


def fill_in(tree: exp.Query, types: Sequence[PgType], values: Sequence[Value] | None) -> exp.Query:
    """Return a copy of the tree with values for parameters; without values, nulls of their types."""
    filled = tree.copy()
    for node in list(filled.find_all(exp.Parameter, exp.Placeholder)):
        number = number_of(node)
        if number is None or number > len(types):
            raise SqlError(f"there is no parameter ${number}", sqlstate="42P02")
        value = None if values is None else values[number - 1]
        _put(node, types[number - 1], value)
    return filled


def _put(node: exp.Expr, type_: PgType, value: Value) -> None:
    parent = node.parent
    holder = parent
    while isinstance(holder, exp.Paren):
        holder = holder.parent
    if isinstance(holder, exp.Limit | exp.Offset):
        if value is None:
            holder.pop()
            return
        if not str(value).isdigit():
            raise SqlError("LIMIT and OFFSET must not be negative", sqlstate="2201W")
        holder.set("expression", exp.Literal.number(int(value)))
        return
    if isinstance(holder, exp.Any) and isinstance(holder.parent, exp.EQ | exp.NEQ):
        _put_list(holder, type_, value)
        return
    node.replace(write_value(type_, value))


def _put_list(holder: exp.Expr, type_: PgType, value: Value) -> None:
    """Write `x = ANY(array)` as IN: that is what it means, and what filters can say."""
    comparison = holder.parent
    assert comparison is not None  # noqa: S101 -- the caller looked at it
    item = ITEMS.get(type_.oid, TEXT)
    if not isinstance(comparison, exp.EQ):
        raise SqlError("<> ANY is not answered: write NOT IN", sqlstate="0A000")
    other = comparison.this if comparison.expression is holder else comparison.expression
    if isinstance(value, str):
        value = split_array(value)
    if not value:
        comparison.replace(exp.false() if value is not None else exp.Null())
        return
    items = [write_value(item, part) for part in value]
    comparison.replace(exp.In(this=other, expressions=items))


def write_value(type_: PgType, value: Value) -> exp.Expr:  # noqa: C901 -- a branch for each type
    """Return a value as SQL."""
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int():
            return _number(str(value))
        case Decimal() if value.is_finite():
            return _number(f"{value:f}")
        case float() if value == value and abs(value) != float("inf"):  # noqa: PLR0124
            return _number(f"{Decimal(repr(value)):f}")
        case datetime():
            kind = "TIMESTAMP" if value.tzinfo is None else "TIMESTAMPTZ"
            return exp.cast(exp.Literal.string(value.isoformat(" ")), kind)
        case date():
            return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
        case list():
            item = ITEMS.get(type_.oid, TEXT)
            return exp.Array(expressions=[write_value(item, part) for part in value])
        case bytes():
            raise SqlError("a value of type bytea is not answered", sqlstate="0A000")
        case _ if type_ == INTERVAL:
            return exp.cast(exp.Literal.string(str(value)), "INTERVAL")
        case _:
            return exp.Literal.string(str(value))


def _number(text: str) -> exp.Expr:
    if text.startswith("-"):
        return exp.Neg(this=exp.Literal.number(text[1:]))
    return exp.Literal.number(text)
