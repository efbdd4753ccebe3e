"""SQL in Cube's REST protocol: `cubesql` (rows as lines of JSON), `convert-query`, `sql?format=sql`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import pyarrow as pa

from api.encode import Part, join_rows
from api.postgres.cells import write_text
from api.postgres.types import type_of
from api.rest.request import SHOWN, read_raw
from api.rest.sql_query import ColumnType, encode_column
from api.state import format_instant
from semantic.errors import QuerySyntaxError

ROWS_PER_LINE: Final = 2000
CUBE_TYPES: Final[dict[ColumnType, str]] = {
    "string": "String",
    "number": "Double",
    "integer": "Int64",
    "decimal": "Decimal",
    "boolean": "Boolean",
    "timestamp": "Timestamp",
    "date": "Date",
}
_CACHE_MODES: Final = ("stale-if-slow", "stale-while-revalidate", "must-revalidate", "no-cache")


@dataclass(frozen=True, slots=True)
class CubeSqlRequest:
    """What `cubesql` was asked. `polls`: the client takes `Continue wait` for an answer."""

    text: str
    timezone: str = "UTC"
    polls: bool = False
    renew: bool = False


def read_cube_sql(body: bytes) -> CubeSqlRequest:
    """Return the request that a body spells.

    Raises:
        QuerySyntaxError: it spells none.
    """
    raw = read_raw("POST", b"", body)
    known = ("query", "timezone", "cache", "throwContinueWait")
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise QuerySyntaxError(
            f'"{unknown[0][:SHOWN]}" is not allowed', suggestion=f"a request has {', '.join(known)}"
        )
    text, timezone = raw.get("query"), raw.get("timezone", "UTC")
    if not isinstance(text, str) or not text.strip():
        raise QuerySyntaxError("query parameter must be a non-empty string")
    if not isinstance(timezone, str):
        raise QuerySyntaxError('"timezone" is the name of a time zone, such as "America/New_York"')
    if raw.get("cache") not in (None, *_CACHE_MODES):
        raise QuerySyntaxError(f'"cache" must be one of {list(_CACHE_MODES)}')
    polls = raw.get("throwContinueWait", False)
    if not isinstance(polls, bool):
        raise QuerySyntaxError('"throwContinueWait" is true or false')
    return CubeSqlRequest(text, timezone, polls, renew=raw.get("cache") == "no-cache")


def encode_lines(table: pa.Table, built_at: datetime | None) -> Iterator[bytes]:
    """Yield the lines of an answer: the columns, then rows, so many a line.

    Numbers are texts, as in the other answers of this protocol; the types are Cube's names.
    `built_at`: when the tables were built that were read; None where none were.
    """
    written = []
    for place, name in enumerate(table.schema.names):
        column = _plain(table.column(place))
        as_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        written.append((name, *encode_column(column, name, as_text=as_text, quoted=True)))
    yield _head([(name, kind) for name, kind, _ in written], built_at)
    for start in range(0, table.num_rows, ROWS_PER_LINE):
        texts = [text.slice(start, ROWS_PER_LINE) for _, _, text in written]
        yield b'{"data":[' + _rows(texts, min(ROWS_PER_LINE, table.num_rows - start)) + b"]}\n"


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that Cube has a name for: others as the text of the Postgres wire."""
    kind = column.type
    has_zone = pa.types.is_timestamp(kind) and kind.tz is not None
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean,
              pa.types.is_timestamp, pa.types.is_date, pa.types.is_string, pa.types.is_large_string,
              pa.types.is_null)  # fmt: skip
    if not has_zone and any(check(kind) for check in checks):
        return column
    type_ = type_of(kind)
    texts = [
        None if value is None else write_text(type_, value).decode() for value in column.to_pylist()
    ]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _head(columns: list[tuple[str, ColumnType]], built_at: datetime | None) -> bytes:
    head: dict[str, Any] = {
        "schema": [{"name": name, "column_type": CUBE_TYPES[kind]} for name, kind in columns]
    }
    if built_at is not None:
        head["lastRefreshTime"] = format_instant(built_at)
    return orjson.dumps(head) + b"\n"


def _rows(texts: list[pa.LargeStringArray], rows: int) -> bytes:
    parts: list[Part] = []
    for text in texts:
        parts += ["," if parts else "[", text]
    return join_rows([*parts, "]"], rows)


def read_conversion(body: bytes) -> str:
    """Return the SQL that `convert-query` is to convert.

    Raises:
        QuerySyntaxError: it is asked to convert something else; Cube's words.
    """
    raw = read_raw("POST", b"", body)
    for name, only in (("input", "sql"), ("output", "rest")):
        if raw.get(name) != only:
            given = str(raw.get(name))[:SHOWN]
            raise QuerySyntaxError(
                f"Unexpected {name} parameter value '{given}'",
                suggestion='send {"input": "sql", "output": "rest", "query": "SELECT ..."}',
            )
    text = raw.get("query")
    if not isinstance(text, str) or not text.strip():
        raise QuerySyntaxError("query parameter must be a non-empty string")
    return text
