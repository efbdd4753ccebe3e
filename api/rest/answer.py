"""A result as Cube's `load` answers it: the result object around ready-made rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from api.annotation import annotate
from api.document import write_document
from api.encode import TEXT, Part, join_rows, join_texts, render_column
from api.encode_few import FEW, list_values, write_lists, write_objects
from api.members import Model
from api.rest.request import CacheMode, LoadRequest, ResponseFormat
from api.state import describe_answer, format_instant
from semantic.engine.result import Result, ResultColumn
from semantic.query.dates import parse_range
from semantic.query.from_json import QuerySet
from semantic.query.granularities import GRANULARITIES
from semantic.query.query import DEFAULT_LIMIT, Query, TimeDimension

LAST_MOMENT: Final = timedelta(milliseconds=1)
ORDER_OF_GRANULARITIES: Final = {name: place for place, name in enumerate(GRANULARITIES)}


@dataclass(frozen=True, slots=True)
class PivotKey:
    """The key by which Cube's clients tell the results of several queries apart in one pivot.

    Each row has it: either one text for all, or the value of the row's own column `source`.
    """

    name: str
    text: str | None = None
    source: str | None = None


def encode_load(result: Result, request: LoadRequest, model: Model, *, now: datetime) -> bytes:
    """Return the body of an answer to one query; `now` is what relative dates were relative to."""
    answer = encode_part(result, request, 0, model, now=now)
    return encode_parts([answer], [result.query], request, now=now) if request.multi else answer


def encode_part(
    result: Result, request: LoadRequest, place: int, model: Model, *, now: datetime
) -> bytes:
    """Return the result object of the query at `place` among those of a request."""
    query = describe_query(result.query, request.cache_mode, now=now, form=request.form)
    pivot = _pivot_key(request.asked, request.asked.queries[place], now)
    return encode_result(result, request.form, query, model, pivot)


def encode_parts(
    answers: Sequence[bytes], queries: Sequence[Query], request: LoadRequest, *, now: datetime
) -> bytes:
    """Return the body of an answer to several queries, from the result object of each."""
    described = [
        describe_query(query, request.cache_mode, now=now, form=request.form) for query in queries
    ]
    return orjson.dumps(
        {
            "queryType": request.asked.kind,
            "results": [orjson.Fragment(answer) for answer in answers],
            "pivotQuery": describe_pivot(request.asked, described),
            "slowQuery": False,
        }
    )


def describe_pivot(asked: QuerySet, described: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the query that a pivot over all results is made for.

    Its measures are columns of the rows: those that the queries make are among them, by name.
    """
    measures = list(dict.fromkeys(name for query in asked.queries for name in name_columns(query)))
    match asked.kind:
        case "regularQuery":
            return described[0] | {"measures": measures, "queryType": asked.kind}
        case "compareDateRangeQuery":
            dimensions = ["compareDateRange", *described[0]["dimensions"]]
            changed = {"measures": measures, "dimensions": dimensions, "queryType": asked.kind}
            return described[0] | changed
        case "blendingQuery":
            names = (name for query in described for name in query["dimensions"])
            merged = {"measures": measures, "dimensions": list(dict.fromkeys(names))}
            granularity = _cut_time(asked.queries[0]).granularity
            times = [{"dimension": "time", "granularity": granularity}]
            return merged | {"timeDimensions": times, "queryType": asked.kind}
        case _ as unreachable:
            assert_never(unreachable)


def name_columns(query: Query) -> list[str]:
    """Return the columns of the measures of a query, with those that `compare` sets beside them."""
    compare = query.compare
    if compare is None:
        return list(query.measures)
    chosen = compare.measures
    if chosen is None:
        shifted = {item.name for item in query.shifted}
        chosen = tuple(name for name in query.measures if name not in shifted)
    names: list[str] = []
    for name in query.measures:
        names.append(name)
        if name in chosen:
            names += [f"{name}__{kind}" for kind in compare.show]
    return names


def _pivot_key(asked: QuerySet, query: Query, now: datetime) -> PivotKey | None:
    match asked.kind:
        case "regularQuery":
            return None
        case "compareDateRangeQuery":
            compared = query.time_dimensions[asked.compared or 0]
            found = _resolve_range(compared, now, ZoneInfo(query.timezone)).date_range
            return PivotKey("compareDateRange", text=" - ".join(found or ()))
        case "blendingQuery":
            item = _cut_time(query)
            return PivotKey(
                f"time.{item.granularity}", source=f"{item.dimension}.{item.granularity}"
            )
        case _ as unreachable:
            assert_never(unreachable)


def _cut_time(query: Query) -> TimeDimension:
    return next(item for item in query.time_dimensions if item.granularity is not None)


def encode_result(
    result: Result,
    form: ResponseFormat,
    query: dict[str, Any],
    model: Model,
    pivot: PivotKey | None = None,
) -> bytes:
    """Return Cube's result object, keys in Cube's order, and our `ducat` before the data."""
    body: dict[str, Any] = {
        "query": query,
        "lastRefreshTime": format_instant(result.state.built_at),
        "annotation": annotate(result, model),
        "dataSource": "default",
        "dbType": result.engine,
        "external": False,
        "slowQuery": False,
        "usedPreAggregations": {name: {"targetTableName": name} for name in result.rollups},
    }
    if result.query.total:
        body["total"] = result.total
    body["ducat"] = describe_answer(result, model.whole)
    body["data"] = orjson.Fragment(encode_rows(result, form, pivot))
    return orjson.dumps(body)


