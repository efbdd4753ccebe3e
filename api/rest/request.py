"""A request to `load`, `sql` or `dry-run`, read: the query, and how its answer should look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from urllib.parse import parse_qsl

from api.errors import MethodError
from api.exact_json import read_json
from semantic.errors import QuerySyntaxError
from semantic.query.from_json import QuerySet, parse_json_queries
from semantic.query.query import Query

ResponseFormat = Literal["default", "compact", "columnar"]
CacheMode = Literal["stale-if-slow", "stale-while-revalidate", "must-revalidate", "no-cache"]

PARAMETERS: Final = frozenset({"query", "queryType", "cache"})
SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What `load` was asked. `multi` wraps the answer in Cube's list form."""

    asked: QuerySet
    form: ResponseFormat = "default"
    cache_mode: CacheMode = "stale-if-slow"
    multi: bool = False

    @property
    def query(self) -> Query:
        """The only query; of several, the first."""
        return self.asked.queries[0]

    def check_kind(self) -> None:
        """Refuse several queries from a client that expects one answer.

        Raises:
            QuerySyntaxError: there are several and `queryType` is not `multi`; Cube's words.
        """
        if self.asked.kind != "regularQuery" and not self.multi:
            raise QuerySyntaxError(
                f"'{self.asked.kind}' query type is not supported by the client."
                "Please update the client.",
                suggestion='send "queryType": "multi" beside the query',
            )


def read_request(
    method: str, query_string: bytes, body: bytes, *, unlimited: bool = False
) -> LoadRequest:
    """Return the request that the parameters of a GET or the body of a POST spell.

    With `unlimited` its queries have no limit but their own, which may be any.

    Raises:
        QuerySyntaxError: it is not one; Cube's words where Cube has some.
        UnsupportedError: it asks for something of Cube's that is not ours yet.
        MethodError: the method is neither.
    """
    return read_fields(read_raw(method, query_string, body), unlimited=unlimited)


def read_raw(method: str, query_string: bytes, body: bytes) -> dict[str, Any]:
    """Return the parameters of a GET, or the object that is the body of a POST.

    Raises:
        QuerySyntaxError: they cannot be read.
        MethodError: the method is neither.
    """
    match method:
        case "GET" | "HEAD":
            return _read_parameters(query_string)
        case "POST":
            return _read_body(body)
        case _:
            raise MethodError(method, ("GET", "POST"))


def read_fields(raw: dict[str, Any], *, unlimited: bool = False) -> LoadRequest:
    """Return the request that fields spell, wherever they came from; `unlimited` as above.

    Raises:
        QuerySyntaxError: they do not; Cube's words where Cube has some.
        UnsupportedError: it asks for something of Cube's that is not ours yet.
    """
    unknown = sorted(set(raw) - PARAMETERS)
    if unknown:
        raise QuerySyntaxError(
            f'Invalid request: "{unknown[0][:SHOWN]}" is not allowed',
            suggestion=f"a request has {', '.join(sorted(PARAMETERS))}",
        )
    return _read_query(raw, unlimited=unlimited)


def _read_parameters(query_string: bytes) -> dict[str, Any]:
    try:
        return dict(parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict"))
    except ValueError as malformed:
        raise QuerySyntaxError(f"the parameters cannot be read: {malformed}") from malformed


def _read_body(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        raw = read_json(body)
    except ValueError as malformed:
        raise QuerySyntaxError(f"the body is not JSON: {malformed}") from malformed
    if not isinstance(raw, dict):
        raise QuerySyntaxError(
            "the body is not a JSON object", suggestion='send {"query": {"measures": [...]}}'
        )
    return raw


def _read_query(raw: dict[str, Any], *, unlimited: bool) -> LoadRequest:
    query_type = raw.get("queryType")
    if query_type not in (None, "multi", "regularQuery"):
        raise QuerySyntaxError(
            f'Invalid request: "queryType" {str(query_type)[:SHOWN]!r} is not known'
        )
    document = raw.get("query")
    if document in (None, ""):
        raise QuerySyntaxError("Query param is required")
    if isinstance(document, str):
        try:
            document = read_json(document)
        except ValueError as malformed:
            raise QuerySyntaxError(
                f"Unable to decode query param as JSON, error: {malformed}"
            ) from malformed
    parts = document if isinstance(document, list) else [document]
    if not all(isinstance(part, dict) for part in parts):
        raise QuerySyntaxError("the query is not a JSON object")
    parts = [dict(part) for part in parts]
    form, mode = _read_form(parts), _read_cache_mode(raw, parts)
    asked = parse_json_queries(
        parts if isinstance(document, list) else parts[0], unlimited=unlimited
    )
    return LoadRequest(asked, form, mode, multi=query_type == "multi")


def _read_form(parts: list[dict[str, Any]]) -> ResponseFormat:
    forms = [part.pop("responseFormat", "default") for part in parts]
    for form in forms:
        if form not in get_args(ResponseFormat):
            raise QuerySyntaxError(
                'Invalid query format: "responseFormat" must be one of '
                f"{list(get_args(ResponseFormat))}"
            )
        if form != forms[0]:
            raise QuerySyntaxError("the queries of one request have one responseFormat")
    return forms[0] if forms else "default"


def _read_cache_mode(raw: dict[str, Any], parts: list[dict[str, Any]]) -> CacheMode:
    modes = [raw.get("cache")]
    for part in parts:
        modes += [part.pop("cache", None), part.pop("cacheMode", None)]
    for mode in modes:
        if mode is not None and mode not in get_args(CacheMode):
            raise QuerySyntaxError(
                f'Invalid query format: "cache" must be one of {list(get_args(CacheMode))}'
            )
    return next((mode for mode in modes if mode is not None), "stale-if-slow")
