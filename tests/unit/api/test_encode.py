"""Arrow to JSON: exact numbers, shortest floats, local times, hostile text."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from api.encode import ColumnType, flatten, join_rows, render_column, render_numbers, render_times
from semantic.errors import InternalError


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def decode(texts: pa.Array) -> list[Any]:
    return [json.loads(text) for text in texts.to_pylist()]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, -5, 2**62], pa.int64(), ["1", "-5", "4611686018427387904"]),
        ([Decimal("12345678901234567890.10")], pa.decimal128(38, 2), ["12345678901234567890.10"]),
        (
            [Decimal("0E-10"), Decimal("1E-9")],
            pa.decimal128(38, 10),
            ["0.0000000000", "0.0000000010"],
        ),
        ([Decimal(2**100)], pa.decimal128(38, 0), [str(2**100)]),
        ([0.1, 12.0, 1 / 3], pa.float64(), ["0.1", "12", "0.3333333333333333"]),
        (
            [float("nan"), float("inf"), float("-inf")],
            pa.float64(),
            ["NaN", "Infinity", "-Infinity"],
        ),
        ([None], pa.int64(), [None]),
        ([True, False], pa.bool_(), ["1", "0"]),
        (["7"], pa.string(), ["7"]),
    ],
)
def test_numbers_are_strings_and_exact(
    values: list[Any], kind: pa.DataType, expected: list[Any]
) -> None:
    assert decode(render_column(column(values, kind), "number")) == expected


@pytest.mark.parametrize("value", [0.1, 1e16, 1.7976931348623157e308, 5e-324, 123456.789, -0.0])
def test_a_float_reads_back_to_the_same_value(value: float) -> None:
    (text,) = decode(render_column(column([value]), "number"))
    assert float(text) == value


@pytest.mark.parametrize(
    "text",
    ['a"b', "back\\slash", "line\nbreak", "\x00\x01\x1f", "é 漢 🦆", "", "</script>", "\x7f"],
)
def test_text_reads_back_to_the_same_text(text: str) -> None:
    assert decode(render_column(column([text, None, "plain"]), "string")) == [text, None, "plain"]


def test_booleans_and_null_stay_native() -> None:
    assert decode(render_column(column([True, False, None]), "boolean")) == [True, False, None]


def test_times_have_milliseconds_and_no_zone() -> None:
    values = [datetime(2013, 1, 1, 5, 15, 0, 123456), None, datetime(1, 1, 1)]  # noqa: DTZ001
    assert decode(render_column(column(values, pa.timestamp("us")), "time")) == [
        "2013-01-01T05:15:00.123",
        None,
        "0001-01-01T00:00:00.000",
    ]
    assert decode(render_column(column([date(2013, 3, 10)]), "time")) == ["2013-03-10T00:00:00.000"]


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        (datetime(2013, 1, 1), "2013-01-01T05:00:00.000Z"),  # noqa: DTZ001
        (datetime(2013, 7, 1), "2013-07-01T04:00:00.000Z"),  # noqa: DTZ001
        (datetime(2013, 3, 10, 2, 30), "2013-03-10T07:00:00.000Z"),  # noqa: DTZ001  skipped
        (datetime(2013, 11, 3, 1, 30), "2013-11-03T05:30:00.000Z"),  # noqa: DTZ001  repeated
    ],
)
def test_with_a_timezone_times_are_instants(local: datetime, instant: str) -> None:
    texts = render_times(pa.array([local], pa.timestamp("us")), timezone="America/New_York")
    assert decode(texts) == [instant]


def test_a_time_with_a_zone_is_refused_rather_than_shifted() -> None:
    with pytest.raises(InternalError):
        render_times(pa.array([datetime(2013, 1, 1, tzinfo=UTC)]))


def test_a_json_number_must_be_finite() -> None:
    with pytest.raises(InternalError):
        render_numbers(pa.array([float("nan")]), quoted=False)


def test_json_numbers_keep_every_digit() -> None:
    texts = render_numbers(pa.array([Decimal("12345678901234567890.10")]), quoted=False)
    assert texts.to_pylist() == ["12345678901234567890.10"]


@pytest.mark.parametrize("kind", ["string", "number"])
def test_chunks_and_dictionaries_are_joined(kind: ColumnType) -> None:
    chunked = pa.chunked_array([["1", "2"], ["1"]]).dictionary_encode()
    assert decode(render_column(chunked, kind)) == ["1", "2", "1"]
    assert len(flatten(pa.chunked_array([], pa.int64()))) == 0


def test_rows_are_glued_from_columns_and_literals() -> None:
    numbers = render_column(column([1, None]), "number")
    texts = render_column(column(["x,y", '"']), "string")
    rows = join_rows(['{"n":', numbers, ',"t":', texts, "}"], 2)
    assert json.loads(b"[" + rows + b"]") == [{"n": "1", "t": "x,y"}, {"n": None, "t": '"'}]
    assert join_rows(['{"n":', numbers, "}"], 0) == b""
    assert join_rows(["{}"], 3) == b"{},{},{}"


def test_a_column_without_a_json_form_is_refused() -> None:
    with pytest.raises(InternalError):
        render_column(column([[1, 2]]), "string")
