"""Arrow tables of other engines with the types that DuckDB's answers have.

Whole numbers are int64, and decimal128(38, 0) where a value does not fit; decimals have 38 digits and
their scale; times have microseconds. A boolean that an engine keeps as 0 and 1 is a boolean again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from semantic.engine.result import ResultColumn

_WHOLE: Final = pa.decimal128(38, 0)


def make_canonical(
    table: pa.Table, names: Sequence[str], columns: Sequence[ResultColumn]
) -> pa.Table:
    """Return the table with canonical types, under the names given."""
    kinds = {column.name: column.type for column in columns}
    made = [
        make_column(table.column(index), boolean=kinds.get(name) == "boolean")
        for index, name in enumerate(names)
    ]
    return pa.Table.from_arrays(made, names=list(names))


def make_column(column: pa.ChunkedArray, *, boolean: bool = False) -> pa.ChunkedArray:
    """Return a column with its canonical type."""
    kind = column.type
    if boolean and pa.types.is_integer(kind):
        return pc.not_equal(column, 0)
    if pa.types.is_integer(kind):
        return _narrow(column)
    if pa.types.is_decimal(kind):
        if kind.scale == 0:
            return _narrow(column)
        try:
            return pc.cast(column, pa.decimal128(38, kind.scale))
        except pa.ArrowInvalid:
            return pc.cast(column, pa.decimal256(76, kind.scale))
    if pa.types.is_floating(kind):
        return pc.cast(column, pa.float64())
    if pa.types.is_timestamp(kind):
        return pc.cast(column, pa.timestamp("us", kind.tz))
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_null(kind):
        return pc.cast(column, pa.int32())  # DuckDB's type of a bare NULL
    return column


def _narrow(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return pc.cast(column, _WHOLE)
