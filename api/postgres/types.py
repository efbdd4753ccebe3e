"""PostgreSQL's types, as far as answers and parameters use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PgType:
    """A type: its OID, its name in pg_type, the name that format_type gives, its width in bytes.

    `category` is pg_type's: N number, S text, B boolean, D date, T interval, U other. `array` is
    the OID of its array type.
    """

    oid: int
    name: str
    title: str
    size: int
    category: str
    array: int


BOOL: Final = PgType(16, "bool", "boolean", 1, "B", 1000)
BYTEA: Final = PgType(17, "bytea", "bytea", -1, "U", 1001)
CHAR: Final = PgType(18, "char", '"char"', 1, "Z", 1002)
NAME: Final = PgType(19, "name", "name", 64, "S", 1003)
INT8: Final = PgType(20, "int8", "bigint", 8, "N", 1016)
INT2: Final = PgType(21, "int2", "smallint", 2, "N", 1005)
INT4: Final = PgType(23, "int4", "integer", 4, "N", 1007)
REGPROC: Final = PgType(24, "regproc", "regproc", 4, "N", 1008)
TEXT: Final = PgType(25, "text", "text", -1, "S", 1009)
OID: Final = PgType(26, "oid", "oid", 4, "N", 1028)
JSON: Final = PgType(114, "json", "json", -1, "U", 199)
FLOAT4: Final = PgType(700, "float4", "real", 4, "N", 1021)
FLOAT8: Final = PgType(701, "float8", "double precision", 8, "N", 1022)
UNKNOWN: Final = PgType(705, "unknown", "unknown", -2, "X", 0)
BPCHAR: Final = PgType(1042, "bpchar", "character", -1, "S", 1014)
VARCHAR: Final = PgType(1043, "varchar", "character varying", -1, "S", 1015)
DATE: Final = PgType(1082, "date", "date", 4, "D", 1182)
TIME: Final = PgType(1083, "time", "time without time zone", 8, "D", 1183)
TIMESTAMP: Final = PgType(1114, "timestamp", "timestamp without time zone", 8, "D", 1115)
TIMESTAMPTZ: Final = PgType(1184, "timestamptz", "timestamp with time zone", 8, "D", 1185)
INTERVAL: Final = PgType(1186, "interval", "interval", 16, "T", 1187)
NUMERIC: Final = PgType(1700, "numeric", "numeric", -1, "N", 1231)
REGCLASS: Final = PgType(2205, "regclass", "regclass", 4, "N", 2210)
REGTYPE: Final = PgType(2206, "regtype", "regtype", 4, "N", 2211)
UUID: Final = PgType(2950, "uuid", "uuid", 16, "U", 2951)
JSONB: Final = PgType(3802, "jsonb", "jsonb", -1, "U", 3807)

SCALARS: Final = (
    BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, REGPROC, TEXT, OID, JSON, FLOAT4, FLOAT8, UNKNOWN,
    BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC, REGCLASS, REGTYPE, UUID,
    JSONB,
)  # fmt: skip


def make_array(item: PgType) -> PgType:
    """Return the type of arrays of a type."""
    return PgType(item.array, f"_{item.name}", f"{item.title}[]", -1, "A", 0)


TYPES: Final[dict[int, PgType]] = {item.oid: item for item in SCALARS} | {
    item.array: make_array(item) for item in SCALARS if item.array
}
ITEMS: Final[dict[int, PgType]] = {item.array: item for item in SCALARS if item.array}
"""What the values of an array type are."""

_SIMPLE: Final[dict[pa.DataType, PgType]] = {
    pa.bool_(): BOOL,
    pa.int8(): INT2,
    pa.int16(): INT2,
    pa.int32(): INT4,
    pa.int64(): INT8,
    pa.uint8(): INT2,
    pa.uint16(): INT4,
    pa.uint32(): OID,  # of the catalog: nothing else is that wide
    pa.uint64(): NUMERIC,
    pa.float16(): FLOAT4,
    pa.float32(): FLOAT4,
    pa.float64(): FLOAT8,
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.binary(): BYTEA,
    pa.large_binary(): BYTEA,
    pa.date32(): DATE,
    pa.date64(): DATE,
    pa.null(): TEXT,
}


def type_of(kind: pa.DataType) -> PgType:
    """Return the type in which values of an Arrow type are sent."""
    found = _SIMPLE.get(kind)
    if found is not None:
        return found
    if pa.types.is_decimal(kind):
        return NUMERIC
    if pa.types.is_timestamp(kind):
        return TIMESTAMP if kind.tz is None else TIMESTAMPTZ
    if pa.types.is_time(kind):
        return TIME
    if pa.types.is_interval(kind) or pa.types.is_duration(kind):
        return INTERVAL
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = type_of(kind.value_type)
        return make_array(item) if item.array else JSON
    if pa.types.is_dictionary(kind):
        return type_of(kind.value_type)
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return JSON
    return TEXT
