"""Several queries in one request: compared date ranges, and queries to blend."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Server

MONTHS = {"dimension": "sales.sold_at", "granularity": "month"}
RANGES = (["2024-01-01", "2024-02-15"], ["2024-03-01", "2024-03-31"])
TEXTS = (
    "2024-01-01T00:00:00.000 - 2024-02-15T23:59:59.999",
    "2024-03-01T00:00:00.000 - 2024-03-31T23:59:59.999",
)
COMPARED = {
    "measures": ["sales.count"],
    "dimensions": ["sales.is_online"],
    "timeDimensions": [{**MONTHS, "compareDateRange": RANGES}],
    "order": [["sales.sold_at", "asc"], ["sales.is_online", "asc"]],
}
BLENDED: list[dict[str, Any]] = [
    {"measures": ["sales.count"], "timeDimensions": [MONTHS]},
    {
        "measures": ["sales.amount"],
        "dimensions": ["sales.is_online"],
        "timeDimensions": [MONTHS],
        "order": [["sales.sold_at", "asc"], ["sales.is_online", "asc"]],
    },
]
BY_MONTH_SQL = """
    SELECT strftime(date_trunc('month', sold_at), '%Y-%m-%dT%H:%M:%S.000') AS month,
           is_online, CAST(count(*) AS VARCHAR)
    FROM gold.fct_sale WHERE sold_at >= '{start}' AND sold_at < DATE '{end}' + INTERVAL 1 DAY
    GROUP BY ALL
"""


def test_compared_ranges_are_results_whose_rows_say_their_range(server: Server) -> None:
    answer = server.load(COMPARED, queryType="multi")
    assert list(answer) == ["queryType", "results", "pivotQuery", "slowQuery"]
    assert answer["queryType"] == "compareDateRangeQuery"
    assert len(answer["results"]) == 2
    for (start, end), text, result in zip(RANGES, TEXTS, answer["results"], strict=True):
        found = {
            (row["sales.sold_at.month"], row["sales.is_online"], row["sales.count"])
            for row in result["data"]
        }
        assert found == set(server.site.ask(BY_MONTH_SQL.format(start=start, end=end)))
        assert {row["compareDateRange"] for row in result["data"]} == {text}
        assert " - ".join(result["query"]["timeDimensions"][0]["dateRange"]) == text


def test_the_pivot_of_compared_ranges_has_them_first_among_the_dimensions(server: Server) -> None:
    pivot = server.load(COMPARED, queryType="multi")["pivotQuery"]
    assert pivot["queryType"] == "compareDateRangeQuery"
    assert pivot["dimensions"] == ["compareDateRange", "sales.is_online"]
    assert pivot["measures"] == ["sales.count"]


def test_blended_queries_share_a_time(server: Server) -> None:
    answer = server.load(BLENDED, queryType="multi")
    assert answer["queryType"] == "blendingQuery"
    for query, result in zip(BLENDED, answer["results"], strict=True):
        alone = server.load(query)["data"]
        assert result["data"] == [row | {"time.month": row["sales.sold_at.month"]} for row in alone]
    assert answer["pivotQuery"] == {
        "measures": ["sales.count", "sales.amount"],
        "dimensions": ["sales.is_online"],
        "timeDimensions": [{"dimension": "time", "granularity": "month"}],
        "queryType": "blendingQuery",
    }


@pytest.mark.parametrize("form", ["compact", "columnar"])
def test_the_key_of_the_pivot_is_in_every_form(server: Server, form: str) -> None:
    whole = server.load(COMPARED, queryType="multi")["results"]
    short = server.load({**COMPARED, "responseFormat": form}, queryType="multi")["results"]
    for plain, other in zip(whole, short, strict=True):
        members = other["data"]["members"]
        assert members[-1] == "compareDateRange"
        rows = (
            other["data"]["dataset"]
            if form == "compact"
            else zip(*other["data"]["columns"], strict=True)
        )
        assert [dict(zip(members, row, strict=True)) for row in rows] == plain["data"]


@pytest.mark.parametrize(
    ("query", "kind"), [(COMPARED, "compareDateRangeQuery"), (BLENDED, "blendingQuery")]
)
def test_a_client_that_expects_one_answer_is_told_in_cubes_words(
    server: Server, query: Any, kind: str
) -> None:
    response = server.client.post("/cubejs-api/v1/load", json={"query": query})
    assert response.status_code == 400
    assert response.json()["error"] == (
        f"'{kind}' query type is not supported by the client.Please update the client."
    )


def test_one_bad_query_of_several_refuses_them_all(server: Server) -> None:
    bad = [*BLENDED, {"measures": ["sales.nope"], "timeDimensions": [MONTHS]}]
    response = server.client.post("/cubejs-api/v1/load", json={"query": bad, "queryType": "multi"})
    assert (response.status_code, response.json()["code"]) == (400, "unknown_member")


def test_sql_and_dry_run_describe_each_query(server: Server) -> None:
    described = server.client.post("/cubejs-api/v1/sql", json={"query": COMPARED}).json()
    assert [item["sql"]["memberNames"][-1] for item in described] == ["sales.count"] * 2
    checked = server.client.post("/cubejs-api/v1/dry-run", json={"query": COMPARED}).json()
    assert checked["queryType"] == "compareDateRangeQuery"
    assert len(checked["normalizedQueries"]) == len(checked["queryOrder"]) == 2
    assert checked["pivotQuery"]["dimensions"][0] == "compareDateRange"
