"""The SQL door: typed rows that equal hand-written SQL, and the list of what may be named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from api.rest.sql_query import encode_answer, select, to_d3
from semantic.errors import EngineError, LimitExceededError
from semantic.query.context import SecurityContext
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer
from tests.unit.api.conftest import Server, Site


def ask(server: Server, text: str, **more: str) -> Any:
    answer = server.client.post("/ducat/v1/sql", json={"sql": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_value_keeps_its_type_and_its_exact_digits(server: Server, site: Site) -> None:
    body = ask(
        server,
        "SELECT shop_city AS city, DATE_TRUNC('MONTH', sold_at) AS sold_at, is_online, sale_id, "
        "weight, MEASURE(amount) AS amount, MEASURE(count) FROM public.shop_sales "
        "WHERE sale_id < 7 GROUP BY 1, 2, 3, 4, 5 ORDER BY sale_id",
    )
    assert [(item["name"], item["type"]) for item in body["columns"]] == [
        ("city", "string"),
        ("sold_at", "timestamp"),
        ("is_online", "boolean"),
        ("sale_id", "integer"),
        ("weight", "number"),
        ("amount", "decimal"),
        ("count", "integer"),
    ]
    expected = site.ask(
        "SELECT city, strftime(date_trunc('month', sold_at), '%Y-%m-%dT%H:%M:%S.%f'), is_online, "
        "sale_id, weight, CAST(amount AS VARCHAR), 1 "
        "FROM gold.fct_sale LEFT JOIN gold.dim_shop USING (shop_id) WHERE sale_id < 7 ORDER BY sale_id"
    )
    assert body["rows"] == [list(row) for row in expected]
    assert body["truncated"] is False


def test_the_state_of_the_tables_comes_with_the_answer(server: Server) -> None:
    text = "SELECT MEASURE(count) AS n FROM public.shop_sales LIMIT 50000"
    state = ask(server, text)["state"]
    loaded = server.load({"measures": ["shop_sales.count"]})["ducat"]
    assert state == {name: loaded[name] for name in state}
    assert {"snapshot", "builtAt", "quality", "tables"} <= set(state)


def test_an_answer_without_rows_still_has_its_types(server: Server) -> None:
    body = ask(server, "SELECT weight, MEASURE(amount) AS a FROM shop_sales WHERE 1 = 0 GROUP BY 1")
    assert [item["type"] for item in body["columns"]] == ["number", "decimal"]
    assert body["rows"] == []


@pytest.mark.parametrize(
    ("limit", "expected"), [("", 400), (" LIMIT 50", 50), (" LIMIT 50001 OFFSET 390", 10)]
)
def test_a_row_count_counts_the_whole_inner_answer(
    server: Server, limit: str, expected: int
) -> None:
    inner = f"SELECT sale_id, MEASURE(amount) AS a FROM public.shop_sales GROUP BY sale_id{limit}"
    body = ask(server, f"SELECT COUNT(*) AS rowcount FROM ({inner}) AS rowcount_qry")
    assert body["columns"] == [{"name": "rowcount", "type": "integer"}]
    assert body["rows"] == [[expected]]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    model = """
cubes:
  - name: numbers
    sql_table: gold.numbers
    dimensions: [{name: n, type: number, sql: n, primary_key: true, public: true}]
    measures: [{name: count, type: count}, {name: odd, type: avg, sql: "'NaN'::DOUBLE"}]
views:
  - {name: all_numbers, cubes: [{join_path: numbers, includes: "*"}]}
