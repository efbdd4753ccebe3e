"""A request to `load`, `sql` or `dry-run`, read: the query, and how its answer should look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from urllib.parse import parse_qsl

import orjson

from api.errors import NoRouteError
from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.from_json import parse_json
from semantic.query.query import Query

ResponseFormat = Literal["default", "compact", "columnar"]
CacheMode = Literal["stale-if-slow", "stale-while-revalidate", "must-revalidate", "no-cache"]

PARAMETERS: Final = frozenset({"query", "queryType", "cache"})
NOT_YET: Final = frozenset({"subqueryJoins", "joinHints"})


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What `load` was asked. `multi` wraps the answer in Cube's list form."""

    query: Query
    document: dict[str, Any]
    form: ResponseFormat = "default"
    cache_mode: CacheMode = "stale-if-slow"
    multi: bool = False


def read_request(method: str, query_string: bytes, body: bytes) -> LoadRequest:
    """Return the request that the parameters of a GET or the body of a POST spell.

    Raises:
        QuerySyntaxError: it is not one; Cube's words where Cube has some.
        UnsupportedError: it asks for something of Cube's that is not ours yet.
        NoRouteError: the method is neither.
    """
    match method:
        case "GET" | "HEAD":
            raw = _read_parameters(query_string)
        case "POST":
            raw = _read_body(body)
        case _:
            raise NoRouteError(f"{method} is not answered here: use GET or POST")
    unknown = sorted(set(raw) - PARAMETERS)
    if unknown:
        raise QuerySyntaxError(
            f'Invalid request: "{unknown[0]}" is not allowed',
            suggestion=f"a request has {', '.join(sorted(PARAMETERS))}",
        )
    return _read_query(raw)


def _read_parameters(query_string: bytes) -> dict[str, Any]:
    try:
        return dict(parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict"))
    except ValueError as malformed:
        raise QuerySyntaxError(f"the parameters cannot be read: {malformed}") from malformed


def _read_body(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as malformed:
        raise QuerySyntaxError(f"the body is not JSON: {malformed}") from malformed
    if not isinstance(raw, dict):
        raise QuerySyntaxError(
            "the body is not a JSON object", suggestion='send {"query": {"measures": [...]}}'
        )
    return raw


def _read_query(raw: dict[str, Any]) -> LoadRequest:
    query_type = raw.get("queryType")
    if query_type not in (None, "multi", "regularQuery"):
        raise QuerySyntaxError(f'Invalid request: "queryType" {query_type!r} is not known')
    document = raw.get("query")
    if document in (None, ""):
        raise QuerySyntaxError("Query param is required")
    if isinstance(document, str):
        try:
            document = orjson.loads(document)
        except orjson.JSONDecodeError as malformed:
            raise QuerySyntaxError(
                f"Unable to decode query param as JSON, error: {malformed}"
            ) from malformed
    if isinstance(document, list):
        raise UnsupportedError(
            "a list of queries (data blending) is not answered yet",
            suggestion="send each query by itself",
        )
    if not isinstance(document, dict):
        raise QuerySyntaxError("the query is not a JSON object")
    document = dict(document)
    for key in NOT_YET & set(document):
        raise UnsupportedError(f'"{key}" is not answered yet', suggestion="join in a view instead")
    form = document.pop("responseFormat", "default")
    if form not in get_args(ResponseFormat):
        raise QuerySyntaxError(
            f'Invalid query format: "responseFormat" must be one of {list(get_args(ResponseFormat))}'
        )
    modes = [raw.get("cache"), document.pop("cache", None), document.pop("cacheMode", None)]
    mode: CacheMode = next((mode for mode in modes if mode is not None), "stale-if-slow")
    if mode not in get_args(CacheMode):
        raise QuerySyntaxError(
            f'Invalid query format: "cache" must be one of {list(get_args(CacheMode))}'
        )
    return LoadRequest(parse_json(document), document, form, mode, multi=query_type == "multi")
