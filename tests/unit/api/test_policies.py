"""Access policies through every door: the same members are there, and no row leaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from tests.unit.api.conftest import SECRET, Server, make_site, publish, run_server

MODEL = """
cubes:
  - name: guarded
    sql_table: gold.fct_sale
    joins:
      - {name: places, relationship: many_to_one, sql: "{CUBE}.shop_id = {places}.shop_id"}
    dimensions:
      - {name: sale_id, type: number, sql: "{CUBE}.sale_id", primary_key: true, public: true}
      - {name: shop, type: number, sql: "{CUBE}.shop_id"}
      - {name: weight, type: number, sql: "{CUBE}.weight"}
      - {name: sold_at, type: time, sql: "{CUBE}.sold_at"}
    measures:
      - {name: count, type: count, drill_members: [shop, weight]}
      - {name: heaviest, type: max, sql: "{weight}"}
    access_policy:
      - group: readers
        member_level: {includes: [count, shop]}
        row_level:
          filters: [{member: shop, operator: equals, values: ["1"]}]
      - group: tellers
        member_level: {excludes: [weight, heaviest]}
        row_level:
          filters: [{member: shop, operator: equals, values: ["{ security_context.shops }"]}]
      - group: bosses
        conditions: [{if: "{ security_context.is_boss }"}]
        row_level: {allow_all: true}
  - name: places
    sql_table: gold.dim_shop
    dimensions:
      - {name: shop_id, type: number, sql: "{CUBE}.shop_id", primary_key: true}
      - {name: city, type: string, sql: "{CUBE}.city"}
    measures: [{name: count, type: count}]
views:
  - name: guarded_sales
    cubes:
      - {join_path: guarded, includes: [count, shop, weight, sold_at]}