def encode_rows(
    result: Result, form: ResponseFormat = "default", pivot: PivotKey | None = None
) -> bytes:
    """Return the rows in one of Cube's three forms."""
    if 0 < result.table.num_rows <= FEW:
        return _encode_few(result, form, pivot)
    keys, columns = _keyed_columns(result)
    if pivot is not None:
        columns = [*columns, _pivot_column(pivot, dict(zip(keys, columns, strict=True)), result)]
        keys = [*keys, pivot.name]
    rows = result.table.num_rows
    match form:
        case "default":
            return b"[" + join_rows(_object_parts(keys, columns), rows) + b"]"
        case "compact" | "columnar" if rows == 0:
            return b'{"members":[],"dataset":[]}' if form == "compact" else _EMPTY_COLUMNS
        case "compact":
            parts: list[Part] = []
            for place, column in enumerate(columns):
                parts += ["," if place else "[", column]
            dataset = join_rows([*parts, "]"], rows)
            return b'{"members":' + orjson.dumps(keys) + b',"dataset":[' + dataset + b"]}"
        case "columnar":
            lists = b",".join(b"[" + join_texts(column) + b"]" for column in columns)
            return b'{"members":' + orjson.dumps(keys) + b',"columns":[' + lists + b"]}"
        case _ as unreachable:
            assert_never(unreachable)


def _encode_few(result: Result, form: ResponseFormat, pivot: PivotKey | None) -> bytes:
    columns = {
        column.name: list_values(result.table.column(place), column.type)
        for place, column in enumerate(result.columns)
    }
    columns |= {name: columns[source] for name, source in _repeat_times(result.columns).items()}
    if pivot is not None and pivot.source is not None:
        columns[pivot.name] = columns[pivot.source]
    elif pivot is not None:
        columns[pivot.name] = [pivot.text] * result.table.num_rows
    match form:
        case "default":
            return write_objects(columns)
        case "compact":
            dataset = write_lists(list(columns.values()))
            return b'{"members":' + orjson.dumps(list(columns)) + b',"dataset":' + dataset + b"}"
        case "columnar":
            lists = orjson.dumps(list(columns.values()))
            return b'{"members":' + orjson.dumps(list(columns)) + b',"columns":' + lists + b"}"
        case _ as unreachable:
            assert_never(unreachable)


_EMPTY_COLUMNS: Final = b'{"members":[],"columns":[]}'


def describe_query(
    query: Query, cache_mode: CacheMode, *, now: datetime, form: ResponseFormat = "default"
) -> dict[str, Any]:
    """Return the query as Cube echoes it: defaults filled in, date ranges as two local times.

    A client reads the rows in the `form` that the echo names.
    """
    limit = DEFAULT_LIMIT if query.limit is None else query.limit
    zone = ZoneInfo(query.timezone)
    resolved = tuple(_resolve_range(item, now, zone) for item in query.time_dimensions)
    echo = {} if form == "default" else {"responseFormat": form}
    return write_document(replace(query, time_dimensions=resolved)) | {
        **echo,
        "limit": limit,
        "rowLimit": limit,
        "offset": query.offset,
        "cacheMode": cache_mode,
    }


def _resolve_range(item: TimeDimension, now: datetime, zone: ZoneInfo) -> TimeDimension:
    """Write a range as Cube does: both ends inclusive, to the millisecond."""
    if item.date_range is None:
        return item
    found = parse_range(item.date_range, now=now, zone=zone)
    start = found.start.local.isoformat(timespec="milliseconds")
    end = (found.end.local - LAST_MOMENT).isoformat(timespec="milliseconds")
    return replace(item, date_range=(start, end))


def _keyed_columns(result: Result) -> tuple[list[str], list[pa.LargeStringArray]]:
    """Return the keys of a row and their columns: the SQL order, then Cube's extra keys."""
    columns = {
        column.name: render_column(result.table.column(place), column.type)
        for place, column in enumerate(result.columns)
    }
    columns |= {name: columns[source] for name, source in _repeat_times(result.columns).items()}
    return list(columns), list(columns.values())


def _repeat_times(columns: Sequence[ResultColumn]) -> dict[str, str]:
    """Return Cube's extra keys and the columns that they repeat.

    A time dimension with a granularity is repeated under its plain name, with the finest granularity
    asked, unless the plain dimension is a column of its own.
    """
    names = {column.name for column in columns}
    finest: dict[str, ResultColumn] = {}
    for column in columns:
        if column.granularity is None or column.member in names:
            continue
        known = finest.get(column.member)
        if known is None or _rank(column) < _rank(known):
            finest[column.member] = column
    return {member: column.name for member, column in finest.items()}


def _pivot_column(
    pivot: PivotKey, columns: Mapping[str, pa.LargeStringArray], result: Result
) -> pa.LargeStringArray:
    if pivot.source is not None:
        return columns[pivot.source]
    text = pa.scalar(orjson.dumps(pivot.text).decode(), TEXT)
    return pa.repeat(text, result.table.num_rows)


def _rank(column: ResultColumn) -> int:
    """Fine before coarse; custom granularities, whose length is not comparable, last."""
    return ORDER_OF_GRANULARITIES.get(column.granularity or "", len(ORDER_OF_GRANULARITIES))


def _object_parts(keys: Sequence[str], columns: Sequence[pa.LargeStringArray]) -> list[Part]:
    parts: list[Part] = []
    for place, (key, column) in enumerate(zip(keys, columns, strict=True)):
        parts += [f"{',' if place else '{'}{orjson.dumps(key).decode()}:", column]
    return [*parts, "}"]
