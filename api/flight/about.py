"""What the server says of itself (`GetSqlInfo`), and its types (`GetXdbcTypeInfo`)."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from api.release import find_release

_LISTS: Final = pa.map_(pa.int32(), pa.list_(pa.int32()))
_KINDS: Final = (
    ("string_value", pa.string()), ("bool_value", pa.bool_()), ("bigint_value", pa.int64()),
    ("int32_bitmask", pa.int32()), ("string_list", pa.list_(pa.string())),
    ("int32_to_int32_list_map", _LISTS),
)  # fmt: skip
_TEXT, _BOOL, _BIGINT, _INT = 0, 1, 2, 3
_VALUE: Final = pa.dense_union([pa.field(name, kind) for name, kind in _KINDS])
INFO: Final = pa.schema([
    pa.field("info_name", pa.uint32(), nullable=False),
    pa.field("value", _VALUE, nullable=False),
])  # fmt: skip
_CASE_SENSITIVE: Final = 3


def answer_info(asked: list[int]) -> pa.Table:
    """Return what is asked about the server, all of it for an empty list."""
    known: dict[int, tuple[int, Any]] = {
        0: (_TEXT, "Ducat"),
        1: (_TEXT, find_release()),
        2: (_TEXT, pa.__version__),
        3: (_BOOL, True),  # read only
        4: (_BOOL, True),  # SQL
        5: (_BOOL, False),  # Substrait
        8: (_INT, 0),  # transactions: none
        9: (_BOOL, True),  # cancelling
        10: (_BOOL, False),  # ingesting
        11: (_BOOL, False),
        500: (_BOOL, False),  # DDL of catalogs, schemas, tables
        501: (_BOOL, False),
        502: (_BOOL, False),
        503: (_INT, _CASE_SENSITIVE),
        504: (_TEXT, '"'),
    }
    chosen = {number: item for number, item in known.items() if not asked or number in asked}
    children: list[list[Any]] = [[] for _ in _KINDS]
    kinds, places = [], []
    for kind, value in chosen.values():
        kinds.append(kind)
        places.append(len(children[kind]))
        children[kind].append(value)
    arrays = [pa.array(values, type_) for values, (_, type_) in zip(children, _KINDS, strict=True)]
    union = pa.UnionArray.from_dense(
        pa.array(kinds, pa.int8()), pa.array(places, pa.int32()), arrays,
        [name for name, _ in _KINDS],
    )  # fmt: skip
    return pa.Table.from_arrays([pa.array(list(chosen), pa.uint32()), union], schema=INFO)


_TYPES: Final = (
    ("boolean", -7, 1, None, None), ("bigint", -5, 19, None, 10), ("numeric", 3, 38, None, 10),
    ("double precision", 8, 53, None, 2), ("text", 12, None, "'", None),
    ("date", 91, 10, "'", None), ("timestamp without time zone", 93, 26, "'", None),
)  # fmt: skip
"""Name, code of XDBC, size, quotes and radix of the types that answers have."""
XDBC: Final = pa.schema([
    pa.field("type_name", pa.string(), nullable=False),
    pa.field("data_type", pa.int32(), nullable=False),
    ("column_size", pa.int32()), ("literal_prefix", pa.string()), ("literal_suffix", pa.string()),
    ("create_params", pa.list_(pa.field("item", pa.string(), nullable=False))),
    pa.field("nullable", pa.int32(), nullable=False),
    pa.field("case_sensitive", pa.bool_(), nullable=False),
    pa.field("searchable", pa.int32(), nullable=False),
    ("unsigned_attribute", pa.bool_()),
    pa.field("fixed_prec_scale", pa.bool_(), nullable=False),
    ("auto_increment", pa.bool_()), ("local_type_name", pa.string()),
    ("minimum_scale", pa.int32()), ("maximum_scale", pa.int32()),
    pa.field("sql_data_type", pa.int32(), nullable=False),
    ("datetime_subcode", pa.int32()), ("num_prec_radix", pa.int32()),
    ("interval_precision", pa.int32()),
])  # fmt: skip
_TIMES: Final = {91: (9, 1), 93: (9, 3)}
_SEARCHABLE: Final = 3


def answer_types(asked: int | None) -> pa.Table:
    """Return the types of answers, or the one of a code."""
    rows = []
    for name, code, size, quote, radix in _TYPES:
        if asked is not None and code != asked:
            continue
        sql_type, subcode = _TIMES.get(code, (code, None))
        rows.append(
            {"type_name": name, "data_type": code, "column_size": size, "literal_prefix": quote,
             "literal_suffix": quote, "nullable": 1, "case_sensitive": name == "text",
             "searchable": _SEARCHABLE, "unsigned_attribute": False if radix else None,
             "fixed_prec_scale": False, "local_type_name": name, "sql_data_type": sql_type,
             "datetime_subcode": subcode, "num_prec_radix": radix}
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=XDBC)
