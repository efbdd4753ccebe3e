"""A few rows as JSON values: the same texts as `encode.py` writes, without its fixed cost.

Arrow's kernels take some microseconds each before they look at the first value, and give up the
interpreter's lock each time; for a hundred rows that is all of the work. Here the values become Python
objects, and one call writes them. What a text says is decided by the same kernels, but for times, which
follow from their milliseconds alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from api.encode import NOT_FINITE, PLAIN_SCALE, TEXT, ColumnType, flatten, render_times
from semantic.errors import InternalError

FEW: Final = 512
"""Up to so many rows the values are written one by one: measured, there Arrow becomes the quicker."""

Value: TypeAlias = str | bool | None
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 -- local to the query's zone, whichever that is
_EARLIEST: Final = -62_135_596_800_000  # the year 1
_LATEST: Final = 253_402_300_799_999  # the end of 9999


def list_values(column: pa.ChunkedArray, kind: ColumnType) -> list[Value]:
    """Return the JSON values of a column as REST shows it.

    Raises:
        InternalError: the column has a type that has no form in JSON.
    """
    flat = flatten(column)
    match kind:
        case "boolean":
            found: list[Value] = pc.cast(flat, pa.bool_()).to_pylist()
        case "time":
            found = _list_times(flat)
        case "number" if _is_text(flat):
            found = flat.to_pylist()
        case "number":
            found = _list_numbers(flat)
        case "string":
            found = _list_texts(flat)
    return found


def write_objects(columns: Mapping[str, Sequence[Value]]) -> bytes:
    """Return the rows as a JSON list of objects."""
    names = tuple(columns)
    rows = zip(*columns.values(), strict=True)
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows])


def write_lists(columns: Sequence[Sequence[Value]]) -> bytes:
    """Return the rows as a JSON list of lists."""
    return orjson.dumps(list(zip(*columns, strict=True)))


def _is_text(flat: pa.Array) -> bool:
    return bool(pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type))


def _list_texts(flat: pa.Array) -> list[Value]:
    if _is_text(flat):
        return flat.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_temporal(flat.type):
        return _list_times(flat)
    if pa.types.is_floating(flat.type) or pa.types.is_decimal(flat.type):
        return _list_numbers(flat)
    try:
        return pc.cast(flat, TEXT).to_pylist()  # type: ignore[no-any-return]
    except pa.ArrowNotImplementedError as unknown:
        raise InternalError(
            f"the answer has a column of type {flat.type}: no JSON form"
        ) from unknown


def _list_numbers(flat: pa.Array) -> list[Value]:
    if pa.types.is_decimal(flat.type) and flat.type.scale > PLAIN_SCALE:
        return [None if value is None else format(value, "f") for value in flat.to_pylist()]
    if pa.types.is_boolean(flat.type):
        flat = pc.cast(flat, pa.int8())
    if pa.types.is_integer(flat.type):
        return [None if value is None else str(value) for value in flat.to_pylist()]
    texts: list[Value] = pc.cast(flat, TEXT).to_pylist()
    if pa.types.is_floating(flat.type):
        return [NOT_FINITE.get(text, text) if isinstance(text, str) else None for text in texts]
    return texts


def _list_times(flat: pa.Array) -> list[Value]:
    if _is_text(flat):
        return flat.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_timestamp(flat.type) and flat.type.tz is not None:
        raise InternalError("a time of the answer has a zone: times are local to the query's")
    stamps = pc.cast(flat, pa.timestamp("ms"), safe=False)
    found = pc.cast(stamps, pa.int64()).to_pylist()
    if any(value is not None and not _EARLIEST <= value <= _LATEST for value in found):
        texts = render_times(flat).to_pylist()  # a year that Python does not know
        return [None if text is None else orjson.loads(text) for text in texts]
    return [None if value is None else _write_time(value) for value in found]


@lru_cache(maxsize=4096)
def _write_time(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")
