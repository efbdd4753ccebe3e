"""The SQL door: answers a SELECT over a view with typed rows, and lists what SQL may name."""

from __future__ import annotations

import re
import threading
from datetime import datetime
from typing import Any, Final, Literal, assert_never

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from api.encode import (
    NULL,
    TEXT,
    Part,
    flatten,
    join_rows,
    render_booleans,
    render_numbers,
    render_strings,
    render_text,
)
from api.members import Member, list_members
from api.state import describe_state
from semantic.catalog.catalog import Catalog
from semantic.engine.result import Result
from semantic.errors import EngineError, InternalError, LimitExceededError
from semantic.query.context import SecurityContext
from semantic.query.query import MAXIMUM_LIMIT
from semantic.query.sql.parse import parse_sql
from semantic.query.sql.statement import SqlQuery
from semantic.service import SemanticLayer

ColumnType = Literal["string", "number", "integer", "decimal", "boolean", "timestamp", "date"]

_NAMED: Final = re.compile(r"(number|percent|currency|abbr|accounting)(?:_([0-6]))?")
_CURRENCIES: Final = {"USD": "$"}


def select(
    layer: SemanticLayer,
    text: str,
    context: SecurityContext,
    *,
    now: datetime,
    timezone: str = "UTC",
    cancelled: threading.Event | None = None,
    renew: bool = False,
) -> tuple[SqlQuery, Result]:
    """Return what a SELECT asks, and the answer; with `renew` it is computed though it may be kept.

    Raises:
        QueryError, UnsupportedError: it cannot be answered.
        SnapshotError, EngineError: what is served cannot be read, or the query was stopped.
    """
    asked = parse_sql(text, layer.catalog, visible=layer.visible(context), timezone=timezone)
    return asked, layer.load(asked.query, context, now=now, cancelled=cancelled, renew=renew)


def encode_answer(asked: SqlQuery, result: Result, whole: Catalog) -> bytes:
    """Return the body of the answer to a SELECT: columns with types, rows and the tables' state.

    The rows are all that the statement asks: more than the server may return is an error.

    Raises:
        LimitExceededError: there are too many rows.
    """
    match asked.kind:
        case "regular":
            columns, rows = _encode_table(asked, result)
        case "row_count":
            columns, rows = _encode_count(asked, result)
        case _ as unreachable:
            assert_never(unreachable)
    return orjson.dumps(
        {
            "columns": columns,
            "rows": orjson.Fragment(rows),
            "truncated": False,
            "state": describe_state(result.state, whole),
        }
    )


def describe_views(layer: SemanticLayer, context: SecurityContext) -> bytes:
    """Return the views that a caller may see, with their dimensions and measures."""
    visible, whole = layer.visible(context), layer.catalog
    views = []
    for view in visible.views.values():
        if not view.public or view.name not in whole.views:
            continue
        members = list(list_members(visible, whole, view.name))
        views.append(
            {
                "name": view.name,
                "title": view.title,
                "description": view.description,
                "dimensions": [_dimension(item) for item in members if item.kind == "dimension"],
                "measures": [_measure(item) for item in members if item.kind == "measure"],
            }
        )
    return orjson.dumps({"views": views})


def to_d3(form: str | None, currency: str | None = None) -> str | None:
    """Return the d3-format specifier of a member's format, or None when d3 has none for it.

    >>> to_d3("percent_1"), to_d3("number"), to_d3("id")
    ('.1%', ',.2f', None)
    """
    if form is None or form in {"id", "imageUrl", "image_url", "link"}:
        return None
    named = _NAMED.fullmatch(form)
    if named is None:
        return form  # a specifier already, or strftime for a time
    digits = named[2] or "2"
    match named[1]:
        case "percent":
            return f".{digits}%"
        case "currency":
            # d3 writes one symbol, of the page's locale: another currency gets none at all.
            return f"{_CURRENCIES.get((currency or 'USD').upper(), '')},.{digits}f"
        case "accounting":
            return f"(,.{digits}f"
        case "abbr":
            return f".{max(1, int(digits))}s"
        case _:
            return f",.{digits}f"


def _dimension(item: Member) -> dict[str, Any]:
    kind: dict[str, str] = {"time": "timestamp", "geo": "string", "switch": "string"}
    return {
        "name": item.name,
        "type": kind.get(item.type, item.type),
        "title": item.title,
        "description": item.description,
    }


