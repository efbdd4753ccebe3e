"""A `Query` written as Cube's query JSON: the echo of REST, and one gate for every door's limits."""

from __future__ import annotations

from typing import Any, assert_never

from semantic.query.from_json import parse_json
from semantic.query.query import (
    AndFilter,
    Compare,
    Filter,
    MemberFilter,
    OrFilter,
    Query,
    ShiftedMeasure,
    TimeDimension,
)


def write_document(query: Query) -> dict[str, Any]:
    """Return the query as JSON; what was left to a default is left out."""
    shifted = {item.name: item for item in query.shifted}
    document: dict[str, Any] = {
        "measures": [
            _write_shifted(shifted[name]) if name in shifted else name for name in query.measures
        ],
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
    if query.compare is not None:
        document["compare"] = _write_compare(query.compare)
    return document


def _write_shifted(item: ShiftedMeasure) -> dict[str, Any]:
    written: dict[str, Any] = {
        "measure": item.measure,
        "shift": item.interval,
        "direction": item.direction,
        "as": item.name.rpartition(".")[2],
    }
    if item.time_dimension is not None:
        written["timeDimension"] = item.time_dimension
    return written


def _write_compare(item: Compare) -> dict[str, Any]:
    written: dict[str, Any] = {"to": item.to, "show": list(item.show)}
    if item.time_dimension is not None:
        written["timeDimension"] = item.time_dimension
    if item.measures is not None:
        written["measures"] = list(item.measures)
    return written


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
