"""Few rows are written value by value, many by Arrow's kernels: the bytes are the same."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest

from api.encode import ColumnType, join_texts, render_column
from api.encode_few import list_values, write_lists, write_objects
from semantic.errors import InternalError

TEXTS = ["", "plain", 'a"b', "back\\slash", "\x00\x1f\x7f", "é 漢 🦆", "\u2028", "null", None]
TIMES = [
    datetime(1, 1, 1),  # noqa: DTZ001
    datetime(1969, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2013, 3, 10, 2, 30, 0, 1),  # noqa: DTZ001
    datetime(9999, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    None,
]
FLOATS = [0.1, 12.0, 1 / 3, 1e16, -1.7976931348623157e308, 5e-324, -0.0, None]
ODD = [*FLOATS, float("nan"), float("inf"), float("-inf")]
COLUMNS: list[tuple[ColumnType, pa.Array]] = [
    ("string", pa.array(TEXTS)),
    ("string", pa.array(TEXTS, pa.large_string())),
    ("string", pa.array(TEXTS).dictionary_encode()),
    ("string", pa.array([1, -5, None])),
    ("string", pa.array(ODD)),
    ("string", pa.array([True, None, False])),
    ("string", pa.array([Decimal("1.50"), None])),
    ("string", pa.array(TIMES, pa.timestamp("us"))),
    ("string", pa.array([date(2013, 3, 10), None])),
    ("number", pa.array([1, -5, 2**63 - 1, None])),
    ("number", pa.array([2**64 - 1, 0, None], pa.uint64())),
    ("number", pa.array([2**100, -(2**100), None], pa.decimal128(38, 0))),
    ("number", pa.array([Decimal("0.10"), Decimal("-0.01"), None], pa.decimal128(38, 2))),
    ("number", pa.array([Decimal("0E-10"), Decimal("1E-9"), None], pa.decimal128(38, 10))),
    ("number", pa.array(ODD)),
    ("number", pa.array([0.1, 1 / 3, None], pa.float32())),
    ("number", pa.array([True, False, None])),
    ("number", pa.array(TEXTS)),
    ("number", pa.array([None, None])),
    ("boolean", pa.array([True, False, None])),
    ("boolean", pa.array([1, 0, None])),
    ("time", pa.array(TIMES, pa.timestamp("us"))),
    ("time", pa.array(TIMES, pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False)),
    ("time", pa.array([date(1, 1, 1), date(9999, 12, 31), None])),
    ("time", pa.array(["2013-01-01T00:00:00.000", None])),
    ("time", pa.array([-62_135_596_800_001, 253_402_300_800_000, 0, None], pa.timestamp("ms"))),
]


@pytest.mark.parametrize(
    ("kind", "values"), COLUMNS, ids=lambda item: str(getattr(item, "type", item))
)
def test_values_are_those_of_the_kernels_to_the_byte(kind: ColumnType, values: pa.Array) -> None:
    column = pa.chunked_array([values])
    found = list_values(column, kind)
    assert orjson.dumps(found) == b"[" + join_texts(render_column(column, kind)) + b"]"


def test_random_times_and_numbers_are_those_of_the_kernels_to_the_byte() -> None:
    chance = random.Random(7)
    start = datetime(1, 1, 1)  # noqa: DTZ001
    span = int((datetime(9999, 12, 31) - start).total_seconds())  # noqa: DTZ001
    times = [
        start + timedelta(seconds=chance.randrange(span), microseconds=chance.randrange(10**6))
        for _ in range(2000)
    ]
    floats = [chance.uniform(-1, 1) * 10 ** chance.randrange(-300, 300) for _ in range(2000)]
    decimals = [Decimal(chance.randrange(-(10**30), 10**30)).scaleb(-6) for _ in range(2000)]
    columns: list[tuple[ColumnType, pa.Array]] = [
        ("time", pa.array(times, pa.timestamp("us"))),
        ("number", pa.array(floats)),
        ("number", pa.array(decimals, pa.decimal128(38, 6))),
    ]
    for kind, values in columns:
        column = pa.chunked_array([values])
        texts = join_texts(render_column(column, kind))
        assert orjson.dumps(list_values(column, kind)) == b"[" + texts + b"]"


@pytest.mark.parametrize(
    ("values", "kind"),
    [([datetime(2013, 1, 1, tzinfo=UTC)], "time"), ([[1, 2]], "string")],
)
def test_what_has_no_form_is_refused(values: list[Any], kind: ColumnType) -> None:
    with pytest.raises(InternalError):
        list_values(pa.chunked_array([values]), kind)


def test_rows_are_objects_or_lists() -> None:
    columns: dict[str, list[str | bool | None]] = {"a.n": ["1", None], 'b"': [True, "x"]}
    assert json.loads(write_objects(columns)) == [
        {"a.n": "1", 'b"': True},
        {"a.n": None, 'b"': "x"},
    ]
    assert json.loads(write_lists(list(columns.values()))) == [["1", True], [None, "x"]]
