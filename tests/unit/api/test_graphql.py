"""GraphQL on a real server: Cube's shape, fragments honoured, limits kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Server

INTROSPECTION_DEPTH = "ofType {" * 30 + "name" + "}" * 30


def rows_of(answer: Any) -> list[Any]:
    assert "errors" not in answer, answer
    rows: list[Any] = answer["data"]["cube"]
    return rows


def test_rows_nest_under_their_cube_and_numbers_are_numbers(server: Server) -> None:
    answer = server.graphql(
        "{ cube(orderBy: {shop_sales: {count: desc, shop_city: asc}}) "
        "{ shop_sales { shop_city count amount average_weight } } }"
    )
    expected = server.site.ask(
        "SELECT city, count(*), CAST(sum(amount) AS DOUBLE), avg(weight) FROM gold.fct_sale "
        "JOIN gold.dim_shop USING (shop_id) GROUP BY 1 ORDER BY 2 DESC, 1 NULLS LAST"
    )
    found = [tuple(row["shop_sales"].values()) for row in rows_of(answer)]
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for (*_, amount, weight), (*_, expected_amount, expected_weight) in zip(
        found, expected, strict=True
    ):
        assert amount == pytest.approx(expected_amount, rel=1e-12)
        assert weight == pytest.approx(expected_weight, rel=1e-12)


def test_several_cubes_in_one_field_are_one_joined_query(server: Server) -> None:
    answer = server.graphql("{ cube { sales { count } shops { city } } }")
    expected = server.site.ask(
        "SELECT count(*), city FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) GROUP BY 2"
    )
    found = {(row["sales"]["count"], row["shops"]["city"]) for row in rows_of(answer)}
    assert found == set(expected)


def test_fragments_aliases_and_directives_are_honoured(server: Server) -> None:
    answer = server.graphql(
        """
        query($no: Boolean!) {
          totals: cube(orderBy: {shop_sales: {shop_city: asc}}) {
            ... on Result { s: shop_sales { ...Numbers ... @skip(if: $no) { city: shop_city } __typename } }
            shop_sales { is_online @include(if: $no) }
          }
        }
        fragment Numbers on ShopSalesMembers { n: count ...More }
        fragment More on ShopSalesMembers { amount }
        """,
        no=False,
    )
    rows = answer["data"]["totals"]
    assert [list(row["s"]) for row in rows] == [["n", "amount", "city", "__typename"]] * 3
    assert {row["s"]["city"]: row["s"]["n"] for row in rows} == dict(
        server.site.ask(
            "SELECT city, count(*) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) GROUP BY 1"
        )
    )
    assert rows[0]["s"]["__typename"] == "ShopSalesMembers"
    assert rows[0]["shop_sales"] == {}


def test_times_are_utc_instants_of_the_querys_buckets(server: Server) -> None:
    answer = server.graphql(
        '{ cube(timezone: "America/New_York") { sales { count sold_at { month } } } }'
    )
    expected = server.site.ask(
        "SELECT strftime(date_trunc('month', sold_at AT TIME ZONE 'UTC' AT TIME ZONE "
        "'America/New_York') AT TIME ZONE 'America/New_York' AT TIME ZONE 'UTC', "
        "'%Y-%m-%dT%H:%M:%S.000Z'), count(*) FROM gold.fct_sale GROUP BY 1 ORDER BY 1"
    )
    found = [(row["sales"]["sold_at"]["month"], row["sales"]["count"]) for row in rows_of(answer)]
    assert found == expected


@pytest.mark.parametrize(
    ("where", "condition"),
    [
        ("{sales: {weight: {gt: 50.5, lte: 60}}}", "weight > 50.5 AND weight <= 60"),
        ("{sales: {sale_id: {in: [1, 2, 7]}}}", "sale_id IN (1, 2, 7)"),
        ("{sales: {sale_id: {notIn: [1, 2]}}}", "sale_id NOT IN (1, 2)"),
        ('{sales: {is_online: {equals: "true"}}}', "is_online"),
        ("{sales: {is_online: {set: false}}}", "is_online IS NULL"),
        ("{sales: {is_online: {equals: null}}}", "is_online IS NULL"),
        ('{shops: {city: {contains: "nord"}}}', "city ILIKE '%nord%'"),
        ('{shops: {city: {startsWith: ["Par", "Ly"]}}}', "city LIKE 'Par%' OR city LIKE 'Ly%'"),
        (
            '{sales: {sold_at: {inDateRange: ["2024-01-10", "2024-01-12"]}}}',
            "sold_at >= '2024-01-10' AND sold_at < '2024-01-13'",
        ),
        ('{sales: {sold_at: {afterDate: "2024-03-01"}}}', "sold_at >= '2024-03-02'"),
        (
            '{OR: [{sales: {sale_id: {equals: 3}}}, {shops: {city: {equals: "Paris"}}, sales: {weight: {lt: 5}}}]}',
            "sale_id = 3 OR (city = 'Paris' AND weight < 5)",
        ),
        (
            '{sales: {OR: [{sale_id: {equals: 3}}, {AND: [{weight: {lt: 5}}, {is_online: {equals: "true"}}]}]}}',
            "sale_id = 3 OR (weight < 5 AND is_online)",
        ),
    ],
)  # fmt: skip
def test_where_keeps_the_rows_that_sql_keeps(server: Server, where: str, condition: str) -> None:
    ((expected,),) = server.site.ask(
        f"SELECT count(*) FROM gold.fct_sale LEFT JOIN gold.dim_shop USING (shop_id) WHERE {condition}"
    )
    assert expected > 0
    (row,) = rows_of(server.graphql(f"{{ cube(where: {where}) {{ sales {{ count }} }} }}"))
    assert row["sales"]["count"] == expected


def test_a_cubes_own_where_order_and_segments(server: Server) -> None:
    answer = server.graphql(
        "query($w: SalesWhereInput, $o: SalesOrderByInput) { cube(limit: 3, offset: 1, total: true) "
        "{ sales(where: $w, orderBy: $o, segments: [heavy]) { sale_id } } }",
        w={"is_online": {"equals": "true"}},
        o={"sale_id": "desc"},
    )
    expected = server.site.ask(
        "SELECT sale_id FROM gold.fct_sale WHERE is_online AND weight > 100 "
        "ORDER BY 1 DESC LIMIT 3 OFFSET 1"
    )
    assert [(row["sales"]["sale_id"],) for row in rows_of(answer)] == expected
    ((total,),) = server.site.ask(
        "SELECT count(*) FROM gold.fct_sale WHERE is_online AND weight > 100"
    )
    assert answer["extensions"]["ducat"]["cube"]["total"] == total


@pytest.mark.parametrize("as_variable", [False, True])
def test_sort_keys_count_in_the_order_in_which_they_are_written(
    server: Server, as_variable: bool
) -> None:
    literal = "{is_online: asc, count: desc, shop_city: asc}"
    text = (
        "query($o: RootOrderByInput) { cube(orderBy: $o) { shop_sales { shop_city is_online count } } }"
        if as_variable
        else "{ cube(orderBy: {shop_sales: "
        + literal
        + "}) { shop_sales { shop_city is_online count } } }"
    )
    order = {"shop_sales": {"is_online": "asc", "count": "desc", "shop_city": "asc"}}
    answer = server.graphql(text, **({"o": order} if as_variable else {}))
    expected = server.site.ask(
        "SELECT city, is_online, count(*) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) "
        "GROUP BY 1, 2 ORDER BY 2 NULLS LAST, 3 DESC, 1 NULLS LAST"
    )
    names = {True: "true", False: "false", None: None}
    assert [tuple(row["shop_sales"].values()) for row in rows_of(answer)] == [
        (city, names[online], count) for city, online, count in expected
    ]


def test_two_cube_fields_are_two_queries(server: Server) -> None:
    answer = server.graphql(
        '{ a: cube(where: {sales: {is_online: {equals: "true"}}}) { sales { count } } '
        "b: cube { sales { count } } }"
    )
    ((online, every),) = server.site.ask(
        "SELECT count(*) FILTER (is_online), count(*) FROM gold.fct_sale"
    )
    assert answer["data"] == {
        "a": [{"sales": {"count": online}}],
        "b": [{"sales": {"count": every}}],
    }
    assert set(answer["extensions"]["ducat"]) == {"a", "b"}


def test_one_cube_with_two_sets_of_arguments_is_refused(server: Server) -> None:
    answer = server.graphql(
        "{ cube { a: sales(where: {sale_id: {equals: 1}}) { count } b: sales { count } } }"
    )
    assert "different arguments" in answer["errors"][0]["message"]


def test_extensions_carry_annotation_and_state(server: Server) -> None:
    extensions = server.graphql("{ cube { sales { count } } }")["extensions"]
    assert extensions["annotation"]["measures"]["sales.count"]["shortTitle"]
    assert extensions["lastRefreshTime"] == "2024-06-01T12:00:00.000Z"
    assert extensions["ducat"]["cube"]["quality"] == "passed"


def test_meta_and_freshness_are_typed_queries(server: Server) -> None:
    answer = server.graphql(
        "{ meta { version cubes { name type members { name kind type } } } "
        "freshness { quality isLastGood tables { name rows } newestCheck { table failures } } }"
    )
    names = {cube["name"]: cube["type"] for cube in answer["data"]["meta"]["cubes"]}
    assert names == {"shops": "cube", "sales": "cube", "slow": "cube", "shop_sales": "view"}
    freshness = answer["data"]["freshness"]
    assert freshness["isLastGood"] is True
    assert freshness["newestCheck"] == [{"table": "dim_shop", "failures": ["x"]}]


def test_the_schema_can_be_read_by_tools_and_hides_what_is_not_public(server: Server) -> None:
    from graphql import build_client_schema, get_introspection_query, print_schema  # noqa: PLC0415

    answer = server.graphql(get_introspection_query())
    schema = build_client_schema(answer["data"])
    text = print_schema(schema)
    assert "type SalesMembers" in text
    assert "enum SalesSegment" in text
    assert "secrets" not in text.lower()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ cube { sales { nope } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ cube { secrets { hidden_count } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ cube { sales { count } }", "GRAPHQL_PARSE_FAILED"),
        ("mutation { x }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ cube {" + " sales { count }" * 600 + " } }", "BAD_USER_INPUT"),
        (
            "{ __schema { types { fields { type {" + INTROSPECTION_DEPTH + "} } } } }",
            "BAD_USER_INPUT",
        ),
        (
            "{" + " ".join(f"a{n}: cube {{ sales {{ count }} }}" for n in range(11)) + "}",
            "BAD_USER_INPUT",
        ),
        (
            "{ cube { sales { ...f0 } } }"
            + "".join(
                f" fragment f{n} on SalesMembers {{ ...f{n + 1} ...f{n + 1} }}" for n in range(18)
            )
            + " fragment f18 on SalesMembers { count }",
            "BAD_USER_INPUT",
        ),
        ("{" * 3000, "GRAPHQL_PARSE_FAILED"),
        ("{a" * 1900 + "}" * 1900, None),
        ("{ a }" * 4000, "GRAPHQL_PARSE_FAILED"),
        ("{ cube { ...f } } fragment f on Result { ...f }", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_answered_is_refused_before_it_runs(
    server: Server, query: str, code: str | None
) -> None:
    response = server.client.post("/graphql", json={"query": query})
    body = response.json()
    assert response.status_code == 400, body
    assert "data" not in body or body["data"] is None
    if code is not None:
        assert body["errors"][0]["extensions"]["code"] == code, body


def test_ungrouped_gives_rows(server: Server) -> None:
    body = server.graphql("{ cube(ungrouped: true) { sales { count is_online } } }")
    found = [(row["sales"]["count"], row["sales"]["is_online"]) for row in body["data"]["cube"]]
    expected = server.site.ask("SELECT 1, is_online FROM gold.fct_sale")
    assert sorted(map(str, found)) == sorted(
        str((count, None if flag is None else str(flag).lower())) for count, flag in expected
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ cube { sales { __typename } } }", "query_syntax"),
        ("{ cube(limit: -1) { sales { count } } }", "query_syntax"),
        ("{ cube(limit: 100000) { sales { count } } }", "limit_exceeded"),
        ('{ cube(timezone: "Mars/X") { sales { count } } }', "query_syntax"),
        ('{ cube(cache: "often") { sales { count } } }', "query_syntax"),
        ("{ cube(where: {OR: []}) { sales { count } } }", "query_syntax"),
        ("{ cube(where: {sales: {OR: [{}]}}) { sales { count } } }", "query_syntax"),
        ("{ cube(where: {sales: {sale_id: {in: []}}}) { sales { count } } }", "query_syntax"),
    ],
)
def test_a_query_that_is_refused_says_why(server: Server, query: str, code: str) -> None:
    body = server.graphql(query)
    assert body["errors"][0]["extensions"]["ducatCode"] == code, body
    assert body["errors"][0]["path"] == ["cube"]


@pytest.mark.parametrize("path", ["/graphql", "/cubejs-api/graphql"])
def test_both_paths_answer_and_both_need_a_token(server: Server, path: str) -> None:
    body = {"query": "{ cube { sales { count } } }"}
    assert server.client.post(path, json=body).json()["data"]["cube"] == [{"sales": {"count": 400}}]
    refused = server.client.post(path, json=body, headers={"authorization": ""})
    assert (refused.status_code, refused.json()["code"]) == (403, "invalid_token")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"query": 1}', b'{"query": "{x}", "variables": []}']
)
def test_bodies_that_are_no_request_are_refused(server: Server, body: bytes) -> None:
    response = server.client.post("/graphql", content=body)
    assert (response.status_code, response.json()["code"]) == (400, "query_syntax")


def test_the_explorer_needs_no_token_and_no_other_host(server: Server) -> None:
    page = server.client.get("/graphql", headers={"authorization": ""})
    assert page.status_code == 200
    assert "<title>Ducat" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
