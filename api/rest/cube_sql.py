"""SQL in Cube's REST protocol: `cubesql` (rows as lines of JSON), `convert-query`, `sql?format=sql`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa

from api.document import write_document
from api.encode import Part, join_rows
from api.rest.request import SHOWN, read_raw
from api.rest.sql_query import ColumnType, check_rows, encode_column, find_columns
from api.state import format_instant
from semantic.engine.result import Result
from semantic.errors import InternalError, QuerySyntaxError
from semantic.query.query import MAXIMUM_LIMIT
from semantic.query.sql.statement import SqlQuery

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


def encode_lines(asked: SqlQuery, result: Result) -> Iterator[bytes]:
    """Yield the lines of an answer: the columns, then rows, so many a line.

    Numbers are texts, as in the other answers of this protocol; the types are Cube's names.

    Raises:
        LimitExceededError: there are more rows than may be returned; before the first line.
    """
    if asked.kind == "row_count":
        if result.total is None:
            raise InternalError("the rows were not counted")
        yield _head(result, [(asked.columns[0].name, "integer")])
        yield orjson.dumps({"data": [[str(asked.count_rows(result.total))]]}) + b"\n"
        return
    check_rows(asked, result)
    columns = find_columns(asked, result)
    table = result.table
    written = [
        (name, *encode_column(table.column(place), name, as_text=as_text, quoted=True))
        for name, place, as_text in columns
    ]
    yield _head(result, [(name, kind) for name, kind, _ in written])
    for start in range(0, table.num_rows, ROWS_PER_LINE):
        texts = [text.slice(start, ROWS_PER_LINE) for _, _, text in written]
        yield b'{"data":[' + _rows(texts, min(ROWS_PER_LINE, table.num_rows - start)) + b"]}\n"


def _head(result: Result, columns: list[tuple[str, ColumnType]]) -> bytes:
    schema = [{"name": name, "column_type": CUBE_TYPES[kind]} for name, kind in columns]
    refreshed = format_instant(result.state.built_at)
    return orjson.dumps({"schema": schema, "lastRefreshTime": refreshed}) + b"\n"


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


def convert(asked: SqlQuery) -> dict[str, Any]:
    """Return the query JSON that asks what a SELECT asks, or that there is none."""
    if asked.kind == "row_count":
        return {
            "status": "error",
            "error": "Provided sql query can not be converted to rest query.",
        }
    document = write_document(asked.query)
    if asked.complete:
        document["limit"] = MAXIMUM_LIMIT
    return {"status": "ok", "query": document}