"""
COUNT = {"measures": ["guarded.count"]}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    site = make_site(tmp_path_factory.mktemp("guarded"))
    (site.project / "semantic" / "model" / "guarded.yml").write_text(MODEL)
    publish(site)
    with run_server(site, tmp_path_factory.mktemp("guarded_server")) as running:
        yield running


def headers(*groups: str, **claims: Any) -> dict[str, str]:
    """Return the headers of a caller whose token has these groups and claims."""
    now = int(time.time())
    payload = {"sub": "ann", "groups": list(groups), "iat": now, "exp": now + 600, **claims}
    token = jwt.encode(payload, SECRET, algorithm="HS256")
    return {"authorization": f"Bearer {token}"}


def load(server: Server, query: dict[str, Any], *groups: str, **claims: Any) -> httpx.Response:
    return server.client.post(
        "/cubejs-api/v1/load", json={"query": query}, headers=headers(*groups, **claims)
    )


@pytest.mark.parametrize(
    ("groups", "claims", "condition"),
    [
        (("readers",), {}, "shop_id = 1"),
        (("tellers",), {"shops": [2, 3]}, "shop_id IN (2, 3)"),
        (("tellers",), {"shops": "2"}, "shop_id = 2"),
        (("readers", "tellers"), {"shops": ["3"]}, "shop_id IN (1, 3)"),
        (("bosses",), {"is_boss": True}, "TRUE"),
        (("bosses", "readers"), {"is_boss": False}, "shop_id = 1"),
    ],
)
def test_each_caller_has_the_rows_of_its_policies(
    guarded: Server, groups: tuple[str, ...], claims: dict[str, Any], condition: str
) -> None:
    ((expected,),) = guarded.site.ask(f"SELECT count(*) FROM gold.fct_sale WHERE {condition}")
    for name in ("guarded.count", "guarded_sales.count"):
        body = load(guarded, {"measures": [name]}, *groups, **claims).json()
        assert body["data"] == [{name: str(expected)}]


def test_rows_are_guarded_where_only_a_filter_names_the_cube(guarded: Server) -> None:
    query = {
        "measures": ["places.count"],
        "filters": [{"member": "guarded.shop", "operator": "set"}],
    }
    assert load(guarded, query, "readers").json()["data"] == [{"places.count": "1"}]


def test_a_caller_without_a_policy_finds_nothing(guarded: Server) -> None:
    for groups, claims in ((("others",), {}), ((), {}), (("bosses",), {"is_boss": False})):
        response = load(guarded, COUNT, *groups, **claims)
        assert (response.status_code, response.json()["code"]) == (400, "unknown_member")
        assert "Cube 'guarded' not found" in response.json()["error"]


def test_a_missing_claim_opens_nothing(guarded: Server) -> None:
    response = load(guarded, COUNT, "tellers")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_query")


def test_every_door_shows_a_caller_the_same_members(guarded: Server) -> None:
    expected = {
        ("readers",): {"count", "shop"},
        ("tellers",): {"count", "shop", "sale_id", "sold_at"},
        ("others",): set(),
    }
    for groups, names in expected.items():
        token = headers(*groups, shops=[1])
        meta = guarded.client.get("/cubejs-api/v1/meta", headers=token).json()["cubes"]
        in_rest = {
            item["name"]
            for cube in meta
            if cube["name"] == "guarded"
            for kind in ("measures", "dimensions", "segments")
            for item in cube[kind]
        }
        body = {"query": "{ meta { cubes { name members { name } } } }"}
        graphql = guarded.client.post("/graphql", json=body, headers=token).json()
        in_graphql = {
            item["name"]
            for cube in graphql["data"]["meta"]["cubes"]
            if cube["name"] == "guarded"
            for item in cube["members"]
        }
        in_load = {
            f"guarded.{name}"
            for name in ("count", "heaviest", "shop", "weight", "sale_id", "sold_at")
            for key in ("measures", "dimensions")
            if load(guarded, {key: [f"guarded.{name}"]}, *groups, shops=[1]).status_code == 200
        }
        assert in_rest == in_graphql == in_load == {f"guarded.{name}" for name in names}
        views = guarded.client.get("/ducat/v1/sql/meta", headers=token).json()["views"]
        in_sql = {
            item["name"]
            for view in views
            if view["name"] == "guarded_sales"
            for item in (*view["dimensions"], *view["measures"])
        }
        assert in_sql == names & {"count", "shop", "sold_at"}


def test_sql_and_graphql_guard_rows_and_members_too(guarded: Server) -> None:
    token = headers("readers")
    ((expected,),) = guarded.site.ask("SELECT count(*) FROM gold.fct_sale WHERE shop_id = 1")
    sql = {"sql": "SELECT MEASURE(count) AS n FROM guarded_sales"}
    answer = guarded.client.post("/ducat/v1/sql", json=sql, headers=token)
    assert str(expected) in answer.text
    hidden = {"sql": "SELECT weight FROM guarded_sales GROUP BY 1"}
    refused = guarded.client.post("/ducat/v1/sql", json=hidden, headers=token).json()
    assert refused["code"] == "unknown_member"
    body = {"query": "{ cube { guarded { count } } }"}
    graphql = guarded.client.post("/graphql", json=body, headers=token).json()
    assert graphql["data"]["cube"] == [{"guarded": {"count": expected}}]
    hidden = {"query": "{ cube { guarded { heaviest } } }"}
    assert guarded.client.post("/graphql", json=hidden, headers=token).json()["errors"]


def test_drill_members_are_those_that_the_caller_may_see(guarded: Server) -> None:
    body = load(guarded, COUNT, "readers").json()
    assert body["annotation"]["measures"]["guarded.count"]["drillMembers"] == ["guarded.shop"]


def test_an_extended_meta_lists_no_cube_that_is_not_there(guarded: Server) -> None:
    meta = guarded.client.get("/cubejs-api/v1/meta?extended", headers=headers("others")).json()
    assert "guarded" not in {cube["name"] for cube in meta["cubes"]}


def test_a_view_of_which_nothing_is_seen_is_not_there(guarded: Server) -> None:
    token = headers("others")
    meta = guarded.client.get("/cubejs-api/v1/meta", headers=token).json()["cubes"]
    assert "guarded_sales" not in {cube["name"] for cube in meta}
    refused = load(guarded, {"measures": ["guarded_sales.count"]}, "others").json()
    assert refused["error"].startswith("Cube 'guarded_sales' not found")


def test_how_many_rows_a_guarded_table_has_is_not_told(guarded: Server) -> None:
    (table,) = load(guarded, COUNT, "readers").json()["ducat"]["tables"]
    assert (table["name"], table["rows"]) == ("fct_sale", None)
    body = {"query": "{ freshness { tables { name rows } } }"}
    for groups, names in ((("readers",), {"fct_sale", "dim_shop"}), ((), {"fct_sale", "dim_shop"})):
        answer = guarded.client.post("/graphql", json=body, headers=headers(*groups)).json()
        rows = {table["name"]: table["rows"] for table in answer["data"]["freshness"]["tables"]}
        assert rows == dict.fromkeys(names) | {"dim_shop": 3}


def test_the_groups_that_the_service_names_decide_about_rows_in_every_turn(guarded: Server) -> None:
    """Three times each, in turn: answers that are kept are kept apart by groups, too."""
    token = jwt.encode({"sub": "superset"}, SECRET, algorithm="HS256")
    ((mine,),) = guarded.site.ask("SELECT count(*) FROM gold.fct_sale WHERE shop_id = 1")
    for _ in range(3):
        for groups, expected in ('["readers"]', 200), ('["others"]', 400), ("[]", 400):
            answer = guarded.client.post(
                "/cubejs-api/v1/load",
                json={"query": COUNT},
                headers={"authorization": token, "x-ducat-user": "ann", "x-ducat-groups": groups},
            )
            assert answer.status_code == expected, answer.text
            if expected == 200:
                assert int(answer.json()["data"][0]["guarded.count"]) == mine
