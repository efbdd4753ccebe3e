"""The OpenAPI document is complete and true: schemathesis asks a real server by it."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from api.openapi import BASE, build_document
from tests.unit.api.conftest import Server

CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
    ignored_auth,
]
DOCUMENT: Final = build_document()
OPERATIONS: Final = [
    (method.upper(), path)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if path not in {f"{BASE}/subscribe", "/cubejs-api/graphql"}  # load and graphql once more
]
EXAMPLES: Final = int(os.environ.get("OPENAPI_EXAMPLES", "6"))
TOO_LARGE: Final = 413
NO_HTTP: Final = "Invalid HTTP request received."
KNOWN: Final = (
    "sales.count", "sales.amount", "sales.sold_at", "sales.is_online", "sales.weight", "shops.city",
    "sales.heavy", "shop_sales.count", "shop_sales.shop_city", "shop_sales.sold_at.month", "sales.no",
)  # fmt: skip
SELECTS: Final = (
    "SELECT shop_city, MEASURE(count) FROM shop_sales GROUP BY 1",
    "SELECT MEASURE(amount) AS n FROM shop_sales WHERE is_online",
    "SELECT nothing FROM shop_sales",
    "SELECT",
)


def _takes_anything(method: str, path: str) -> bool:
    if method == "GET" and path.removeprefix(f"{BASE}/") in {"load", "sql", "dry-run"}:
        return False  # the same query as in a POST, whose mutants take long to write into a URL
    operation = DOCUMENT["paths"][path][method.lower()]
    return bool(operation.get("parameters") or operation.get("requestBody"))


def hinted() -> dict[str, Any]:
    """Return the document with names of the served model, so that more than refusals come back."""
    document = copy.deepcopy(DOCUMENT)
    schemas = document["components"]["schemas"]
    schemas["Member"] = {"anyOf": [{"enum": [*KNOWN]}, schemas["Member"]]}
    zones = {"enum": ["UTC", "Asia/Kathmandu", "Nowhere/City"]}
    schemas["Query"]["properties"]["timezone"] = {"anyOf": [zones, {"type": "string"}]}
    ranges = {"enum": ["last year", ["2024-01-01", "2024-02-29"], "no date"]}
    schemas["DateRange"] = {"anyOf": [ranges, schemas["DateRange"]]}
    for name, key in (("CubeSqlRequest", "query"), ("Conversion", "query"), ("SqlRequest", "sql")):
        schemas[name]["properties"][key] = {"anyOf": [{"enum": [*SELECTS]}, {"type": "string"}]}
    return document


@pytest.fixture(scope="module")
def schema(server: Server) -> Any:
    made = schemathesis.openapi.from_dict(hinted())
    made.config.update(base_url=server.url)
    return made


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        (method, path, mode)
        for method, path in OPERATIONS
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or _takes_anything(method, path)
    ],
)
def test_answers_are_as_the_document_says(
    method: str, path: str, mode: GenerationMode, schema: Any, server: Server
) -> None:
    operation = schema[path][method]
    token = str(server.client.headers["authorization"])
    checks = CHECKS + ([negative_data_rejection] if mode is GenerationMode.NEGATIVE else [])

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def ask(case: Case[Any]) -> None:
        response = case.call(headers={"authorization": token}, timeout=60)
        if response.text == NO_HTTP:
            return  # a line longer than the HTTP parser reads: no route was reached
        held = CHECKS if response.status_code == TOO_LARGE else checks  # 413 is a refusal, too
        case.validate_response(response, checks=held, headers={"authorization": token})
        assert response.status_code != 500, response.text

    ask()


def test_every_route_of_the_readme_is_in_the_document() -> None:
    readme = (Path(__file__).parents[3] / "api" / "README.md").read_text()
    table = readme[readme.index("## Routes") : readme.index("## Who may ask")]
    named = set(re.findall(r"`(/[a-z0-9/.-]*)`", table))
    assert named - set(DOCUMENT["paths"]) == {f"{BASE}/ws"}
    assert set(DOCUMENT["paths"]) <= named


def test_the_document_is_served(server: Server) -> None:
    served = server.client.get("/openapi.json")
    assert served.json() == DOCUMENT
