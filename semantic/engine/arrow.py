"""Rows of PostgreSQL as Arrow, with the types that DuckDB's answers have.

Integers keep their width; a `numeric` of whole numbers (what sums of bigint are) becomes int64 where
all values fit, as the sums of the served file do; other numerics are decimals with as many places as
the longest value. Types without a place in Arrow are text as PostgreSQL writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from semantic.errors import EngineError

NUMERIC: Final = 1700
TYPES: Final = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}
"""What types are in Arrow, by the number that PostgreSQL has for them (pg_type.oid)."""

_NARROW: Final = 38
_WIDE: Final = 76
_LONG: Final = range(-(2**63), 2**63)


def make_table(
    names: Sequence[str], types: Sequence[int], rows: Sequence[tuple[Any, ...]]
) -> pa.Table:
    """Return rows as a table; `types` are PostgreSQL's numbers.

    Raises:
        EngineError: a number has more digits than Arrow can hold.
    """
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    arrays = [_array(kind, values) for kind, values in zip(types, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(names))


def _array(kind: int, values: Sequence[Any]) -> pa.Array:
    if kind == NUMERIC:
        return _numeric(values)
    return pa.array(values, TYPES.get(kind, pa.string()))


def _numeric(values: Sequence[Decimal | None]) -> pa.Array:
    """Return the narrowest exact array: int64, decimal128, decimal256; floats where one is NaN."""
    whole = places = 0
    for value in values:
        if value is None:
            continue
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int):  # NaN, Infinity: decimals of Arrow have none
            return pa.array(
                [None if item is None else float(item) for item in values], pa.float64()
            )
        places = max(places, -exponent)
        whole = max(whole, value.adjusted() + 1)
    if places == 0 and all(value is None or int(value) in _LONG for value in values):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    digits = whole + places
    if digits <= _NARROW:
        return pa.array(values, pa.decimal128(_NARROW, places))
    if digits <= _WIDE:
        return pa.array(values, pa.decimal256(_WIDE, places))
    raise EngineError(
        f"the answer holds a number of {digits} digits",
        suggestion="round it in the model: `round(…, 10)`",
    )
