"""PostgreSQL's rows to Arrow.

Numbers stay exact: `numeric` becomes int64 where every value of a column is a whole number that
fits (sums and counts of integers), else a decimal with the digits that PostgreSQL gave. Types that
Arrow has no like of (json, uuid, interval, arrays) come as PostgreSQL's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

_KINDS: Final[dict[str, pa.DataType]] = {
    "bool": pa.bool_(),
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "numeric": pa.decimal128(38, 0),
}
_BY_OID: Final = {psycopg.adapters.types[name].oid: kind for name, kind in _KINDS.items()}
_NUMERIC: Final = psycopg.adapters.types["numeric"].oid
_WHOLE: Final = (-(2**63), 2**63 - 1)
_NARROW, _WIDE = 38, 76


def read_as_text(connection: psycopg.Connection[Any]) -> None:
    """Let the connection load the types that Arrow has no like of as text."""
    for info in connection.adapters.types:
        for oid in {info.oid, info.array_oid} - {0}:
            if oid not in _BY_OID:
                connection.adapters.register_loader(oid, TextLoader)


def make_table(
    names: Sequence[str], oids: Sequence[int], rows: Sequence[Sequence[Any]]
) -> pa.Table:
    """Return rows as an Arrow table; `oids` are the types of the columns in PostgreSQL."""
    columns = [_make_column(oid, [row[index] for row in rows]) for index, oid in enumerate(oids)]
    return pa.Table.from_arrays(columns, names=list(names))


def _make_column(oid: int, values: list[Any]) -> pa.Array:
    if oid == _NUMERIC:
        return _make_numeric(values)
    return pa.array(values, _BY_OID.get(oid, pa.string()))


def _make_numeric(values: list[Decimal | None]) -> pa.Array:
    known = [value for value in values if value is not None]
    if not all(value.is_finite() for value in known):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    scale = max((_scale(value) for value in known), default=0)
    lowest, highest = _WHOLE
    if scale == 0 and all(lowest <= value <= highest for value in known):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    digits = max((value.adjusted() + 1 for value in known), default=1)
    precision = max(digits, 1) + scale
    if precision <= _NARROW:
        return pa.array(values, pa.decimal128(_NARROW, scale))
    if precision <= _WIDE:
        return pa.array(values, pa.decimal256(_WIDE, scale))
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
