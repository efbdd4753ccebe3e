"""Rows as bytes, read back by psycopg, which has its own idea of every type."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import psycopg.adapt
import psycopg.pq
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.postgres.cells import read_numeric, write_numeric
from api.postgres.encode import encode_copy, encode_rows
from api.postgres.types import type_of

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
TEN = NEW_YEAR + timedelta(hours=10, seconds=10)
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int16(), [1, None, -32768]),
    (pa.int32(), [1, None, -(2**31)]),
    (pa.int64(), [1, None, 2**63 - 1]),
    (pa.bool_(), [True, None, False]),
    (pa.float64(), [1.0, None, -1.5e-300, 1e20, 0.1]),
    (pa.float32(), [0.5, None, -2.0]),
    (pa.string(), ["é", None, "", "a\tb"]),
    (pa.date32(), [date(2024, 2, 29), None, date(1, 1, 1)]),
    (pa.timestamp("us"), [NEW_YEAR, None, NEW_YEAR - timedelta(seconds=0.5)]),
    (pa.timestamp("us", "UTC"), [datetime(2024, 1, 1, tzinfo=UTC), None]),
    (pa.time64("us"), [time(23, 59, 59, 999_999), None, time()]),
    (pa.decimal128(38, 0), [Decimal(10) ** 37, None, Decimal(-20000), Decimal(0)]),
    (pa.decimal128(20, 7), [Decimal("0.0000001"), None, Decimal("-12345.6780000")]),
    (pa.list_(pa.string()), [["a", None, 'b "c"', "NULL", ""], None, []]),
    (pa.list_(pa.int32()), [[1, None, 3], None, []]),
    (pa.binary(), [b"\x00\xff", None, b""]),
    (pa.null(), [None, None]),
]  # fmt: skip


def cells(data: bytes) -> Iterator[list[bytes | None]]:
    """Read DataRow messages by hand."""
    place = 0
    while place < len(data):
        assert data[place : place + 1] == b"D"
        length, columns = struct.unpack_from("!ih", data, place + 1)
        end, place = place + 1 + length, place + 7
        row: list[bytes | None] = []
        for _ in range(columns):
            (size,) = struct.unpack_from("!i", data, place)
            place += 4
            row.append(None if size < 0 else data[place : place + size])
            place += max(0, size)
        assert place == end
        yield row


def load(kind: pa.DataType, value: bytes | None, form: int) -> Any:
    if value is None:
        return None
    oid = type_of(kind).oid
    transformer = psycopg.adapt.Transformer()
    return transformer.get_loader(oid, psycopg.pq.Format(form)).load(value)


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize(("kind", "values"), VALUES, ids=lambda value: str(value)[:20])
def test_psycopg_reads_the_values_that_were_written(
    kind: pa.DataType, values: Sequence[Any], form: int
) -> None:
    table = pa.table({"x": pa.array(values, kind), "n": pa.array(range(len(values)))})
    rows = list(cells(b"".join(encode_rows(table, [form, 0]))))
    assert [load(kind, row[0], form) for row in rows] == list(values)
    assert [row[1] for row in rows] == [str(place).encode() for place in range(len(values))]


def test_text_is_written_as_postgresql_writes_it() -> None:
    table = pa.table(
        {
            "float": pa.array([1.0, 1e20, float("inf"), float("-inf"), float("nan")]),
            "stamp": pa.array([TEN] * 4 + [TEN + timedelta(seconds=0.5)]),
            "flag": pa.array([True, False, None, True, True]),
            "small": pa.array([Decimal("0.0000001")] * 5, pa.decimal128(20, 7)),
        }
    )
    rows = list(cells(b"".join(encode_rows(table, [0, 0, 0, 0]))))
    assert [row[0] for row in rows] == [b"1", b"1e+20", b"Infinity", b"-Infinity", b"NaN"]
    assert rows[0][1] == b"2024-01-01 10:00:10"
    assert rows[4][1] == b"2024-01-01 10:00:10.5"
    assert [row[2] for row in rows[:3]] == [b"t", b"f", None]
    assert rows[0][3] == b"0.0000001"


def test_instants_are_written_on_the_clock_of_the_session() -> None:
    table = pa.table({"x": pa.array([datetime(2024, 7, 1, 12, tzinfo=UTC)])})
    for zone, text in (
        ("UTC", b"2024-07-01 12:00:00+00"),
        ("Asia/Kolkata", b"2024-07-01 17:30:00+05:30"),
        ("America/New_York", b"2024-07-01 08:00:00-04"),
    ):
        assert next(cells(b"".join(encode_rows(table, [0], zone)))) == [text]


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=30), st.integers(0, 5))
def test_any_text_and_any_slice_come_out_whole(values: list[str | None], start: int) -> None:
    table = pa.table({"x": pa.array(values, pa.string()), "y": pa.array(values, pa.string())})
    part = table.slice(start)
    rows = list(cells(b"".join(encode_rows(part, [0, 1]))))
    expected = [None if value is None else value.encode() for value in values[start:]]
    assert rows == [[value, value] for value in expected]


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20
    )
)
def test_numerics_survive_their_binary_form(value: Decimal) -> None:
    data = write_numeric(value)
    assert read_numeric(data) == value
    assert load(pa.decimal128(38, 9), data, 1) == value


def test_binary_copy_has_its_head_with_the_first_row() -> None:
    empty = b"".join(encode_copy(pa.table({"x": pa.array([], pa.int32())})))
    assert empty[5:16] == b"PGCOPY\n\xff\r\n\x00"
    assert empty.endswith(b"\xff\xff")
    table = pa.table({"x": pa.array([1, 2], pa.int32())})
    head = next(iter(encode_copy(table)))
    assert head[-10:] == b"\x00\x01\x00\x00\x00\x04\x00\x00\x00\x01"
