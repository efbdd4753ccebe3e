"""Arrow columns to DataRow messages, without a Python object per cell where that is cheap.

A row on the wire is `D`, its length, the number of columns, and for each column the length of its
value (-1 for a null) and the value. Here each column becomes an Arrow array of bytes; the lengths
become another, and one call joins them element by element. The joined array's buffer is what is sent.
Numerics in binary, intervals, arrays and JSON are made cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api.postgres import cells
from api.postgres.types import (
    BOOL,
    BYTEA,
    DATE,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    JSON,
    NUMERIC,
    OID,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    type_of,
)

BATCH: Final = 8192
BYTES: Final = pa.large_binary()
_EPOCH: Final = 946_684_800_000_000  # microseconds from 1970 to 2000
_EPOCH_DAYS: Final = 10_957
_HEAD: Final = np.dtype([("kind", "S1"), ("length", ">i4"), ("columns", ">i2")])
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
COPY_TAIL: Final = b"\xff\xff"
_WIDE: Final = {INT2: ">i2", INT4: ">i4", INT8: ">i8", FLOAT4: ">f4", FLOAT8: ">f8", OID: ">u4"}


def encode_rows(table: pa.Table, formats: Sequence[int], zone: str = "UTC") -> Iterator[bytes]:
    """Yield a table's rows as DataRow messages, some thousands of rows at a time."""
    for start in range(0, table.num_rows, BATCH):
        yield _join(_render(table.slice(start, BATCH), formats, zone), b"D")


def encode_copy(table: pa.Table) -> Iterator[bytes]:
    """Yield a table as CopyData messages of binary COPY, with its head and tail."""
    formats = [1] * table.num_columns
    if not table.num_rows:
        yield _frame(COPY_HEAD + COPY_TAIL)
        return
    # Clients expect the head in one message with the first row.
    first = _join(_render(table.slice(0, 1), formats, "UTC"), b"d")
    yield _frame(COPY_HEAD + first[5:])
    for start in range(1, table.num_rows, BATCH):
        yield _join(_render(table.slice(start, BATCH), formats, "UTC"), b"d")
    yield _frame(COPY_TAIL)


def encode_copy_text(
    table: pa.Table, zone: str = "UTC", *, csv: bool = False, header: bool = False
) -> Iterator[bytes]:
    """Yield a table as CopyData messages of text or CSV, one for each row."""
    write = cells.write_csv if csv else cells.write_copy
    if header:
        yield _frame(write([name.encode() for name in table.column_names]))
    for start in range(0, table.num_rows, BATCH):
        part = table.slice(start, BATCH)
        columns = [item.to_pylist() for item in _render(part, [0] * part.num_columns, zone)]
        yield b"".join(_frame(write(row)) for row in zip(*columns, strict=True))


def _frame(data: bytes) -> bytes:
    return b"d" + (len(data) + 4).to_bytes(4, "big") + data


def _render(table: pa.Table, formats: Sequence[int], zone: str) -> list[pa.Array]:
    return [
        render_binary(flatten(column)) if form else render_text(flatten(column), zone)
        for column, form in zip(table.columns, formats, strict=True)
    ]


def _join(columns: Sequence[pa.Array], kind: bytes) -> bytes:
    """Return rows as messages of one kind (`D`, or `d` whose rows have no other head)."""
    count = len(columns[0]) if columns else 0
    if not columns:
        return b""
    sizes = np.full(count, 6 + 4 * len(columns), dtype=np.int64)
    parts: list[pa.Array] = []
    for column in columns:
        lengths = pc.fill_null(pc.cast(pc.binary_length(column), pa.int64()), -1)
        values = lengths.to_numpy(zero_copy_only=False)
        sizes += np.maximum(values, 0)
        parts += [_fixed(values.astype(">i4"), 4), column]
    head = np.empty(count, dtype=_HEAD)
    head["kind"], head["length"], head["columns"] = kind, sizes, len(columns)
    joined = pc.binary_join_element_wise(
        _fixed(head, _HEAD.itemsize), *parts, pa.scalar(b"", BYTES),
        null_handling="replace", null_replacement=b"",
    )  # fmt: skip
    _, offsets, data = joined.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[joined.offset : joined.offset + count + 1]
    return bytes(data.slice(int(places[0]), int(places[-1] - places[0])).to_pybytes())


