"""Cube's REST JSON to queries: shape only, no names are looked up.

Unknown keys, wrong types and malformed members are refused with the words that Cube's clients know.
Nothing is ignored: a key that Cube accepts and Ducat does not answer is an UnsupportedError. Keys
that say how to answer rather than what (`cache`, `responseFormat`) belong to the REST face, which
takes them off before; here they are accepted and checked, and carry no meaning.

One document may ask several queries: a list of them (Cube's data blending), or one whose time
dimension compares date ranges (`compareDateRange`), which is a query for each range.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError
from semantic.query.json_derived import read_compare, read_measures
from semantic.query.json_filters import read_filters
from semantic.query.json_shape import (
    MAXIMUM_MEMBERS,
    check_choice,
    check_keys,
    invalid,
    read_count,
    read_flag,
    read_list,
    read_mapping,
    read_member,
    read_members,
    read_text,
)
from semantic.query.members import clip
from semantic.query.query import MAXIMUM_LIMIT, Order, Query, TimeDimension

MAXIMUM_QUERIES: Final = 20
MAXIMUM_HINTS: Final = 50

QueryKind = Literal["regularQuery", "compareDateRangeQuery", "blendingQuery"]

_KEYS: Final = frozenset(
    {
        "measures",
        "dimensions",
        "segments",
        "filters",
        "timeDimensions",
        "order",
        "limit",
        "offset",
        "total",
        "timezone",
        "ungrouped",
        "cache",
        "cacheMode",
        "responseFormat",
        "joinHints",
        "subqueryJoins",
        "compare",
    }
)
_CACHE_MODES: Final = (
    "stale-if-slow",
    "stale-while-revalidate",
    "must-revalidate",
    "no-cache",
)
_FORMATS: Final = ("default", "compact", "columnar")
_TIME_KEYS: Final = frozenset({"dimension", "granularity", "dateRange", "compareDateRange"})
_CUBE: Final = re.compile(r"[a-zA-Z0-9_]+")
_LONGEST_GRANULARITY: Final = 128


@dataclass(frozen=True, slots=True)
class QuerySet:
    """The queries that one document asks, in its order.

    In a "compareDateRangeQuery" the time dimension at the place `compared` has another date range in
    each query, and nothing else differs.
    """

    kind: QueryKind
    queries: tuple[Query, ...]
    compared: int | None = None


def parse_json(document: object, *, unlimited: bool = False) -> Query:
    """Return the one query that a decoded JSON object asks.

    With `unlimited` its limit may be any, and without one the query asks for every row.

    Raises:
        QuerySyntaxError: an unknown key, a wrong type, a malformed member, or nothing asked.
        LimitExceededError: `limit`, or the number of members, filters or values is too large.
        UnsupportedError: a part of Cube's format that Ducat does not answer, or several queries
            (`compareDateRange`) where one is wanted.
    """
    raw = read_mapping(document, "query")
    query, ranges = _read(raw, unlimited=unlimited)
    if ranges is not None:
        raise UnsupportedError(
            "compareDateRange asks a query for each of its ranges, and one is wanted here",
            suggestion="ask one query per date range",
        )
    return query


def parse_json_queries(document: object, *, unlimited: bool = False) -> QuerySet:
    """Return the queries that a decoded JSON object or array asks; `unlimited` as in `parse_json`.

    Raises:
        QuerySyntaxError: as for `parse_json`; or queries to blend that differ in granularity.
        LimitExceededError: as for `parse_json`; or too many queries.
        UnsupportedError: a part of Cube's format that Ducat does not answer.
    """
    if isinstance(document, list | tuple):
        return _blend(document, unlimited=unlimited)
    query, compared = _read(read_mapping(document, "query"), unlimited=unlimited)
    if compared is None:
        return QuerySet("regularQuery", (query,))
    place, ranges = compared
    times = query.time_dimensions
    queries = tuple(
        replace(
            query,
            time_dimensions=(
                *times[:place],
                replace(times[place], date_range=chosen),
                *times[place + 1 :],
            ),
        )
        for chosen in ranges
    )
    return QuerySet("compareDateRangeQuery", queries, place)


def _blend(documents: list[object] | tuple[object, ...], *, unlimited: bool) -> QuerySet:
    if len(documents) > MAXIMUM_QUERIES:
        raise LimitExceededError(
            f"{len(documents)} queries were sent, at most {MAXIMUM_QUERIES} are allowed"
        )
    queries = tuple(parse_json(item, unlimited=unlimited) for item in documents)
    granularities = {
        item.granularity for query in queries for item in query.time_dimensions if item.granularity
    }
    if len(granularities) > 1:
        raise QuerySyntaxError("Data blending query granularities must match")
    if not all(any(item.granularity for item in query.time_dimensions) for query in queries) or (
        not queries
    ):
        raise QuerySyntaxError("Data blending query without granularity is not supported")
    return QuerySet("blendingQuery", queries)


DateRange = str | tuple[str, str]


def _read(
    raw: Mapping[str, Any], *, unlimited: bool
) -> tuple[Query, tuple[int, tuple[DateRange, ...]] | None]:
    """Return the query, and which time dimension compares which ranges, when one does."""
    check_keys(raw, _KEYS, "")
    if raw.get("subqueryJoins"):
        raise UnsupportedError(
            "subqueryJoins in a query is not supported",
            suggestion="ask for a view, whose join_path says which way is meant",
        )
    check_choice(raw.get("cache"), _CACHE_MODES, "cache")
    check_choice(raw.get("cacheMode"), _CACHE_MODES, "cacheMode")
    check_choice(raw.get("responseFormat"), _FORMATS, "responseFormat")
    times = read_list(raw.get("timeDimensions"), "timeDimensions")
    measures, shifted = read_measures(raw.get("measures"))
    query = Query(
        measures=measures,
        dimensions=read_members(raw.get("dimensions"), "dimensions"),
        time_dimensions=tuple(
            _time_dimension(item, f"timeDimensions[{index}]") for index, item in enumerate(times)
        ),
        filters=read_filters(raw.get("filters")),
        segments=read_members(raw.get("segments"), "segments"),
        order=_order(raw.get("order")),
        limit=_limit(raw.get("limit"), unlimited=unlimited),
        unlimited=unlimited,
        offset=read_count(raw.get("offset"), "offset") or 0,
        timezone=_timezone(raw.get("timezone")),
        total=read_flag(raw.get("total"), "total"),
        ungrouped=read_flag(raw.get("ungrouped"), "ungrouped"),
        join_hints=_join_hints(raw.get("joinHints")),
        shifted=shifted,
        compare=read_compare(raw.get("compare")),
    )
    if not (
        query.measures or query.dimensions or any(t.granularity for t in query.time_dimensions)
    ):
        raise QuerySyntaxError(
            "Query should contain either measures, dimensions or timeDimensions with "
            "granularities in order to be valid"
        )
    compared = [
        (index, _compared(item["compareDateRange"], f"timeDimensions[{index}].compareDateRange"))
        for index, item in enumerate(times)
        if isinstance(item, Mapping) and item.get("compareDateRange") is not None
    ]
    if compared and query.compare is not None:
        raise QuerySyntaxError(
            "compare and compareDateRange do not go together",
            suggestion="compare sets an earlier time beside each row; compareDateRange asks one "
            "query for each range",
        )
    if len(compared) > 1:
        raise QuerySyntaxError("compareDateRange can only exist for one timeDimension")
    return query, compared[0] if compared else None


def _limit(value: object, *, unlimited: bool) -> int | None:
    limit = read_count(value, "limit")
    if limit is not None and limit > MAXIMUM_LIMIT and not unlimited:
        raise LimitExceededError(
            "The query limit has been exceeded.",
            suggestion=f"ask for at most {MAXIMUM_LIMIT:,} rows; page with limit and offset",
        )
    return limit


def _timezone(value: object) -> str:
    return "UTC" if value is None else read_text(value, "timezone")


def _join_hints(value: object) -> tuple[tuple[str, ...], ...]:
    hints = []
    for index, item in enumerate(read_list(value, "joinHints", MAXIMUM_HINTS)):
        place = f"joinHints[{index}]"
        names = [read_text(name, place) for name in read_list(item, place, MAXIMUM_HINTS)]
        if len(names) < 2:  # noqa: PLR2004 -- a way leads from a cube to another
            raise invalid(f'"{place}" must contain at least 2 items')
        for name in names:
            if not _CUBE.fullmatch(name):
                raise invalid(f'"{place}" with value "{clip(name)}" is no name of a cube')
        hints.append(tuple(names))
    return tuple(hints)


def _time_dimension(value: object, place: str) -> TimeDimension:
    raw = read_mapping(value, place)
    check_keys(raw, _TIME_KEYS, place)
    if raw.get("dateRange") is not None and raw.get("compareDateRange") is not None:
        raise invalid(f'"{place}" contains a conflict between [dateRange, compareDateRange]')
    granularity = raw.get("granularity")
    if granularity is not None:
        granularity = read_text(granularity, f"{place}.granularity")
        if len(granularity.encode(errors="replace")) > _LONGEST_GRANULARITY:
            raise invalid(
                f'"{place}.granularity" must be at most {_LONGEST_GRANULARITY} bytes long'
            )
    return TimeDimension(
        dimension=read_member(raw.get("dimension"), f"{place}.dimension"),
        granularity=granularity,
        date_range=_date_range(raw.get("dateRange"), f"{place}.dateRange"),
    )


def _date_range(value: object, place: str) -> DateRange | None:
    if value is None:
        return None
    if isinstance(value, str):
        return read_text(value, place)
    ends = [read_text(item, place) for item in read_list(value, place)]
    if len(ends) == 1:
        return (ends[0], ends[0])
    if len(ends) != 2:  # noqa: PLR2004 -- a range has a start and an end
        raise invalid(f'"{place}" must contain 1 or 2 items')
    return (ends[0], ends[1])


def _compared(value: object, place: str) -> tuple[DateRange, ...]:
    ranges = []
    for index, item in enumerate(read_list(value, place, MAXIMUM_QUERIES)):
        chosen = _date_range(item, f"{place}[{index}]")
        if chosen is None:
            raise invalid(f'"{place}[{index}]" must be a string or an array')
        ranges.append(chosen)
    if not ranges:
        raise invalid(f'"{place}" must contain at least 1 item')
    return tuple(ranges)


def _order(value: object) -> tuple[Order, ...] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        pairs = list(read_mapping(value, "order").items())
        if len(pairs) > MAXIMUM_MEMBERS:
            raise LimitExceededError(f"order has more than {MAXIMUM_MEMBERS} entries")
        return tuple(_order_pair(member, way, f"order.{clip(member)}") for member, way in pairs)
    orders = []
    for index, item in enumerate(read_list(value, "order")):
        place = f"order[{index}]"
        if isinstance(item, Mapping):  # the form that answers echo: {"id": …, "desc": …}
            raw = read_mapping(item, place)
            check_keys(raw, frozenset({"id", "desc"}), place)
            descending = read_flag(raw.get("desc"), f"{place}.desc")
            orders.append(Order(read_member(raw.get("id"), f"{place}.id"), descending))
        else:
            pair = read_list(item, place)
            if len(pair) != 2:  # noqa: PLR2004 -- a member and a direction
                raise invalid(f'"{place}" must be a pair of a member and "asc" or "desc"')
            orders.append(_order_pair(pair[0], pair[1], place))
    return tuple(orders)


def _order_pair(member: object, way: object, place: str) -> Order:
    if way not in {"asc", "desc"} if isinstance(way, str) else True:
        raise invalid(f'"{place}" must be one of [asc, desc]')
    return Order(read_member(member, place), way == "desc")
