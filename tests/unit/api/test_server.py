"""The server around the doors: tokens, health, meta, metrics, logs, and how a query ends early."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server, wait_until

COUNT = {"measures": ["sales.count"]}
SLOW = {"measures": ["slow.greatest"]}


def read_log(server: Server) -> list[dict[str, Any]]:
    lines = (server.site.home / "query-log.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/cubejs-api/v1/load"),
        ("GET", "/cubejs-api/v1/sql"),
        ("GET", "/cubejs-api/v1/dry-run"),
        ("GET", "/cubejs-api/v1/meta"),
        ("POST", "/graphql"),
        ("POST", "/ducat/v1/sql"),
        ("GET", "/ducat/v1/sql/meta"),
    ],
)
def test_every_door_is_shut_without_a_valid_token(server: Server, method: str, path: str) -> None:
    without = server.client.request(method, path, headers={"authorization": ""})
    assert without.status_code == 403
    assert without.json()["error"] == "Authorization header isn't set"
    for token in (
        "nonsense",
        make_token(SECRET[::-1], user="ann"),
        jwt.encode({"sub": "ann"}, "", algorithm="none"),
        jwt.encode({"sub": "ann", "exp": 1}, SECRET),
    ):
        refused = server.client.request(method, path, headers={"authorization": token})
        assert (refused.status_code, refused.json()["error"]) == (403, "Invalid token")


@pytest.mark.parametrize(
    "path", ["/", "/graphql", "/livez", "/readyz", "/metrics", "/openapi.json"]
)
def test_pages_without_data_need_no_token(server: Server, path: str) -> None:
    assert httpx.get(server.url + path, timeout=60).status_code == 200


def test_health_is_cubes(server: Server) -> None:
    assert server.client.get("/livez").json() == {"health": "HEALTH"}
    assert server.client.get("/readyz").json() == {"health": "HEALTH"}


def test_an_unknown_path_is_answered_with_a_code(server: Server) -> None:
    response = server.client.get("/nosuch")
    assert (response.status_code, response.json()["code"]) == (404, "no_route")
    response = server.client.delete("/cubejs-api/v1/meta")
    assert (response.status_code, response.json()["code"]) == (405, "no_method")


def test_the_request_id_is_kept_or_made(server: Server) -> None:
    kept = server.client.get("/livez", headers={"x-request-id": "abc-1-span-1"})
    assert kept.headers["x-request-id"] == "abc-1-span-1"
    made = server.client.get("/livez", headers={"x-request-id": "not an id"})
    assert len(made.headers["x-request-id"]) == 32


def test_the_service_user_asks_in_anothers_name(server: Server) -> None:
    headers = {"authorization": make_token(SECRET, user="superset"), "x-ducat-user": "zoe"}
    body = {"query": COUNT}
    assert server.client.post("/cubejs-api/v1/load", json=body, headers=headers).status_code == 200
    assert read_log(server)[-1]["user"] == "zoe"
    refused = server.client.post("/cubejs-api/v1/load", json=body, headers={"x-ducat-user": "zoe"})
    assert (refused.status_code, refused.json()["code"]) == (403, "impersonation_denied")


def test_meta_describes_cubes_and_views_and_hides_the_rest(server: Server) -> None:
    cubes = {
        cube["name"]: cube for cube in server.client.get("/cubejs-api/v1/meta").json()["cubes"]
    }
    assert list(cubes) == ["shops", "sales", "slow", "shop_sales"]
    assert {name: cube["type"] for name, cube in cubes.items()}["shop_sales"] == "view"
    assert cubes["sales"]["connectedComponent"] == cubes["shops"]["connectedComponent"]
    assert cubes["slow"]["connectedComponent"] != cubes["sales"]["connectedComponent"]
    measure = next(item for item in cubes["sales"]["measures"] if item["name"] == "sales.amount")
    assert (measure["type"], measure["aggType"], measure["format"]) == ("number", "sum", "currency")
    shown = {item["name"]: item for item in cubes["shop_sales"]["dimensions"]}
    assert shown["shop_sales.shop_city"]["aliasMember"] == "shops.city"
    assert "connectedComponent" not in cubes["shop_sales"]
    assert [item["name"] for item in cubes["sales"]["segments"]] == ["sales.heavy"]


def test_meta_has_cubes_variants(server: Server) -> None:
    views = server.client.get("/cubejs-api/v1/meta", params={"onlyViews": "true"}).json()["cubes"]
    assert [cube["name"] for cube in views] == ["shop_sales"]
    extended = server.client.get("/cubejs-api/v1/meta?extended").json()["cubes"]
    sales = next(cube for cube in extended if cube["name"] == "sales")
    assert sales["sqlTable"] == "gold.fct_sale"
    assert sales["joins"][0]["relationship"] == "many_to_one"
    assert server.client.get("/cubejs-api/v1/meta?extended=maybe").status_code == 400


def test_sql_is_what_gives_the_answer(server: Server) -> None:
    query = {**COUNT, "filters": [{"member": "sales.weight", "operator": "gt", "values": ["100"]}]}
    body = server.client.post("/cubejs-api/v1/sql", json={"query": query}).json()
    text, values = body["sql"]["sql"]
    import duckdb  # noqa: PLC0415

    with duckdb.connect(str(server.site.database), read_only=True) as connection:
        rows = connection.execute(text, values).fetchall()
    assert [{"sales.count": str(rows[0][0])}] == server.load(query)["data"]
    assert body["sql"]["memberNames"] == ["sales.count"]


def test_dry_run_checks_without_running(server: Server) -> None:
    good = server.client.post("/cubejs-api/v1/dry-run", json={"query": SLOW}).json()
    assert good["queryType"] == "regularQuery"
    assert good["normalizedQueries"][0]["measures"] == ["slow.greatest"]
    bad = server.client.post("/cubejs-api/v1/dry-run", json={"query": {"measures": ["a.b"]}})
    assert bad.status_code == 400


def test_the_query_log_has_a_line_per_query_without_values(server: Server) -> None:
    query = {
        **COUNT,
        "filters": [{"member": "sales.is_online", "operator": "equals", "values": ["true"]}],
    }
    server.client.post(
        "/cubejs-api/v1/load", json={"query": query}, headers={"x-request-id": "log-1"}
    )
    server.client.post(
        "/cubejs-api/v1/load",
        json={"query": {"measures": ["sales.x"]}},
        headers={"x-request-id": "log-2"},
    )
    good, bad = (line for line in read_log(server) if line["requestId"] in {"log-1", "log-2"})
    assert (good["user"], good["face"], good["rows"], good["code"]) == ("ann", "rest", 1, "ok")
    assert (good["members"], good["filteredBy"]) == (["sales.count"], ["sales.is_online"])
    [shape] = good["shapes"]
    assert shape["filters"] == [{"member": "sales.is_online", "operator": "equals"}]
    assert (shape["measures"], "true" in json.dumps(shape)) == (["sales.count"], False)
    assert (bad["code"], bad["rows"], bad["shapes"]) == ("unknown_member", None, [])


def test_log_lines_are_json_with_the_request_id(server: Server) -> None:
    server.client.post(
        "/cubejs-api/v1/load", json={"query": COUNT}, headers={"x-request-id": "seen-1"}
    )
    wait_until(lambda: "seen-1" in server.log.read_text())
    lines = [line for line in server.log.read_text().splitlines() if "seen-1" in line]
    parsed = json.loads(lines[0])
    assert (parsed["event"], parsed["user"], parsed["code"]) == ("query", "ann", "ok")
    assert parsed["members"] == ["sales.count"]


def test_metrics_count_queries_and_show_freshness(server: Server) -> None:
    server.load(COUNT)
    page = server.client.get("/metrics").text
    assert 'ducat_queries_total{code="ok",face="rest"}' in page
    assert 'ducat_table_rows{table="fct_sale"} 400.0' in page
    assert 'ducat_table_newest_check_passed{table="dim_shop"} 0.0' in page
    assert "ducat_ready 1.0" in page
    age = next(line for line in page.splitlines() if line.startswith("ducat_snapshot_age_seconds "))
    assert float(age.split()[1]) == pytest.approx(time.time() - 1717243200, abs=60)


def test_the_landing_page_lists_the_doors_and_the_freshness(server: Server) -> None:
    page = httpx.get(server.url, timeout=60).text
    for words in (
        "/graphql",
        "/cubejs-api/v1/load",
        "/ducat/v1/sql",
        "2024-06-01T12:00",
        "last good",
    ):
        assert words in page
    assert "fct_sale" not in page


def test_a_caller_that_leaves_stops_its_query(server: Server) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            server.url + "/cubejs-api/v1/load",
            json={"query": SLOW},
            headers={**server.client.headers, "x-request-id": "left-1"},
            timeout=httpx.Timeout(60, read=0.5),
        )
    wait_until(lambda: any(line["requestId"] == "left-1" for line in read_log(server)))
    (line,) = (line for line in read_log(server) if line["requestId"] == "left-1")
    assert line["code"] == "query_cancelled"
    assert server.load(COUNT)["data"] == [{"sales.count": "400"}]


def test_the_readme_describes_every_route(server: Server) -> None:
    readme = (Path(__file__).parents[3] / "api" / "README.md").read_text()
    paths = [*server.client.get("/openapi.json").json()["paths"], "/", "/cubejs-api/v1/load"]
    assert [path for path in paths if f"`{path}`" not in readme] == []
