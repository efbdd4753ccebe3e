"""What people may do by themselves in Superset, and what nobody may."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

from dashboards.client import SupersetClient
from dashboards.errors import SupersetRefusedError
from semantic.catalog.load import load_catalog
from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import ROOT, Published


@pytest.fixture(scope="module")
def dataset(superset: Published) -> int:
    with superset.client("nina") as client:
        return next(
            int(row["id"])
            for row in client.rows("/api/v1/dataset/")
            if row["table_name"] == "flight_operations"
        )


def _chart_data(client: SupersetClient, dataset: int, **query: Any) -> list[dict[str, Any]]:
    answer = client.post(
        "/api/v1/chart/data",
        {
            "datasource": {"id": dataset, "type": "table"},
            "force": True,
            "queries": [{"columns": [], "metrics": [], "row_limit": 100, **query}],
            "result_format": "json",
            "result_type": "full",
        },
    )
    rows: list[dict[str, Any]] = answer["result"][0]["data"]
    return rows


def _sql(expression: str) -> dict[str, Any]:
    return {"expressionType": "SQL", "sqlExpression": expression, "label": "mine"}


def test_an_explorer_asks_governed_measures_with_filters(
    superset: Published, dataset: int, gold: duckdb.DuckDBPyConnection
) -> None:
    with superset.client("nina") as client:
        rows = _chart_data(
            client,
            dataset,
            metrics=["count", "cancelled_count"],
            columns=["carrier"],
            filters=[
                {"col": "origin", "op": "IN", "val": ["JFK", "EWR"]},
                {"col": "flight_date", "op": "TEMPORAL_RANGE", "val": "2013-02-08 : 2013-02-10"},
            ],
        )
    expected = gold.execute(
        """
        select carrier, count(*), count(*) filter (is_cancelled) from gold.fct_flights
        where origin in ('JFK', 'EWR') and flight_date in (date '2013-02-08', date '2013-02-09')
        group by 1 order by 1
        """
    ).fetchall()
    assert sorted((r["carrier"], r["count"], r["cancelled_count"]) for r in rows) == expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("SUM(distance)", "SUM(distance) is not a governed measure"),
        ("COUNT(DISTINCT carrier)", "COUNT(DISTINCT carrier) is not a governed measure"),
        ("MEASURE(count) * 2", "computes a number that the model does not define"),
    ],
)
def test_a_number_that_is_not_governed_is_refused_in_our_words(
    superset: Published, dataset: int, expression: str, words: str
) -> None:
    with superset.client("nina") as client, pytest.raises(SupersetRefusedError) as refused:
        _chart_data(client, dataset, metrics=[_sql(expression)])
    assert words in refused.value.message


def test_an_explorer_makes_charts_and_dashboards_but_no_data(
    superset: Published, dataset: int
) -> None:
    with superset.client("nina") as client:
        params = {"viz_type": "big_number_total", "metric": "count"}
        chart = client.post(
            "/api/v1/chart/",
            {
                "slice_name": "Nina's flights",
                "viz_type": "big_number_total",
                "datasource_id": dataset,
                "datasource_type": "table",
                "params": json.dumps(params),
            },
        )
        assert chart["id"] > 0
        assert client.post("/api/v1/dashboard/", {"dashboard_title": "Nina's"})["id"] > 0
        database = client.get(f"/api/v1/dataset/{dataset}")["result"]["database"]["id"]
        forbidden: list[tuple[str, dict[str, Any]]] = [
            ("/api/v1/sqllab/execute/", {"database_id": database, "sql": "SELECT 1"}),
            (
                "/api/v1/dataset/",
                {"database": database, "table_name": "mine", "sql": "SELECT 1 AS x"},
            ),
            ("/api/v1/database/", {"database_name": "x", "sqlalchemy_uri": "sqlite://"}),
        ]
        for path, body in forbidden:
            with pytest.raises(SupersetRefusedError, match=f"answered 403 to POST {path}"):
                client.post(path, body)
        with pytest.raises(SupersetRefusedError, match="answered 403 to PUT"):
            client.put(f"/api/v1/dataset/{dataset}", {"description": "mine"})


def test_explore_offers_the_governed_metrics_and_dimensions_and_nothing_else(
    superset: Published, dataset: int, browser: Browser
) -> None:
    members = load_catalog(ROOT / "semantic" / "model").views["flight_operations"].members.values()
    measures = {item.name for item in members if item.kind == "measure" and item.public}
    dimensions = {item.name for item in members if item.kind == "dimension" and item.public}
    with superset.client("nina") as client:
        known = client.get(f"/api/v1/dataset/{dataset}")["result"]
    assert {item["metric_name"] for item in known["metrics"]} == measures
    assert {item["column_name"] for item in known["columns"]} == dimensions
    browser.open(
        f"{superset.url}/explore/?datasource_type=table&datasource_id={dataset}&viz_type=table"
    )
    count = len(measures)
    browser.wait_for(f"document.body.innerText.includes('Showing {count} of {count} items')")
    text = browser.run("document.body.innerText")
    assert "On-time rate" in text
    assert "COUNT(*)" not in text
    browser.screenshot(ROOT / ".ducat" / "screenshots" / "explore.png")


def test_a_viewer_reads_and_changes_nothing(superset: Published, dataset: int) -> None:
    with superset.client("vera") as client:
        assert _chart_data(client, dataset, metrics=["count"])[0]["count"] > 0
        slugs = [row["slug"] for row in client.rows("/api/v1/dashboard/")]
        assert "flight-operations" in slugs
        with pytest.raises(SupersetRefusedError, match="answered 403 to POST /api/v1/chart/"):
            client.post(
                "/api/v1/chart/",
                {"slice_name": "v", "datasource_id": dataset, "datasource_type": "table"},
            )


def test_publishing_again_changes_nothing(superset: Published) -> None:
    assert superset.first["roles"] == ["Embedded", "Embedder", "Explorer", "Steward", "Viewer"]
    outcome = superset.run("publish", "--json")
    assert outcome.returncode == 0, outcome.stderr
    again = json.loads(outcome.stdout)
    assert again == superset.first | {"roles": []}
    difference = superset.run("diff")
    assert (difference.returncode, difference.stdout) == (0, "Superset has what is here\n")


def test_a_wrong_password_is_refused_with_what_to_do(superset: Published) -> None:
    with SupersetClient(superset.url) as client, pytest.raises(SupersetRefusedError) as refused:
        client.log_in("admin", "wrong")
    assert refused.value.suggestion is not None
    assert "DUCAT_SUPERSET_PASSWORD" in refused.value.suggestion


def test_the_token_is_shown_to_nobody(superset: Published) -> None:
    with SupersetClient(superset.url) as client:
        client.log_in(superset.site.admin_user, superset.site.admin_password)
        exported = client.export_assets()
        database = next(iter(client.rows("/api/v1/database/")))
        connection = client.get(f"/api/v1/database/{database['id']}/connection")
    token = superset.variables["DUCAT_SUPERSET_SOURCE_TOKEN"]
    assert token not in json.dumps(connection)
    assert token.encode() not in exported