"""
    seed = "CREATE TABLE gold.numbers AS SELECT range AS n FROM range(50002)"
    opened = open_layer(tmp_path_factory.mktemp("large"), model, seed)
    yield opened
    opened.close()


def answer(layer: SemanticLayer, text: str) -> Any:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    return orjson.loads(
        encode_answer(*select(layer, text, SecurityContext(), now=now), layer.catalog)
    )


@pytest.mark.parametrize("limit", ["", " LIMIT 50001", " LIMIT 1000000"])
def test_a_cut_that_the_caller_did_not_ask_for_is_an_error(
    large: SemanticLayer, limit: str
) -> None:
    with pytest.raises(LimitExceededError, match="more than 50,000 rows"):
        answer(large, f"SELECT n FROM all_numbers GROUP BY n{limit}")


@pytest.mark.parametrize(
    ("rest", "rows"),
    [
        ("GROUP BY n LIMIT 50000", 50_000),
        ("GROUP BY n LIMIT 50000 OFFSET 50000", 2),
        ("WHERE n >= 2 GROUP BY n", 50_000),
        ("WHERE n < 9 GROUP BY n LIMIT 1000000", 9),
    ],
)
def test_the_callers_own_limit_and_a_complete_answer_are_no_errors(
    large: SemanticLayer, rest: str, rows: int
) -> None:
    assert len(answer(large, f"SELECT n FROM all_numbers {rest}")["rows"]) == rows


def test_a_row_count_is_not_bound_by_the_most_that_is_returned(large: SemanticLayer) -> None:
    counted = answer(large, "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM all_numbers) AS q")
    assert counted["rows"] == [[50_002]]


def test_a_number_that_json_cannot_say_is_an_error(large: SemanticLayer) -> None:
    with pytest.raises(EngineError, match="no finite number"):
        answer(large, "SELECT MEASURE(odd) FROM all_numbers")


def test_times_are_local_to_the_time_zone_that_is_asked(server: Server, site: Site) -> None:
    body = ask(
        server,
        "SELECT DATE_TRUNC('day', sold_at) AS d, COUNT(*) AS n FROM shop_sales "
        "WHERE sold_at >= '2024-01-05' AND sold_at < '2024-01-07' GROUP BY 1 ORDER BY 1",
        timezone="Asia/Tokyo",
    )
    expected = site.ask(
        "SELECT strftime(date_trunc('day', t), '%Y-%m-%dT%H:%M:%S.%f'), count(*) "
        "FROM (SELECT sold_at + INTERVAL 9 HOUR AS t FROM gold.fct_sale) "
        "WHERE t >= '2024-01-05' AND t < '2024-01-07' GROUP BY 1 ORDER BY 1"
    )
    assert body["rows"] == [list(row) for row in expected]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("SELECT SUM(weight) FROM shop_sales", "invalid_query", "not a governed measure"),
        ("SELECT MEASURE(amount) * 2 FROM shop_sales", "invalid_query", "does not define"),
        ("SELECT * FROM shop_sales", "unsupported", "every column at once"),
        ("SELECT MEASURE(hidden_count) FROM secrets", "unknown_member", "no view secrets"),
        ("DROP TABLE shop_sales", "unsupported", "only a SELECT"),
        ("SELECT MEASURE(amount) FROM shop_sales; SELECT 1", "query_syntax", "one statement"),
    ],
)
def test_a_refusal_is_an_error_of_the_callers_with_a_sentence(
    server: Server, text: str, code: str, words: str
) -> None:
    answer = server.client.post("/ducat/v1/sql", json={"sql": text})
    assert answer.status_code == (501 if code == "unsupported" else 400)
    assert answer.json()["code"] == code
    assert words in answer.json()["error"]


def test_meta_lists_views_with_dimensions_and_measures(server: Server) -> None:
    (view,) = server.client.get("/ducat/v1/sql/meta").json()["views"]
    assert (view["name"], view["title"]) == ("shop_sales", "Shop sales")
    assert {item["name"]: item["type"] for item in view["dimensions"]} == {
        "sale_id": "number",
        "sold_at": "timestamp",
        "is_online": "boolean",
        "weight": "number",
        "shop_city": "string",
    }
    assert {item["name"]: item["format"] for item in view["measures"]} == {
        "count": None,
        "amount": "$,.2f",
        "average_weight": None,
        "online_share": ".2%",
        "online": None,
    }
    assert all(set(item) == {"name", "type", "title", "description"} for item in view["dimensions"])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("percent_1", ".1%"),
        ("percent", ".2%"),
        ("number_0", ",.0f"),
        ("number", ",.2f"),
        ("currency", "$,.2f"),
        ("accounting_0", "(,.0f"),
        ("abbr_3", ".3s"),
        (",.3r", ",.3r"),
        ("id", None),
        (None, None),
    ],
)
def test_cubes_formats_become_d3_specifiers(form: str | None, expected: str | None) -> None:
    assert to_d3(form) == expected
