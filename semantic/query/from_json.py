"""Cube's REST JSON to a `Query`: shape only, no names are looked up.

Unknown keys, wrong types and malformed members are refused with the words that Cube's clients know.
Nothing is ignored: a key that Cube accepts and Ducat does not answer is an UnsupportedError. Keys
that say how to answer rather than what (`cache`, `responseFormat`) belong to the REST face, which
takes them off before; here they are accepted and checked, and carry no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError, suggest
from semantic.query.query import (
    MAXIMUM_LIMIT,
    AndFilter,
    Filter,
    MemberFilter,
    Operator,
    Order,
    OrFilter,
    Query,
    TimeDimension,
)

MAXIMUM_MEMBERS: Final = 200
MAXIMUM_FILTERS: Final = 500
MAXIMUM_VALUES: Final = 10_000
MAXIMUM_DEPTH: Final = 20
MAXIMUM_TEXT: Final = 10_000

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
    }
)
_CACHE_MODES: Final = (
    "stale-if-slow",
    "stale-while-revalidate",
    "must-revalidate",
    "no-cache",
)
_FORMATS: Final = ("default", "compact", "columnar")
_MEMBER: Final = re.compile(r"[a-zA-Z0-9_]+\.[a-zA-Z0-9_]+")
_DIMENSION: Final = re.compile(r"[a-zA-Z0-9_]+\.[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)?")
_OPERATORS: Final = frozenset(get_args(Operator))
_WITHOUT_VALUES: Final = frozenset({"set", "notSet"})


def parse_json(document: object) -> Query:
    """Return the query that a decoded JSON object asks.

    Raises:
        QuerySyntaxError: an unknown key, a wrong type, a malformed member, or nothing asked.
        LimitExceededError: `limit`, or the number of members, filters or values is too large.
        UnsupportedError: a part of Cube's format that Ducat does not answer.
    """
    raw = _mapping(document, "query")
    _check_keys(raw, _KEYS, "")
    _refuse_unsupported(raw)
    _one_of(raw.get("cache"), _CACHE_MODES, "cache")
    _one_of(raw.get("cacheMode"), _CACHE_MODES, "cacheMode")
    _one_of(raw.get("responseFormat"), _FORMATS, "responseFormat")
    query = Query(
        measures=_members(raw.get("measures"), "measures", _MEMBER),
        dimensions=_members(raw.get("dimensions"), "dimensions", _DIMENSION),
        time_dimensions=tuple(
            _time_dimension(item, f"timeDimensions[{index}]")
            for index, item in enumerate(_list(raw.get("timeDimensions"), "timeDimensions"))
        ),
        filters=_filters(raw.get("filters")),
        segments=_members(raw.get("segments"), "segments", _MEMBER),
        order=_order(raw.get("order")),
        limit=_limit(raw.get("limit")),
        offset=_count(raw.get("offset"), "offset") or 0,
        timezone=_timezone(raw.get("timezone")),
        total=_flag(raw.get("total"), "total"),
        ungrouped=_flag(raw.get("ungrouped"), "ungrouped"),
    )
    if not (
        query.measures or query.dimensions or any(t.granularity for t in query.time_dimensions)
    ):
        raise QuerySyntaxError(
            "Query should contain either measures, dimensions or timeDimensions with "
            "granularities in order to be valid"
        )
    return query


def _refuse_unsupported(raw: Mapping[str, Any]) -> None:
    for key in ("joinHints", "subqueryJoins"):
        if raw.get(key):
            raise UnsupportedError(
                f"{key} in a query is not supported",
                suggestion="ask for a view, whose join_path says which way is meant",
            )


def _invalid(text: str, suggestion: str | None = None) -> QuerySyntaxError:
    return QuerySyntaxError(f"Invalid query format: {text}", suggestion=suggestion)


def _check_keys(raw: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    for key in raw:
        if key not in known:
            path = f"{place}.{key}" if place else key
            raise _invalid(f'"{path}" is not allowed', suggest(key, known))


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(f'"{place}" must be of type object')
    for key in value:
        if not isinstance(key, str):
            raise _invalid(f'"{place}" must have texts as keys')
    return value


def _list(value: object, place: str, most: int = MAXIMUM_MEMBERS) -> Sequence[object]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise _invalid(f'"{place}" must be an array')
    if len(value) > most:
        raise LimitExceededError(f"{place} has {len(value)} entries, at most {most} are allowed")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _invalid(f'"{place}" must be a string')
    if len(value) > MAXIMUM_TEXT:
        raise LimitExceededError(f"{place} is longer than {MAXIMUM_TEXT} characters")
    return value


def _flag(value: object, place: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _invalid(f'"{place}" must be a boolean')
    return value


def _one_of(value: object, allowed: tuple[str, ...], place: str) -> None:
    if value is not None and value not in allowed:
        raise _invalid(f'"{place}" must be one of [{", ".join(allowed)}]')


def _count(value: object, place: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(f'"{place}" must be a number')
    if value < 0:
        raise _invalid(f'"{place}" must be greater than or equal to 0')
    if value >= 2**63:
        raise LimitExceededError(f"{place} is too large")
    return value


def _limit(value: object) -> int | None:
    limit = _count(value, "limit")
    if limit is not None and limit > MAXIMUM_LIMIT:
        raise LimitExceededError(
            "The query limit has been exceeded.",
            suggestion=f"ask for at most {MAXIMUM_LIMIT:,} rows; page with limit and offset",
        )
    return limit


def _timezone(value: object) -> str:
    return "UTC" if value is None else _text(value, "timezone")


def _member(value: object, place: str, pattern: re.Pattern[str]) -> str:
    if isinstance(value, Mapping):
        raise UnsupportedError(f"{place} is a member expression, which is not supported")
    text = _text(value, place)
    if not pattern.fullmatch(text):
        raise _invalid(
            f'"{place}" with value "{text}" fails to match the required pattern: '
            f"/^{pattern.pattern}$/",
            "members are written cube.member",
        )
    return text


def _members(value: object, place: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    return tuple(
        _member(item, f"{place}[{index}]", pattern)
        for index, item in enumerate(_list(value, place))
    )


def _time_dimension(value: object, place: str) -> TimeDimension:
    raw = _mapping(value, place)
    if raw.get("compareDateRange") is not None:
        raise UnsupportedError(
            f"{place}.compareDateRange is not supported",
            suggestion="ask one query per date range",
        )
    known = frozenset({"dimension", "granularity", "dateRange", "compareDateRange"})
    _check_keys(raw, known, place)
    granularity = raw.get("granularity")
    return TimeDimension(
        dimension=_member(raw.get("dimension"), f"{place}.dimension", _MEMBER),
        granularity=None if granularity is None else _text(granularity, f"{place}.granularity"),
        date_range=_date_range(raw.get("dateRange"), f"{place}.dateRange"),
    )


def _date_range(value: object, place: str) -> str | tuple[str, str] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _text(value, place)
    ends = [_text(item, place) for item in _list(value, place)]
    if len(ends) == 1:
        return (ends[0], ends[0])
    if len(ends) != 2:  # noqa: PLR2004 -- a range has a start and an end
        raise _invalid(f'"{place}" must contain 1 or 2 items')
    return (ends[0], ends[1])


def _filters(value: object) -> tuple[Filter, ...]:
    left = [MAXIMUM_FILTERS]
    return tuple(
        _filter(item, f"filters[{index}]", 1, left)
        for index, item in enumerate(_list(value, "filters", MAXIMUM_FILTERS))
    )


def _filter(value: object, place: str, depth: int, left: list[int]) -> Filter:
    left[0] -= 1
    if depth > MAXIMUM_DEPTH or left[0] < 0:
        raise LimitExceededError(
            f"at most {MAXIMUM_FILTERS} filters, nested at most {MAXIMUM_DEPTH} deep, are allowed"
        )
    raw = _mapping(value, place)
    for key, make in (("and", AndFilter), ("or", OrFilter)):
        if key in raw:
            _check_keys(raw, frozenset({key}), place)
            items = _list(raw[key], f"{place}.{key}", MAXIMUM_FILTERS)
            if not items:
                raise _invalid(f'"{place}.{key}" must contain at least 1 item')
            return make(
                tuple(
                    _filter(item, f"{place}.{key}[{index}]", depth + 1, left)
                    for index, item in enumerate(items)
                )
            )
    return _member_filter(raw, place)


def _member_filter(raw: Mapping[str, Any], place: str) -> MemberFilter:
    _check_keys(raw, frozenset({"member", "dimension", "operator", "values"}), place)
    if "member" in raw and "dimension" in raw:
        raise _invalid(f'"{place}" has both a member and a dimension')
    member = _member(raw.get("member", raw.get("dimension")), f"{place}.member", _MEMBER)
    operator = raw.get("operator")
    if operator == "measureFilter":
        raise UnsupportedError(f"{place}: the operator measureFilter is not supported")
    if not isinstance(operator, str) or operator not in _OPERATORS:
        raise _invalid(
            f'"{place}" does not match any of the allowed types: '
            f"there is no operator {str(operator)[:100]!r}",
            suggest(operator, _OPERATORS) if isinstance(operator, str) else None,
        )
    values = tuple(
        _value(item, f"{place}.values[{index}]")
        for index, item in enumerate(_list(raw.get("values"), f"{place}.values", MAXIMUM_VALUES))
    )
    if operator in _WITHOUT_VALUES:
        if values:
            raise _invalid(f'"{place}.values" is not allowed with the operator {operator}')
    elif not values:
        raise QuerySyntaxError(f"Values required for filter: {member} {operator}")
    return MemberFilter(member, operator, values)  # type: ignore[arg-type] # checked above


def _value(value: object, place: str) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value, place)
        case _:
            raise _invalid(f'"{place}" must be a string, a number, a boolean or null')


def _order(value: object) -> tuple[Order, ...] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        pairs = list(_mapping(value, "order").items())
        if len(pairs) > MAXIMUM_MEMBERS:
            raise LimitExceededError(f"order has more than {MAXIMUM_MEMBERS} entries")
        return tuple(_order_pair(member, way, f"order.{member}") for member, way in pairs)
    orders = []
    for index, item in enumerate(_list(value, "order")):
        place = f"order[{index}]"
        if isinstance(item, Mapping):  # the form that answers echo: {"id": …, "desc": …}
            raw = _mapping(item, place)
            _check_keys(raw, frozenset({"id", "desc"}), place)
            descending = _flag(raw.get("desc"), f"{place}.desc")
            orders.append(Order(_member(raw.get("id"), f"{place}.id", _DIMENSION), descending))
        else:
            pair = _list(item, place)
            if len(pair) != 2:  # noqa: PLR2004 -- a member and a direction
                raise _invalid(f'"{place}" must be a pair of a member and "asc" or "desc"')
            orders.append(_order_pair(pair[0], pair[1], place))
    return tuple(orders)


def _order_pair(member: object, way: object, place: str) -> Order:
    if way not in {"asc", "desc"} if isinstance(way, str) else True:
        raise _invalid(f'"{place}" must be one of [asc, desc]')
    return Order(_member(member, place, _DIMENSION), way == "desc")
