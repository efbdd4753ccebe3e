"""The OpenAPI document, `/openapi.json`: every HTTP route, what it takes, and all that it answers.

It is written here, not derived: the routes read bytes themselves, for speed and for Cube's words, so
no framework knows their shapes. That it is true is tested: schemathesis asks a running server by it
and holds the answers against it, and a test compares its routes with the server's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from api.openapi_schemas import CACHE, SCHEMAS, Schema, refer

BASE: Final = "/cubejs-api/v1"
JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
REFUSALS: Final[Mapping[str, str]] = {
    "400": "The request is none, or asks for what cannot be asked.",
    "403": "There is no token, it is not valid, or it may not see this.",
    "405": "Another method is answered here.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "429": "As many queries as one caller may have.",
    "431": "The head of the request is too large.",
    "499": "The query was cancelled: nobody waits for it.",
    "500": "A defect; the request id finds it in the log.",
    "501": "Valid in Cube's protocol, not answered by this version.",
    "503": "Nothing is in service, or too much is asked at once; come again later.",
    "504": "The query took longer than it may.",
}


@cache
def build_document() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ducat",
            "version": version("ducat"),
            "description": "Metrics over REST in Cube's protocol, GraphQL, SQL and MCP.",
        },
        "paths": _cube_paths() | _own_paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A JWT, or an API key.",
                }
            },
        },
        "security": [{"token": []}],
    }


def _cube_paths() -> dict[str, Any]:
    load_answers = {"anyOf": [refer("Result"), refer("Results"), refer("ContinueWait")]}
    load = _asked("LoadRequest", load_answers, {ARROW: {}})
    sql_get = _get("The SQL of a query", refer("Sql"), [*_query_parameters(), _sql_format()])
    return {
        f"{BASE}/load": {
            "get": _get("Answer a query", load_answers, _query_parameters(), {ARROW: {}}),
            "post": {"summary": "Answer a query", **load},
        },
        f"{BASE}/subscribe": {
            "get": _get("The same as load", load_answers, _query_parameters(), {ARROW: {}}),
            "post": {"summary": "The same as load", **load},
        },
        f"{BASE}/sql": {
            "get": sql_get,
            "post": {
                "summary": "The SQL of a query, or with format=sql of a SELECT",
                "requestBody": _body(
                    {
                        "anyOf": [
                            refer("LoadRequest"),
                            {
                                "type": "object",
                                "properties": {
                                    "format": {"const": "sql"},
                                    "query": {"type": "string"},
                                },
                                "required": ["format", "query"],
                            },
                        ]
                    }
                ),
                "responses": _responses({JSON: {"schema": refer("Sql")}}),
            },
        },
        f"{BASE}/dry-run": {
            "get": _get("Check a query", refer("DryRun"), _query_parameters()),
            "post": {"summary": "Check a query", **_asked("LoadRequest", refer("DryRun"))},
        },
        f"{BASE}/meta": {
            "get": _get(
                "The model that the caller may see",
                refer("Meta"),
                [_flag("extended"), _flag("onlyViews")],
            )
        },
        f"{BASE}/cubesql": {
            "post": {
                "summary": "Answer a SELECT with lines of JSON",
                "description": 'First `{"schema": ...}`, then lines of `{"data": [[...], ...]}`.',
                "requestBody": _body(refer("CubeSqlRequest")),
                "responses": _responses({JSON: {}}),
            }
        },
        f"{BASE}/convert-query": {
            "post": {
                "summary": "The query JSON that asks what a SELECT asks",
                **_asked("Conversion", refer("Converted")),
            }
        },
        f"{BASE}/pre-aggregations/jobs": {
            "post": {
                "summary": "The state of jobs: there are none",
                **_asked("Jobs", refer("JobStates")),
            }
        },
    }


def _own_paths() -> dict[str, Any]:
    graphql = {
        "get": _get(
            "Answer a GraphQL query, or show a page to explore GraphQL with",
            refer("GraphQLAnswer"),
            [
                _parameter("query", {"type": "string"}),
                _parameter("operationName", {"type": "string"}),
                _json_parameter("variables", {"type": "object"}),
                _json_parameter("extensions", {"type": "object"}),
            ],
            {"text/html": {}},
        )
        | {"security": [{"token": []}, {}]},
        "post": {
            "summary": "Answer a GraphQL request",
            **_asked("GraphQL", refer("GraphQLAnswer")),
        },
    }
    for part in graphql.values():
        # GraphQL's refusals have GraphQL's form; that of the token is like everywhere.
        answers = {"anyOf": [refer("GraphQLAnswer"), refer("Error")]}
        part["responses"]["400"]["content"] = {JSON: {"schema": answers}}
    open_to_all: dict[str, Any] = {"security": []}
    health = {"get": _get("Whether this works", refer("Health")) | open_to_all}
    page = {"200": {"description": "It is that.", "content": {"text/html": {}}}}
    text = {"200": {"description": "It is that.", "content": {"text/plain": {}}}}
    document = {
        "200": {"description": "It is that.", "content": {JSON: {"schema": {"type": "object"}}}}
    }
    return {
        "/graphql": graphql,
        "/cubejs-api/graphql": graphql,
        "/mcp": {"post": _agents()},
        "/ducat/v1/sql": {
            "post": {
                "summary": "Answer a SELECT over a view",
                **_asked("SqlRequest", refer("SqlRows")),
            }
        },
        "/ducat/v1/sql/meta": {
            "get": _get("The views and columns that SQL may name", refer("SqlViews"))
        },
        "/readyz": health,
        "/livez": health,
        "/metrics": {"get": {"summary": "Metrics for Prometheus", "responses": text} | open_to_all},
        "/openapi.json": {"get": {"summary": "This", "responses": document} | open_to_all},
        "/": {"get": {"summary": "The doors", "responses": page} | open_to_all},
    }


def _agents() -> dict[str, Any]:
    responses = _responses({JSON: {}}) | {
        "202": {"description": "It is heard."},
        "406": {
            "description": "JSON and event streams must both be accepted.",
            "content": {JSON: {}},
        },
        "415": {"description": "The body is no JSON by its type.", "content": {JSON: {}}},
    }
    responses["400"]["content"] = {JSON: {"schema": {"type": "object"}}}  # of JSON-RPC
    return {
        "summary": "Model Context Protocol for agents (streamable HTTP, no sessions)",
        "requestBody": _body({"type": "object"}),
        "responses": responses,
    }


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    refused = {JSON: {"schema": refer("Error")}}
    return {"200": {"description": "The answer.", "content": content}} | {
        status: {"description": text, "content": refused} for status, text in REFUSALS.items()
    }


def _body(schema: Schema) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _asked(request: str, answer: Schema, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    content = {JSON: {"schema": answer}} | dict(more or {})
    return {"requestBody": _body(refer(request)), "responses": _responses(content)}


def _get(
    summary: str,
    answer: Schema,
    parameters: list[dict[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    content = {JSON: {"schema": answer}} | dict(more or {})
    return {"summary": summary, "parameters": parameters or [], "responses": _responses(content)}


def _query_parameters() -> list[dict[str, Any]]:
    query = SCHEMAS["LoadRequest"]["properties"]["query"]
    return [
        _json_parameter("query", query) | {"required": True},
        _parameter("queryType", {"enum": ["multi", "regularQuery"]}),
        _parameter("cache", CACHE),
    ]


def _parameter(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _json_parameter(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "content": {JSON: {"schema": schema}}}


def _sql_format() -> dict[str, Any]:
    return _parameter("format", {"enum": ["rest", "sql"]})


def _flag(name: str) -> dict[str, Any]:
    return _parameter(name, {"enum": ["", "true", "1", "false"]}) | {"allowEmptyValue": True}
