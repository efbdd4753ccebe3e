"""A `Query` written as Cube's query JSON: the echo of REST, and one gate for every door's limits."""

from __future__ import annotations

from typing import Any, assert_never

from semantic.query.from_json import parse_json
from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter, Query, TimeDimension


def write_document(query: Query) -> dict[str, Any]:
    """Return the query as JSON; what was left to a default is left out."""
    document: dict[str, Any] = {
        "measures": list(query.measures),
        "dimensions": list(query.dimensions),
        "timeDimensions": [_write_time(item) for item in query.time_dimensions],
        "segments": list(query.segments),
        "filters": [_write_filter(item) for item in query.filters],
        "timezone": query.timezone,
    }
    if query.limit is not None:
        document["limit"] = query.limit
    if query.offset:
        document["offset"] = query.offset
    if query.order is not None:
        document["order"] = [{"id": item.member, "desc": item.descending} for item in query.order]
    if query.total:
        document["total"] = True
    if query.ungrouped:
        document["ungrouped"] = True
    if query.join_hints:
        document["joinHints"] = [list(hint) for hint in query.join_hints]
    return document


def check_query(query: Query) -> Query:
    """Return a query built from another spelling, after the checks that REST's JSON gets.

    Raises:
        QueryError: a limit is exceeded, the timezone is unknown, an operator lacks its values.
    """
    return parse_json(write_document(query))


def _write_time(item: TimeDimension) -> dict[str, Any]:
    written: dict[str, Any] = {"dimension": item.dimension}
    if item.granularity is not None:
        written["granularity"] = item.granularity
    if item.date_range is not None:
        is_text = isinstance(item.date_range, str)
        written["dateRange"] = item.date_range if is_text else list(item.date_range)
    return written


def _write_filter(item: Filter) -> dict[str, Any]:
    match item:
        case MemberFilter():
            written: dict[str, Any] = {"member": item.member, "operator": item.operator}
            return written | ({"values": list(item.values)} if item.values else {})
        case AndFilter():
            return {"and": [_write_filter(part) for part in item.parts]}
        case OrFilter():
            return {"or": [_write_filter(part) for part in item.parts]}
        case _ as unreachable:
            assert_never(unreachable)
