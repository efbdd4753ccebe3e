"""Documents known by their hash, queries by GET, and compared date ranges, on a real server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.graphql.documents import read_documents
from semantic.errors import SettingsError
from tests.unit.api.conftest import Server, Site, run_server

COUNT = "{ cube { sales { count } } }"
ONLINE = "query($o: String) { cube(where: {sales: {is_online: {equals: $o}}}) { sales { count } } }"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def persisted(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}


@pytest.fixture(scope="module")
def strict(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("strict")
    documents = folder / "documents.json"
    documents.write_text(json.dumps({digest(COUNT): COUNT}))
    with run_server(
        site,
        folder,
        DUCAT_GRAPHQL_DOCUMENTS=str(documents),
        DUCAT_GRAPHQL_DOCUMENTS_ONLY="true",
    ) as running:
        yield running


def test_a_get_answers_a_query_with_variables(server: Server) -> None:
    ((expected,),) = server.site.ask("SELECT count(*) FROM gold.fct_sale WHERE is_online")
    parameters = {"query": ONLINE, "variables": json.dumps({"o": "true"})}
    answer = server.client.get("/graphql", params=parameters).json()
    assert answer["data"] == {"cube": [{"sales": {"count": expected}}]}


def test_a_document_is_sent_once_and_then_named_by_its_hash(server: Server) -> None:
    text = "query Once { cube { sales { count amount } } }"
    unknown = server.client.post("/graphql", json={"extensions": persisted(text)})
    assert unknown.status_code in {200, 400}
    [error] = unknown.json()["errors"]
    assert error["message"] == "PersistedQueryNotFound"
    assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    first = server.client.post(
        "/graphql", json={"query": text, "extensions": persisted(text)}
    ).json()
    again = server.client.get("/graphql", params={"extensions": json.dumps(persisted(text))}).json()
    assert first["data"] == again["data"]
    assert first["data"]["cube"]


def test_a_hash_of_another_text_is_refused(server: Server) -> None:
    body = {"query": COUNT, "extensions": persisted("{ other }")}
    answer = server.client.post("/graphql", json=body).json()
    assert answer["errors"][0]["message"] == "provided sha does not match query"


@pytest.mark.parametrize(
    "body",
    [
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": digest(COUNT)}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "xyz"}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 3}}},
        {"documentId": "../../etc/passwd"},
        {"extensions": 3},
        {},
    ],
)
def test_what_names_no_document_is_refused(server: Server, body: dict[str, Any]) -> None:
    assert server.client.post("/graphql", json=body).status_code == 400


def test_only_registered_documents_are_answered_where_that_is_set(strict: Server) -> None:
    ((expected,),) = strict.site.ask("SELECT count(*) FROM gold.fct_sale")
    for body in ({"query": COUNT}, {"documentId": f"sha256:{digest(COUNT)}"}):
        answer = strict.client.post("/graphql", json=body).json()
        assert answer["data"] == {"cube": [{"sales": {"count": expected}}]}
    refused = strict.client.post("/graphql", json={"query": ONLINE}).json()
    assert "only registered documents" in refused["errors"][0]["message"]
    named = strict.client.post("/graphql", json={"extensions": persisted(ONLINE)}).json()
    assert "data" not in named


@pytest.mark.parametrize(
    "text", ["", "[]", '{"abc": "{ a }"}', f'{{"{digest("{ b }")}": "{{ a }}"}}']
)
def test_a_file_that_registers_nothing_sound_is_refused_at_the_start(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "documents.json"
    path.write_text(text)
    with pytest.raises(SettingsError):
        read_documents(path, only_registered=False)


def test_only_registered_documents_need_a_file() -> None:
    with pytest.raises(SettingsError):
        read_documents(None, only_registered=True)


RANGES = '[["2024-01-01", "2024-01-31"], ["2024-02-01", "2024-02-29"]]'


def test_date_ranges_are_compared_row_by_row(server: Server) -> None:
    answer = server.graphql(
        f'{{ cube(compareDateRange: {{dimension: "sales.sold_at", ranges: {RANGES}}}) '
        "{ compareDateRange sales { count } } }"
    )
    expected = server.site.ask(
        "SELECT strftime(date_trunc('month', sold_at), '%Y-%m'), count(*) FROM gold.fct_sale "
        "WHERE sold_at < '2024-03-01' GROUP BY 1 ORDER BY 1"
    )
    rows = answer["data"]["cube"]
    assert [(row["compareDateRange"][:7], row["sales"]["count"]) for row in rows] == expected
    assert rows[1]["compareDateRange"] == "2024-02-01T00:00:00.000 - 2024-02-29T23:59:59.999"
    assert set(answer["extensions"]["ducat"]) == {"cube[0]", "cube[1]"}


def test_compared_ranges_keep_granularity_and_order(server: Server) -> None:
    answer = server.graphql(
        f'{{ cube(compareDateRange: {{dimension: "sales.sold_at", ranges: {RANGES}}}, '
        "orderBy: {sales: {sold_at: asc}}) "
        "{ sales { count sold_at { week } } } }"
    )
    expected = server.site.ask(
        "SELECT strftime(date_trunc('week', sold_at), '%Y-%m-%dT%H:%M:%S.000Z'), count(*) "
        "FROM gold.fct_sale WHERE sold_at < '2024-03-01' "
        "GROUP BY date_trunc('month', sold_at), 1 ORDER BY date_trunc('month', sold_at), 1"
    )
    found = [
        (row["sales"]["sold_at"]["week"], row["sales"]["count"]) for row in answer["data"]["cube"]
    ]
    assert found == expected


@pytest.mark.parametrize("ranges", ["[]", "[[]]", '[["a","b","c"]]', '[["never"]]'])
def test_ranges_that_are_none_are_refused(server: Server, ranges: str) -> None:
    answer = server.graphql(
        f'{{ cube(compareDateRange: {{dimension: "sales.sold_at", ranges: {ranges}}}) '
        "{ sales { count } } }"
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_without_a_comparison_the_field_is_null(server: Server) -> None:
    answer = server.graphql("{ cube { compareDateRange sales { count } } }")
    assert answer["data"]["cube"][0]["compareDateRange"] is None