def _measure(item: Member) -> dict[str, Any]:
    is_number = item.type == "number"
    return {
        "name": item.name,
        "title": item.title,
        "description": item.description,
        "type": "timestamp" if item.type == "time" else item.type,
        "format": to_d3(item.format, item.currency) if is_number else None,
    }


def check_rows(asked: SqlQuery, result: Result) -> None:
    """Refuse an answer that does not hold all that was asked.

    Raises:
        LimitExceededError: there are more rows than may be returned.
    """
    if result.truncated or (asked.complete and result.table.num_rows > MAXIMUM_LIMIT):
        raise LimitExceededError(
            f"the answer has more than {MAXIMUM_LIMIT:,} rows, which is the most that is returned",
            suggestion="add a LIMIT, a filter or a coarser time grain",
        )


def find_columns(asked: SqlQuery, result: Result) -> list[tuple[str, int, bool]]:
    """Return name, place in the result, and whether it is a text, of each column of the answer."""
    places = {column.name: place for place, column in enumerate(result.columns)}
    found: list[tuple[str, int, bool]] = []
    for column in asked.columns:
        place = places.get(column.source or "")
        if place is None:
            raise InternalError(f"the answer has no column {column.source}")
        found.append((column.name, place, result.columns[place].type == "string"))
    return found


def _encode_table(asked: SqlQuery, result: Result) -> tuple[list[dict[str, str]], bytes]:
    check_rows(asked, result)
    columns: list[dict[str, str]] = []
    parts: list[Part] = []
    for name, place, as_text in find_columns(asked, result):
        kind, texts = encode_column(result.table.column(place), name, as_text=as_text)
        columns.append({"name": name, "type": kind})
        parts += ["," if parts else "[", texts]
    return columns, b"[" + join_rows([*parts, "]"], result.table.num_rows) + b"]"


def _encode_count(asked: SqlQuery, result: Result) -> tuple[list[dict[str, str]], bytes]:
    if result.total is None:
        raise InternalError("the rows were not counted")
    columns = [{"name": asked.columns[0].name, "type": "integer"}]
    return columns, orjson.dumps([[asked.count_rows(result.total)]])


def encode_column(
    column: pa.ChunkedArray, name: str, *, as_text: bool, quoted: bool = False
) -> tuple[ColumnType, pa.LargeStringArray]:
    """Return a column's type, which is that of its values, and its values as JSON texts.

    With `quoted`, whole and floating numbers are JSON texts, too; decimals always are.
    """
    flat = flatten(column)
    kind = "string" if as_text else _type_of(flat.type)
    match kind:
        case "integer":
            texts = render_numbers(flat, quoted=quoted)
        case "number":
            if not pc.all(pc.is_finite(flat)).as_py() and len(flat) > flat.null_count:
                raise EngineError(
                    f"{name} has a value that is no finite number",
                    suggestion="have the measure's divisor guarded with NULLIF in the model",
                )
            texts = render_numbers(flat, quoted=quoted)
        case "decimal":
            texts = render_numbers(flat, quoted=True)
        case "boolean":
            texts = render_booleans(flat, quoted=False)
        case "timestamp":
            # Cube's protocol has milliseconds, as `load` has; the plug-in's door all there are.
            unit = pa.timestamp("ms" if quoted else "us")
            stamps = pc.cast(flat, unit, safe=False)
            texts = render_strings(pc.cast(pc.strftime(stamps, "%Y-%m-%dT%H:%M:%S"), TEXT))
        case "date":
            texts = render_strings(pc.cast(pc.strftime(flat, "%Y-%m-%d"), TEXT))
        case "string":
            is_null = pa.types.is_null(flat.type)
            texts = pc.cast(flat, TEXT) if is_null else render_text(flat)
        case _ as unreachable:
            assert_never(unreachable)
    return kind, pc.fill_null(texts, NULL)


def _type_of(kind: pa.DataType) -> ColumnType:
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_decimal(kind):
        return "decimal"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            raise InternalError("a time of the answer has a zone: times are local to the query's")
        return "timestamp"
    return "date" if pa.types.is_date(kind) else "string"
