"""Every door refuses hostile texts with a short, coded error, and goes on."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.api.conftest import Server

LONG = "x" * 200_000
INJECTION = "1'); DROP TABLE gold.fct_sale; --"


def check(status: int, text: str) -> None:
    assert 400 <= status < 502, text[:300]
    assert "x" * 101 not in text
    assert len(text) < 2_000
    assert "Traceback" not in text


@pytest.mark.parametrize("text", [LONG, INJECTION], ids=["long", "injection"])
def test_rest_refuses_a_hostile_text_in_every_part_of_a_request(server: Server, text: str) -> None:
    bodies: list[Any] = [
        {text: 1},
        {"query": text},
        {"query": {"measures": [text]}},
        {"query": {"measures": ["sales.count"]}, "queryType": text},
        {"query": {"measures": ["sales.count"]}, "cache": text},
        {"query": {"measures": ["sales.count"], "responseFormat": text}},
        {"query": [{"measures": [text]}], "queryType": "multi"},
    ]
    for path in ("load", "sql", "dry-run"):
        for body in bodies:
            response = server.client.post(f"/cubejs-api/v1/{path}", json=body)
            check(response.status_code, response.text)
            assert response.json()["code"] in {"query_syntax", "unknown_member", "limit_exceeded"}
    short = quote(text[:5_000])
    for path in (f"/cubejs-api/v1/load?{short}=1", f"/cubejs-api/v1/meta?extended={short}"):
        response = server.client.get(path)
        check(response.status_code, response.text)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT {0} FROM shop_sales",
        "SELECT MEASURE({0}) FROM shop_sales",
        "SELECT MEASURE(count) FROM {0}",
        "SELECT MEASURE(count) FROM shop_sales WHERE {0} = 1",
        "SELECT MEASURE(count) FROM shop_sales WHERE is_online = '{0}'",
        "SELECT MEASURE(count) FROM shop_sales WHERE sold_at > '{0}'",
        "SELECT MEASURE(count) FROM shop_sales ORDER BY {0}",
        "SELECT MEASURE(count) FROM shop_sales LIMIT {0}",
        "SELECT DATE_TRUNC('{0}', sold_at) FROM shop_sales GROUP BY 1",
        "{0}",
        "SELECT '{0}",
        "SELECT {0}(count) FROM shop_sales",
    ],
)
@pytest.mark.parametrize("text", [LONG, INJECTION], ids=["long", "injection"])
def test_sql_refuses_a_hostile_text_in_every_part_of_a_statement(
    server: Server, statement: str, text: str
) -> None:
    response = server.client.post("/ducat/v1/sql", json={"sql": statement.format(text)})
    check(response.status_code, response.text)


@pytest.mark.parametrize(
    "text",
    [
        "{ cube { %s { count } } }",
        "{ cube { sales { %s } } }",
        '{ cube(timezone: "%s") { sales { count } } }',
        '{ cube(where: {sales: {sold_at: {equals: "%s"}}}) { sales { count } } }',
        "{ cube(orderBy: {sales: {%s: asc}}) { sales { count } } }",
        "{ cube(where: {sales: {%s: {set: true}}}) { sales { count } } }",
        "{ cube(%s: 1) { sales { count } } }",
        "{ %s }",
        "query %s { cube { nope } }",
        "{ ...%s }",
    ],
)
def test_graphql_refuses_a_hostile_text_in_every_part_of_a_query(server: Server, text: str) -> None:
    response = server.client.post("/graphql", json={"query": text % LONG})
    body = response.json()
    assert body["errors"]
    shown = response.text
    assert "x" * 101 not in shown
    assert len(shown) < 4_000


def test_the_server_answers_after_all_that(server: Server) -> None:
    assert server.load({"measures": ["sales.count"]})["data"] == [{"sales.count": "400"}]