def _fixed(values: np.ndarray[Any, Any], width: int) -> pa.Array:
    """Return fixed-width values as an array of bytes."""
    count = len(values)
    offsets = pa.py_buffer(np.arange(0, (count + 1) * width, width, dtype=np.int64)[: count + 1])
    return pa.Array.from_buffers(BYTES, count, [None, offsets, pa.py_buffer(values.tobytes())])


def flatten(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, dictionaries decoded."""
    flat = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.combine_chunks()
    if pa.types.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    return flat


def render_text(array: pa.Array, zone: str) -> pa.Array:
    """Return values in text format, as bytes; nulls stay."""
    kind = array.type
    match type_of(kind):
        case type_ if type_ == TEXT:
            texts = pc.cast(array, pa.large_string())
        case type_ if type_ == BOOL:
            texts = pc.if_else(array, "t", "f")
        case type_ if type_ in {INT2, INT4, INT8, OID, DATE}:
            texts = pc.cast(array, pa.large_string())
        case type_ if type_ in {FLOAT4, FLOAT8}:
            texts = _render_floats(array)
        case type_ if type_ == NUMERIC:
            texts = _render_numerics(array)
        case type_ if type_ == TIMESTAMP:
            texts = _render_timestamps(array)
        case type_ if type_ == TIMESTAMPTZ:
            place = ZoneInfo(zone)
            return _each(array, lambda value: cells.write_instant(value, place))
        case type_:
            return _each(array, lambda value: cells.write_text(type_, value))
    return pc.cast(pc.cast(texts, pa.large_string()), BYTES)


def render_binary(array: pa.Array) -> pa.Array:
    """Return values in binary format, as bytes; nulls stay."""
    kind = array.type
    type_ = type_of(kind)
    if type_ == TEXT:
        return pc.cast(pc.cast(array, pa.large_string()), BYTES)
    if type_ == BYTEA:
        return pc.cast(array, BYTES)
    if type_ == BOOL:
        return _packed(array, pc.cast(array, pa.uint8()), "u1")
    if type_ in _WIDE:
        return _packed(array, array, _WIDE[type_])
    if type_ == DATE:
        days = pc.cast(pc.cast(array, pa.date32()), pa.int32())
        return _packed(array, pc.subtract(days, _EPOCH_DAYS), ">i4")
    if type_ in {TIMESTAMP, TIMESTAMPTZ}:
        micros = pc.cast(pc.cast(array, pa.timestamp("us", kind.tz)), pa.int64())
        return _packed(array, pc.subtract(micros, _EPOCH), ">i8")
    if type_ == TIME:
        return _packed(array, pc.cast(pc.cast(array, pa.time64("us")), pa.int64()), ">i8")
    if type_ == JSON:
        return _each(array, lambda value: cells.write_text(type_, value))
    return _each(array, lambda value: cells.write_binary(type_, value))


def _packed(array: pa.Array, numbers: pa.Array, wide: str) -> pa.Array:
    filled = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False).astype(wide)
    made = _fixed(filled, filled.dtype.itemsize)
    return (
        pc.if_else(pc.is_valid(array), made, pa.scalar(None, BYTES)) if array.null_count else made
    )


def _each(array: pa.Array, write: Callable[[Any], bytes]) -> pa.Array:
    values = array.to_pylist()
    return pa.array([None if value is None else write(value) for value in values], BYTES)


def _render_floats(array: pa.Array) -> pa.Array:
    texts = pc.cast(array, pa.large_string())
    texts = pc.replace_substring_regex(texts, r"\.0$", "")
    finite = pc.all(pc.is_finite(array)).as_py()
    if finite or len(array) == array.null_count:
        return texts
    texts = pc.replace_substring(texts, "inf", "Infinity")
    return pc.replace_substring_regex(texts, "^-?nan$", "NaN")


def _render_numerics(array: pa.Array) -> pa.Array:
    texts = pc.cast(array, pa.large_string())
    if pc.any(pc.match_substring(texts, "E")).as_py():
        return pa.array(
            [None if value is None else f"{value:f}" for value in array.to_pylist()],
            pa.large_string(),
        )
    return texts


def _render_timestamps(array: pa.Array) -> pa.Array:
    stamps = pc.cast(array, pa.timestamp("us"))
    texts = pc.cast(pc.cast(stamps, pa.string()), pa.large_string())
    return pc.replace_substring_regex(texts, r"\.?0+$", "")
