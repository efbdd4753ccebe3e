"""`load` on a real server: Cube's shapes around numbers that hand-written SQL gives."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.api.conftest import Server

BY_CITY: dict[str, Any] = {
    "measures": ["shop_sales.count", "shop_sales.amount"],
    "dimensions": ["shop_sales.shop_city"],
    # Two cities have the same count: without the second key their order is anybody's.
    "order": [["shop_sales.count", "desc"], ["shop_sales.shop_city", "asc"]],
}
BY_CITY_SQL = """
    SELECT city, count(*), CAST(sum(amount) AS VARCHAR), avg(weight)
    FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) GROUP BY 1 ORDER BY 2 DESC, 1
"""


def test_numbers_are_strings_and_equal_to_hand_written_sql(server: Server) -> None:
    query = {**BY_CITY, "measures": [*BY_CITY["measures"], "shop_sales.average_weight"]}
    rows = server.load(query)["data"]
    expected = server.site.ask(BY_CITY_SQL)
    found = {
        row["shop_sales.shop_city"]: (
            row["shop_sales.count"], row["shop_sales.amount"], row["shop_sales.average_weight"],
        )
        for row in rows
    }  # fmt: skip
    assert len(rows) == len(expected) == 3
    for city, count, amount, weight in expected:
        assert found[city][:2] == (str(count), amount)
        assert isinstance(found[city][2], str)
        assert float(found[city][2]) == pytest.approx(weight, rel=1e-12)


def test_booleans_and_nulls_stay_native(server: Server) -> None:
    answer = server.load({"measures": ["sales.count"], "dimensions": ["sales.is_online"]})
    found = {row["sales.is_online"]: row["sales.count"] for row in answer["data"]}
    expected = server.site.ask("SELECT is_online, count(*) FROM gold.fct_sale GROUP BY 1")
    assert found == {flag: str(count) for flag, count in expected}


def test_a_time_dimension_has_two_keys_and_local_times(server: Server) -> None:
    answer = server.load(
        {
            "measures": ["sales.count"],
            "timeDimensions": [{"dimension": "sales.sold_at", "granularity": "month"}],
            "timezone": "America/New_York",
        }
    )
    expected = server.site.ask(
        "SELECT strftime(date_trunc('month', sold_at AT TIME ZONE 'UTC' AT TIME ZONE "
        "'America/New_York'), '%Y-%m-%dT%H:%M:%S.000'), CAST(count(*) AS VARCHAR) "
        "FROM gold.fct_sale GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row.values()) for row in answer["data"]] == [
        (month, count, month) for month, count in expected
    ]
    assert list(answer["data"][0]) == ["sales.sold_at.month", "sales.count", "sales.sold_at"]
    assert set(answer["annotation"]["timeDimensions"]) == {"sales.sold_at.month", "sales.sold_at"}


def test_of_two_granularities_the_plain_key_has_the_finer(server: Server) -> None:
    answer = server.load(
        {
            "timeDimensions": [
                {"dimension": "sales.sold_at", "granularity": "month"},
                {"dimension": "sales.sold_at", "granularity": "day"},
            ],
            "limit": 1,
            "order": [["sales.sold_at", "desc"]],
        }
    )
    (row,) = answer["data"]
    assert row["sales.sold_at"] == row["sales.sold_at.day"] != row["sales.sold_at.month"]


def test_the_three_forms_hold_the_same_rows(server: Server) -> None:
    query = {**BY_CITY, "order": {"shop_sales.shop_city": "asc"}}
    rows = server.load(query)["data"]
    compact = server.load({**query, "responseFormat": "compact"})["data"]
    columnar = server.load({**query, "responseFormat": "columnar"})["data"]
    assert [dict(zip(compact["members"], row, strict=True)) for row in compact["dataset"]] == rows
    assert columnar["members"] == list(rows[0])
    assert columnar["columns"] == [[row[name] for row in rows] for name in rows[0]]


def test_no_rows_are_an_empty_answer_in_every_form(server: Server) -> None:
    nothing = {**BY_CITY, "limit": 0}
    assert server.load(nothing)["data"] == []
    assert server.load({**nothing, "responseFormat": "compact"})["data"] == {
        "members": [],
        "dataset": [],
    }
    assert server.load({**nothing, "responseFormat": "columnar"})["data"] == {
        "members": [],
        "columns": [],
    }


def test_the_result_object_has_cubes_keys_in_cubes_order(server: Server) -> None:
    answer = server.load({**BY_CITY, "total": True, "limit": 2})
    assert list(answer) == [
        "query", "lastRefreshTime", "annotation", "dataSource", "dbType", "external", "slowQuery",
        "usedPreAggregations", "total", "ducat", "data",
    ]  # fmt: skip
    assert answer["total"] == 3
    assert len(answer["data"]) == 2
    assert answer["lastRefreshTime"] == "2024-06-01T12:00:00.000Z"
    assert answer["query"]["limit"] == answer["query"]["rowLimit"] == 2
    assert answer["annotation"]["measures"]["shop_sales.amount"]["type"] == "number"
    assert (
        answer["annotation"]["dimensions"]["shop_sales.shop_city"]["description"] == "Where it is."
    )


def test_the_state_of_the_tables_is_part_of_the_answer(server: Server) -> None:
    state = server.load(BY_CITY)["ducat"]
    assert {table["name"]: table["rows"] for table in state["tables"]} == {
        "fct_sale": 400,
        "dim_shop": 3,
    }
    assert state["quality"] == "passed"
    assert [check["table"] for check in state["newestCheck"]] == ["dim_shop"]
    only_sales = server.load({"measures": ["sales.count"]})["ducat"]
    assert [table["name"] for table in only_sales["tables"]] == ["fct_sale"]
    assert only_sales["newestCheck"] == []


def test_multi_wraps_a_single_query(server: Server) -> None:
    answer = server.load(BY_CITY, queryType="multi")
    assert list(answer) == ["queryType", "results", "pivotQuery", "slowQuery"]
    assert answer["results"][0]["data"] == server.load(BY_CITY)["data"]
    assert answer["pivotQuery"]["queryType"] == "regularQuery"


def test_get_answers_like_post(server: Server) -> None:
    response = server.client.get("/cubejs-api/v1/load", params={"query": json.dumps(BY_CITY)})
    assert response.json()["data"] == server.load(BY_CITY)["data"]
    assert response.headers["content-type"].startswith("application/json")


def test_segments_and_filters_are_applied(server: Server) -> None:
    (row,) = server.load(
        {
            "measures": ["sales.count"],
            "segments": ["sales.heavy"],
            "filters": [{"member": "sales.is_online", "operator": "equals", "values": ["true"]}],
        }
    )["data"]
    ((expected,),) = server.site.ask(
        "SELECT count(*) FROM gold.fct_sale WHERE weight > 100 AND is_online"
    )
    assert row == {"sales.count": str(expected)}


def test_ungrouped_gives_rows(server: Server) -> None:
    query = {"measures": ["sales.amount"], "dimensions": ["sales.sale_id"], "ungrouped": True}
    rows = server.load({**query, "order": {"sales.sale_id": "asc"}, "limit": 500})["data"]
    assert [(row["sales.sale_id"], row["sales.amount"]) for row in rows] == server.site.ask(
        "SELECT CAST(sale_id AS VARCHAR), CAST(amount AS VARCHAR) FROM gold.fct_sale ORDER BY sale_id"
    )


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"measures": ["sales.nope"]}, 400, "unknown_member"),
        ({"measures": ["nope.count"]}, 400, "unknown_member"),
        ({"measures": ["secrets.hidden_count"]}, 400, "unknown_member"),
        ({"measures": ["count"]}, 400, "query_syntax"),
        ({}, 400, "query_syntax"),
        ({"measures": ["sales.count"], "foo": 1}, 400, "query_syntax"),
        ({"measures": ["sales.count"], "timezone": "Mars/X"}, 400, "query_syntax"),
        ({"measures": ["sales.count"], "limit": -1}, 400, "query_syntax"),
        ({"measures": ["sales.count"], "limit": 100_000}, 400, "limit_exceeded"),
        ([{"measures": ["sales.count"]}], 400, "query_syntax"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_with_a_code(
    server: Server, query: Any, status: int, code: str
) -> None:
    response = server.client.post("/cubejs-api/v1/load", json={"query": query})
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert body["error"]
    assert body["requestId"] == response.headers["x-request-id"]


def test_hidden_and_unknown_members_are_refused_in_the_same_words(server: Server) -> None:
    hidden, unknown = (
        server.client.post("/cubejs-api/v1/load", json={"query": {"measures": [name]}}).json()[
            "error"
        ]
        for name in ("secrets.hidden_count", "nothing.hidden_count")
    )
    assert hidden.replace("secrets", "X") == unknown.replace("nothing", "X")


def test_hostile_bodies_are_refused_and_the_server_goes_on(server: Server) -> None:
    for body in (b"\xff\xfe", b"{", b'{"query": ' + b"[" * 5000, b"null", b'"\\ud800"'):
        response = server.client.post("/cubejs-api/v1/load", content=body)
        assert 400 <= response.status_code < 502, response.text
        assert response.json()["error"]
    huge = server.client.post("/cubejs-api/v1/load", content=b"x" * (2 * 1024 * 1024))
    assert (huge.status_code, huge.json()["code"]) == (413, "request_too_large")
    assert server.client.request("DELETE", "/cubejs-api/v1/load").status_code == 405
    assert server.load({"measures": ["sales.count"]})["data"] == [{"sales.count": "400"}]


def test_a_chunked_body_without_length_is_limited_too(server: Server) -> None:
    response = server.client.post("/cubejs-api/v1/load", content=(b"x" * 65536 for _ in range(40)))
    assert response.status_code == 413


def test_the_echoed_query_has_date_ranges_as_local_times(server: Server) -> None:
    ranges = [["2024-01-01", "2024-01-31"], "from 2024-02-01 to 2024-02-29"]
    echoed = [
        server.load(
            {
                "measures": ["sales.count"],
                "timeDimensions": [{"dimension": "sales.sold_at", "dateRange": written}],
                "timezone": "America/New_York",
            }
        )["query"]["timeDimensions"][0]["dateRange"]
        for written in ranges
    ]
    assert echoed == [
        ["2024-01-01T00:00:00.000", "2024-01-31T23:59:59.999"],
        ["2024-02-01T00:00:00.000", "2024-02-29T23:59:59.999"],
    ]


def test_a_comparison_is_answered_with_titles_formats_and_its_query(server: Server) -> None:
    query = {
        "measures": [
            "sales.amount",
            {"measure": "sales.count", "shift": "1 month", "as": "before"},
        ],
        "timeDimensions": [
            {"dimension": "sales.sold_at", "dateRange": ["2024-02-01", "2024-02-29"]}
        ],
        "compare": {"to": "previous period", "measures": ["sales.amount"]},
        "total": True,
    }
    body = server.load(query)
    [(now, before, count)] = server.site.ask(
        "SELECT sum(amount) FILTER (sold_at >= '2024-02-01'), sum(amount) FILTER (sold_at < '2024-02-01'), "
        "count(*) FILTER (sold_at < '2024-02-01') FROM gold.fct_sale WHERE sold_at < '2024-03-01'"
    )
    [row] = body["data"]
    assert Decimal(row["sales.amount"]) == now
    assert Decimal(row["sales.amount__previous"]) == before
    assert Decimal(row["sales.amount__change"]) == now - before
    assert float(row["sales.amount__change_percent"]) == pytest.approx(
        float(100 * (now - before) / before)
    )
    assert row["sales.before"] == str(count)
    assert body["total"] == 1
    measures = body["annotation"]["measures"]
    assert measures["sales.amount__change"]["format"] == "currency"
    assert measures["sales.amount__change_percent"]["format"] == "number_1"
    assert measures["sales.before"]["title"] == "Sales Count (1 month earlier)"
    echoed = {name: value for name, value in body["query"].items() if name != "rowLimit"}
    assert server.load(echoed)["data"] == body["data"]


@pytest.mark.parametrize("form", ["compact", "columnar"])
def test_the_echo_names_the_form_by_which_clients_read_the_rows(server: Server, form: str) -> None:
    query = {"measures": ["sales.count"], "responseFormat": form}
    assert server.load(query)["query"]["responseFormat"] == form
    (result,) = server.load(query, queryType="multi")["results"]
    assert result["query"]["responseFormat"] == form
    assert "responseFormat" not in server.load({"measures": ["sales.count"]})["query"]
