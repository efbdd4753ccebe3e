"""SQL through Cube's REST protocol, and the routes beside `load`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server, Site, run_server, wait_until

BASE = "/cubejs-api/v1"
SELECT = (
    "SELECT shop_city, is_online, MEASURE(count) AS n, MEASURE(amount) AS amount,"
    " MEASURE(average_weight) AS w FROM shop_sales GROUP BY 1, 2 ORDER BY 3 DESC, 4 DESC"
)
EXPECTED = """
    SELECT s.city, f.is_online, count(*), sum(f.amount), avg(f.weight)
    FROM gold.fct_sale f LEFT JOIN gold.dim_shop s USING (shop_id)
    GROUP BY 1, 2 ORDER BY 3 DESC, 4 DESC
"""


def lines(server: Server, **body: Any) -> list[dict[str, Any]]:
    response = server.client.post(f"{BASE}/cubesql", json=body)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_cubesql_answers_lines_of_columns_and_rows(server: Server) -> None:
    head, *rest = lines(server, query=SELECT)
    assert head["schema"] == [
        {"name": "shop_city", "column_type": "String"},
        {"name": "is_online", "column_type": "Boolean"},
        {"name": "n", "column_type": "Int64"},
        {"name": "amount", "column_type": "Decimal"},
        {"name": "w", "column_type": "Double"},
    ]
    assert head["lastRefreshTime"] == "2024-06-01T12:00:00.000Z"
    rows = [row for line in rest for row in line["data"]]
    for row, expected in zip(rows, server.site.ask(EXPECTED), strict=True):
        assert row[:3] == [expected[0], expected[1], str(expected[2])]
        assert float(row[3]) == pytest.approx(float(expected[3]))
        assert float(row[4]) == pytest.approx(expected[4])


def test_times_are_local_to_the_timezone_that_was_asked(server: Server) -> None:
    text = "SELECT DATE_TRUNC('month', sold_at) AS m, MEASURE(count) AS n FROM shop_sales GROUP BY 1 ORDER BY 1"
    _, *rest = lines(server, query=text, timezone="America/New_York", cache="no-cache")
    expected = server.site.ask(
        "SELECT strftime(date_trunc('month', timezone('America/New_York', timezone('UTC', sold_at))),"
        " '%Y-%m-%dT%H:%M:%S.000'), CAST(count(*) AS VARCHAR) FROM gold.fct_sale GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for line in rest for row in line["data"]] == expected


JOINED = "gold.fct_sale f LEFT JOIN gold.dim_shop s USING (shop_id)"
WIDE = {
    "a ratio over grouped answers": (
        (
            "WITH c AS (SELECT shop_city, MEASURE(count) AS n FROM shop_sales GROUP BY 1) "
            "SELECT shop_city, n * 2, RANK() OVER (ORDER BY n DESC, shop_city) FROM c ORDER BY 3"
        ),
        (
            "SELECT s.city, count(*) * 2, rank() OVER (ORDER BY count(*) DESC, s.city) "
            f"FROM {JOINED} GROUP BY 1 ORDER BY 3"
        ),
        ["String", "Int64", "Int64"],
    ),
    "a join of two cubes' answers": (
        (
            "SELECT a.is_online, a.n, b.most FROM (SELECT is_online, MEASURE(count) AS n FROM sales"
            " GROUP BY 1) a JOIN (SELECT is_online, MAX(sale_id) AS most FROM sales GROUP BY 1) b"
            " USING (is_online) ORDER BY 1"
        ),
        (
            "SELECT is_online, count(*), max(sale_id) FROM gold.fct_sale WHERE is_online IS NOT NULL"
            " GROUP BY 1 ORDER BY 1"
        ),
        ["Boolean", "Int64", "Int64"],
    ),
    "parts of a time, of a cube": (
        (
            "SELECT EXTRACT(month FROM sold_at) AS m, date_part('year', sold_at) AS y, COUNT(*) "
            "FROM sales GROUP BY 1, 2 ORDER BY 1"
        ),
        "SELECT month(sold_at), year(sold_at), count(*) FROM gold.fct_sale GROUP BY 1, 2 ORDER BY 1",
        ["Decimal", "Double", "Int64"],
    ),
    "a union, and a value by itself": (
        "SELECT city FROM shops WHERE city = 'Paris' UNION ALL SELECT 'nowhere' ORDER BY 1 DESC",
        "SELECT 'nowhere' UNION ALL SELECT 'Paris' ORDER BY 1 DESC",
        ["String"],
    ),
    "an interval is its text": (
        "SELECT TIMESTAMP '2024-01-02 02:00:00' - TIMESTAMP '2024-01-01' AS i, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS t",
        "SELECT '1 day 02:00:00', '2024-01-01 00:00:00+00'",
        ["String", "String"],
    ),
}


@pytest.mark.parametrize("case", WIDE)
def test_cubesql_answers_what_the_postgres_wire_answers(server: Server, case: str) -> None:
    text, by_hand, types = WIDE[case]
    head, *rest = lines(server, query=text)
    assert [column["column_type"] for column in head["schema"]] == types
    rows = [row for line in rest for row in line["data"]]
    expected = [list(row) for row in server.site.ask(by_hand)]
    shown = [
        [cell if isinstance(cell, bool | str | None) else str(cell) for cell in row]
        for row in expected
    ]
    assert [[_bare(cell) for cell in row] for row in rows] == shown


def _bare(cell: Any) -> Any:
    """Return a number without the point that a double has."""
    return cell.removesuffix(".0") if isinstance(cell, str) else cell


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT COUNT(*) FROM (SELECT sale_id FROM sales GROUP BY 1) t", "COUNT(*) is computed"),
        ("SELECT shop_city, MEASURE(count) * 2 FROM shop_sales GROUP BY 1", "is computed over"),
        ("SELECT a.city FROM shops a JOIN sales b ON a.city = b.sale_id::text", "2 answers"),
        ("SELECT city FROM shops UNION SELECT city FROM shops", "2 answers"),
        ("SELECT 1", "it reads no cube or view"),
        ("SELECT relname FROM pg_class", "a table of the catalog"),
        (
            "SELECT sale_id FROM sales WHERE sale_id > (SELECT MAX(sale_id) / 2 FROM sales)",
            "a condition compares with a sub-select",
        ),
        ("EXPLAIN SELECT city FROM shops", "EXPLAIN is not answered over REST"),
        ("SELECT city FROM shops; SELECT 1", "exactly one statement"),
        ("DELETE FROM shops", "read-only"),
    ],
)
def test_what_is_no_query_json_is_not_converted_and_says_why(
    server: Server, text: str, reason: str
) -> None:
    asked = {"input": "sql", "output": "rest", "query": text}
    answer = server.client.post(f"{BASE}/convert-query", json=asked).json()
    assert answer["status"] == "error"
    assert reason in answer["error"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT is_online, MEASURE(count) FROM sales WHERE sale_id > 10 AND NOT is_online GROUP BY 1",
        (
            "SELECT DATE_TRUNC('month', sold_at) AS m, MEASURE(amount) FROM sales"
            " WHERE sold_at >= '2024-02-01' AND sold_at < '2024-04-01' GROUP BY 1 ORDER BY 1 DESC"
        ),
        (
            "SELECT t.shop_city, MEASURE(t.count) FROM (SELECT * FROM shop_sales) t"
            " WHERE t.shop_city IS NOT NULL GROUP BY 1 HAVING MEASURE(t.count) > 1 ORDER BY 2, 1"
        ),
        "SELECT sale_id, weight FROM sales WHERE weight > 131 ORDER BY 1 LIMIT 3 OFFSET 1",
        "SELECT COUNT(*) FROM sales WHERE sale_id IN (31, 32) OR sale_id < 7",
    ],
)
def test_a_conversion_asks_what_the_statement_asks(server: Server, text: str) -> None:
    asked = {"input": "sql", "output": "rest", "query": text}
    converted = server.client.post(f"{BASE}/convert-query", json=asked).json()
    assert converted["status"] == "ok", converted
    answer = server.load(converted["query"] | {"responseFormat": "compact"})["data"]
    _, *rest = lines(server, query=text)
    rows = [row for line in rest for row in line["data"]]
    assert rows
    # Cube's answer has the cut time twice: by its own name, too.
    dataset = [row[: len(rows[0])] for row in answer["dataset"]]
    assert sorted(map(repr, dataset)) == sorted(map(repr, rows))


def test_many_rows_come_in_many_lines(server: Server) -> None:
    _, *rest = lines(server, query="SELECT sale_id FROM shop_sales GROUP BY 1")
    rows = [row[0] for line in rest for row in line["data"]]
    assert sorted(map(int, rows)) == [row[0] for row in server.site.ask("FROM range(400)")]
    _, counted = lines(
        server, query="SELECT COUNT(*) FROM (SELECT sale_id FROM shop_sales GROUP BY 1) t"
    )
    assert counted == {"data": [["400"]]}


@pytest.mark.parametrize(
    "body",
    [
        {}, {"query": ""}, {"query": 1}, {"query": "SELECT 1; DROP"}, {"query": "SELECT nope FROM shop_sales"},
        {"query": SELECT, "timezone": 3}, {"query": SELECT, "cache": "maybe"}, {"query": SELECT, "x": 1},
        {"query": SELECT, "throwContinueWait": "yes"},
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_answered_is_an_error_with_its_status(
    server: Server, body: dict[str, Any]
) -> None:
    response = server.client.post(f"{BASE}/cubesql", json=body)
    assert 400 <= response.status_code < 502
    assert response.json()["code"]


def test_a_client_that_polls_is_told_to_come_again(site: Site, tmp_path: Path) -> None:
    with run_server(site, tmp_path, DUCAT_CONTINUE_WAIT_SECONDS="0.000001") as running:
        body = {"query": SELECT, "throwContinueWait": True}
        first = running.client.post(f"{BASE}/cubesql", json=body)
        assert (first.status_code, first.json()) == (200, {"error": "Continue wait"})
        wait_until(
            lambda: running.client.post(f"{BASE}/cubesql", json=body).text[:9] == '{"schema"'
        )
        head, *_ = lines(running, query=SELECT)
        assert "schema" in head  # whoever does not poll gets the answer at once


def test_the_query_log_names_the_members_that_sql_asked(server: Server) -> None:
    body, headers = {"query": SELECT}, {"x-request-id": "sql-log-1"}
    server.client.post(f"{BASE}/cubesql", json=body, headers=headers)
    log = (server.site.home / "query-log.ndjson").read_text().splitlines()
    (line,) = [json.loads(item) for item in log if "sql-log-1" in item]
    assert (line["face"], line["code"]) == ("sql", "ok")
    assert "shop_sales.shop_city" in line["members"]


def test_a_converted_select_asks_the_same(server: Server) -> None:
    asked = {"input": "sql", "output": "rest", "query": SELECT}
    converted = server.client.post(f"{BASE}/convert-query", json=asked).json()
    assert converted["status"] == "ok"
    rows = server.load(converted["query"])["data"]
    expected = server.site.ask(EXPECTED)
    assert [row["shop_sales.count"] for row in rows] == [str(item[2]) for item in expected]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"input": "csv", "output": "rest", "query": "x"},
            "Unexpected input parameter value 'csv'",
        ),
        ({"input": "sql", "query": "x"}, "Unexpected output parameter value 'None'"),
        ({"input": "sql", "output": "rest"}, "query parameter must be a non-empty string"),
    ],
)
def test_a_malformed_conversion_is_refused_in_cubes_words(
    server: Server, body: dict[str, Any], words: str
) -> None:
    response = server.client.post(f"{BASE}/convert-query", json=body)
    assert (response.status_code, response.json()["error"]) == (400, words)


def test_what_cannot_be_converted_says_so_in_the_answer(server: Server) -> None:
    asked = {"input": "sql", "output": "rest", "query": "SELECT nope FROM shop_sales"}
    answer = server.client.post(f"{BASE}/convert-query", json=asked)
    assert answer.status_code == 200
    assert answer.json()["status"] == "error"
    assert "nope" in answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_sql_of_a_select_is_what_answers_it(server: Server, method: str) -> None:
    asked = {"format": "sql", "query": SELECT}
    sent: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
    body = server.client.request(method, f"{BASE}/sql", **sent).json()["sql"]
    assert (body["status"], body["query_type"]) == ("ok", "regular")
    text, values = body["sql"]
    with duckdb.connect(str(server.site.database), read_only=True) as connection:
        rows = connection.execute(text, values).fetchall()
    assert [row[:3] for row in rows] == [row[:3] for row in server.site.ask(EXPECTED)]
    bad = server.client.post(f"{BASE}/sql", json={**asked, "query": "SELECT nope FROM shop_sales"})
    assert (bad.status_code, bad.json()["sql"]["status"]) == (200, "error")


def test_dry_run_gives_the_order_that_load_will_have(server: Server) -> None:
    months = [{"dimension": "sales.sold_at", "granularity": "month"}]
    cases: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
        ({"measures": ["sales.count"], "timeDimensions": months}, {"sales.sold_at": "asc"}),
        ({"measures": ["sales.count"], "dimensions": ["sales.is_online"]}, {"sales.count": "desc"}),
        ({"dimensions": ["sales.is_online"]}, {"sales.is_online": "asc"}),
        ({"measures": ["sales.count"]}, {}),
        ({"measures": ["sales.count"], "order": {"sales.count": "asc"}}, {"sales.count": "asc"}),
    )
    for query, order in cases:
        checked = server.client.post(f"{BASE}/dry-run", json={"query": query}).json()
        assert checked["queryOrder"] == [order]
        assert checked["pivotQuery"]["queryType"] == "regularQuery"
        (shape,) = checked["transformedQueries"]
        assert shape["measures"] == query.get("measures", [])


def test_subscribe_over_http_is_load(server: Server) -> None:
    body: dict[str, Any] = {"query": {"measures": ["sales.count"]}, "queryType": "multi"}
    for answer in (
        server.client.post(f"{BASE}/subscribe", json=body),
        server.client.get(f"{BASE}/subscribe", params={**body, "query": json.dumps(body["query"])}),
    ):
        assert answer.json()["results"][0]["data"] == [{"sales.count": "400"}]


def test_a_get_may_be_long(server: Server) -> None:
    values = [f"no such city {number}" for number in range(1500)]
    query = {
        "measures": ["sales.count"],
        "filters": [{"member": "shops.city", "operator": "notEquals", "values": values}],
    }
    answer = server.client.get(f"{BASE}/load", params={"query": json.dumps(query)})
    assert answer.json()["data"] == [{"sales.count": "400"}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"action": "post", "selector": {}}, 501),
        ({"action": "x"}, 400),
        ({"action": "get"}, 400),
    ],
)
def test_jobs_are_answered_as_they_are(server: Server, body: dict[str, Any], status: int) -> None:
    response = server.client.post(f"{BASE}/pre-aggregations/jobs", json=body)
    assert response.status_code == status
    known = server.client.post(
        f"{BASE}/pre-aggregations/jobs", json={"action": "get", "tokens": ["ec12"]}
    )
    assert known.json() == [{"token": "ec12", "status": "not_found"}]


def test_sql_is_shown_in_production_to_the_groups_of_the_setting_only(
    site: Site, tmp_path: Path
) -> None:
    body = {"query": {"measures": ["sales.count"]}}
    settings = {"DUCAT_ENVIRONMENT": "production", "DUCAT_SQL_GROUPS": "modellers, owners"}
    with run_server(site, tmp_path, **settings) as running:
        for groups, sees in ((("modellers",), True), (("analysts",), False), ((), False)):
            headers = {"authorization": make_token(SECRET, user="x", groups=groups)}
            sql = running.client.post(f"{BASE}/sql", json=body, headers=headers)
            assert sql.status_code == (200 if sees else 403)
            selected = {"format": "sql", "query": SELECT}
            explained = running.client.post(f"{BASE}/sql", json=selected, headers=headers)
            assert explained.status_code == (200 if sees else 403)
            meta = running.client.get(f"{BASE}/meta?extended", headers=headers)
            assert meta.json()["ducat"]["sqlIncluded"] is sees
            assert ("gold.fct_sale" in meta.text) is sees
            assert ("many_to_one" in meta.text) is True
            if not sees:
                assert sql.json()["error"] == "API scope is missing: sql"
