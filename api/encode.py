"""Arrow columns to JSON text, a column at a time, with Arrow's own kernels.

A row never becomes a Python object. Each column is turned into an array of JSON texts (numbers as
Cube sends them: strings, exact for integers and decimals, the shortest form that reads back to the
same value for floats), and rows are glued from those arrays and the literal text between them. The
glue is what differs between the doors: `{"a":`, column, `,"b":`, column, `}` for REST,
the nesting of the selection for GraphQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from semantic.errors import InternalError

ColumnType = Literal["string", "number", "boolean", "time"]
Part: TypeAlias = str | pa.LargeStringArray

TEXT: Final = pa.large_string()
MUST_ESCAPE: Final = r'[\x00-\x1f"\\]'
NULL: Final = "null"
PLAIN_SCALE: Final = 6  # Arrow writes smaller decimals as 1E-7
NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def render_numbers(column: pa.Array, *, quoted: bool) -> pa.LargeStringArray:
    """Return the JSON texts of a numeric column, as strings (`quoted`) or as JSON numbers.

    Raises:
        InternalError: a JSON number was asked for and a value is not finite.
    """
    if pa.types.is_decimal(column.type) and column.type.scale > PLAIN_SCALE:
        plain = [None if value is None else format(value, "f") for value in column.to_pylist()]
        texts = pa.array(plain, TEXT)
    elif pa.types.is_boolean(column.type):
        texts = pc.cast(pc.cast(column, pa.int8()), TEXT)
    else:
        texts = pc.cast(column, TEXT)
    if pa.types.is_floating(column.type):
        odd = pc.invert(pc.is_finite(column))
        if pc.any(odd).as_py():
            if not quoted:
                raise InternalError("a number of the answer is not finite: JSON has no form for it")
            names = [
                None if text is None else NOT_FINITE.get(text, text) for text in texts.to_pylist()
            ]
            texts = pa.array(names, TEXT)
    return _wrap(texts) if quoted else texts


def render_strings(column: pa.Array) -> pa.LargeStringArray:
    """Return the JSON texts of a column that is shown as text; escapes only where it must."""
    texts = pc.cast(column, TEXT)
    if not pc.any(pc.match_substring_regex(texts, MUST_ESCAPE)).as_py():
        return _wrap(texts)
    encoded = texts.dictionary_encode()
    escaped = [orjson.dumps(value).decode() for value in encoded.dictionary.to_pylist()]
    return pa.array(escaped, TEXT).take(encoded.indices)


def render_booleans(column: pa.Array, *, quoted: bool) -> pa.LargeStringArray:
    """Return `true` and `false`, as JSON values or as strings."""
    texts = pc.cast(pc.cast(column, pa.bool_()), TEXT)
    return _wrap(texts) if quoted else texts


def render_times(column: pa.Array, *, timezone: str | None = None) -> pa.LargeStringArray:
    """Return local times, `2013-01-01T05:15:00.000`; with `timezone` the UTC instants, with `Z`.

    A local time that the clocks skipped stands for the instant at which they moved, one that they
    repeated for the first of the two.
    """
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return render_strings(column)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        raise InternalError("a time of the answer has a zone: times are local to the query's")
    stamps = pc.cast(column, pa.timestamp("ms"), safe=False)
    pattern = "%Y-%m-%dT%H:%M:%S"
    if timezone is not None:
        zoned = pc.assume_timezone(stamps, timezone, ambiguous="earliest", nonexistent="latest")
        stamps, pattern = pc.cast(zoned, pa.timestamp("ms")), f"{pattern}Z"
    return _wrap(pc.cast(pc.strftime(stamps, pattern), TEXT))


def render_column(column: pa.ChunkedArray, kind: ColumnType) -> pa.LargeStringArray:
    """Return the JSON texts of a column as REST shows it; null is `null`.

    What a column holds decides before what it was declared as: a `string` dimension over an integer
    column gives strings, a `number` over a DECIMAL column gives its exact digits.
    """
    flat = flatten(column)
    match kind:
        case "boolean":
            texts = render_booleans(flat, quoted=False)
        case "time":
            texts = render_times(flat)
        case "number":
            is_text = pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type)
            texts = render_strings(flat) if is_text else render_numbers(flat, quoted=True)
        case "string":
            texts = render_text(flat)
    return pc.fill_null(texts, NULL)


def render_text(flat: pa.Array) -> pa.LargeStringArray:
    """Return any column as JSON strings."""
    if pa.types.is_temporal(flat.type):
        return render_times(flat)
    if pa.types.is_floating(flat.type) or pa.types.is_decimal(flat.type):
        return render_numbers(flat, quoted=True)
    if pa.types.is_boolean(flat.type):
        return render_booleans(flat, quoted=True)
    try:
        return render_strings(flat)
    except pa.ArrowNotImplementedError as unknown:
        raise InternalError(
            f"the answer has a column of type {flat.type}: no JSON form"
        ) from unknown


def flatten(column: pa.ChunkedArray) -> pa.Array:
    """Return one array without chunks and without dictionary encoding."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def join_rows(parts: Sequence[Part], rows: int) -> bytes:
    """Return the rows, glued from literals and columns, with commas between them.

    Two columns next to each other are an error of the caller; so are parts without a column when
    there is more than no row, which this function answers by repeating the literal.
    """
    if rows == 0:
        return b""
    if all(isinstance(part, str) for part in parts):
        return ",".join(["".join(str(part) for part in parts)] * rows).encode()
    glued = pc.binary_join_element_wise(
        *(pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts),
        pa.scalar("", TEXT),
    )
    return join_texts(glued)


def join_texts(texts: pa.LargeStringArray) -> bytes:
    """Return all texts of a column with commas between them."""
    if len(texts) == 0:
        return b""
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    return bytes(pc.binary_join(whole, pa.scalar(",", TEXT))[0].as_buffer())


def _wrap(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    quote = pa.scalar('"', TEXT)
    return pc.binary_join_element_wise(quote, texts, quote, pa.scalar("", TEXT))


def warm_up() -> None:
    """Render a value of each kind: Arrow loads its kernels, and pandas if it finds it, only then."""
    samples: tuple[tuple[list[object], ColumnType], ...] = (
        (["\n"], "string"),
        ([0.5], "number"),
        ([True], "boolean"),
    )
    for values, kind in samples:
        render_column(pa.chunked_array([values]), kind)
    render_times(pa.array([0], pa.timestamp("us")), timezone="America/New_York")
