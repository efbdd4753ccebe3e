"""What `shift` and `compare` refuse, and who may see what they make."""

from __future__ import annotations

from typing import Any

import pytest

from api.document import write_document
from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.compile.statement import compile_plan
from semantic.errors import DucatError, UnknownMemberError
from semantic.plan.build import build
from semantic.query.bind import bind
from semantic.query.bound import BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json, parse_json_queries
from semantic.query.visibility import Visibility
from tests.unit.semantic.query.test_bind import NOW

MODEL = """
cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: buyers, relationship: many_to_one, sql: "{CUBE}.buyer_id = {buyers}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: region, type: string, sql: region}
      - {name: placed_at, type: time, sql: placed_at}
      - {name: paid_at, type: time, sql: paid_at}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: amount, format: currency, mask: -1}
      - {name: amount__old, type: sum, sql: old_amount}
      - {name: latest, type: string, sql: "max({CUBE}.status)"}
    access_policy:
      - group: north
        row_level:
          filters: [{member: region, operator: equals, values: [north]}]
      - group: new
        row_level:
          filters: [{member: placed_at, operator: afterDate, values: ["2024-01-01"]}]
      - group: blind
        member_level: {excludes: [amount]}
        member_masking: {includes: [amount]}
      - group: hidden
        member_level: {includes: [count, placed_at]}
      - group: all
        row_level: {allow_all: true}
  - name: buyers
    sql_table: buyers
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
views:
  - name: sales
    cubes: [{join_path: orders, includes: [count, amount, placed_at]}]
"""
DATED = [{"dimension": "orders.placed_at", "dateRange": ["2024-03-01", "2024-03-31"]}]
SHIFTED = {"measure": "orders.amount", "shift": "1 year"}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog_from_text({"orders.yml": MODEL})


def ask(catalog: Catalog, group: str = "all", **query: Any) -> BoundQuery:
    sight = Visibility(catalog).sight(SecurityContext("ann", (group,)))
    return bind(catalog, parse_json(query), now=NOW, sight=sight)


def sql(bound: BoundQuery) -> str:
    return compile_plan(bound.catalog, build(bound.catalog, bound)).sql


def test_the_catalog_of_the_model_stays_as_it_is(catalog: Catalog) -> None:
    bound = ask(catalog, measures=[SHIFTED], timeDimensions=DATED)
    assert "amount__1_year_prior" in bound.catalog.cubes["orders"].measures
    assert "amount__1_year_prior" not in catalog.cubes["orders"].measures
    assert ask(catalog, measures=["orders.count"]).catalog is catalog


def test_columns_say_what_they_are(catalog: Catalog) -> None:
    bound = ask(
        catalog,
        measures=["orders.amount"],
        timeDimensions=DATED,
        compare={"to": "previous period"},
    )
    assert [(item.name, item.title, item.format) for item in bound.columns] == [
        ("orders.amount", "Orders Amount", "currency"),
        ("orders.amount__previous", "Orders Amount (previous)", "currency"),
        ("orders.amount__change", "Orders Amount (change)", "currency"),
        ("orders.amount__change_percent", "Orders Amount (change in %)", "number_1"),
    ]


@pytest.mark.parametrize(
    "query",
    [
        {"measures": [SHIFTED], "timeDimensions": DATED},
        {"measures": ["orders.count", SHIFTED | {"as": "before", "direction": "next"}], "timeDimensions": DATED},
        {"measures": ["orders.count"], "timeDimensions": DATED, "compare": {"to": "7 day", "show": ["change"]}},
        {"measures": [SHIFTED | {"timeDimension": "orders.placed_at"}], "timeDimensions": DATED},
    ],
)  # fmt: skip
def test_a_query_written_and_read_again_is_the_same(query: dict[str, Any]) -> None:
    read = parse_json(query)
    assert parse_json(write_document(read)) == read


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"measures": [SHIFTED]}, "query_syntax", "none in timeDimensions"),
        (
            {"measures": [SHIFTED], "timeDimensions": [*DATED, {"dimension": "orders.paid_at", "granularity": "day"}]},
            "query_syntax", "2 of them",
        ),
        (
            {"measures": [SHIFTED | {"timeDimension": "orders.paid_at"}], "timeDimensions": DATED},
            "query_syntax", "none of the query's timeDimensions",
        ),
        ({"measures": [SHIFTED | {"shift": "soon"}], "timeDimensions": DATED}, "query_syntax", "no interval"),
        ({"measures": [SHIFTED | {"shift": "-1 year"}], "timeDimensions": DATED}, "query_syntax", "no interval"),
        ({"measures": [SHIFTED | {"shift": "0 day"}], "timeDimensions": DATED}, "query_syntax", "no interval"),
        ({"measures": [SHIFTED | {"shift": "1 year'; --"}], "timeDimensions": DATED}, "query_syntax", "no interval"),
        ({"measures": [SHIFTED | {"as": 'x"; DROP'}], "timeDimensions": DATED}, "query_syntax", "a name of letters"),
        ({"measures": [SHIFTED | {"as": "count"}], "timeDimensions": DATED}, "query_syntax", "something else already"),
        ({"measures": [SHIFTED | {"as": "region"}], "timeDimensions": DATED}, "query_syntax", "something else already"),
        (
            {"measures": [SHIFTED | {"as": "old"}, SHIFTED | {"as": "old", "shift": "2 year"}], "timeDimensions": DATED},
            "query_syntax", "both called",
        ),
        ({"measures": [SHIFTED | {"size": 1}], "timeDimensions": DATED}, "query_syntax", "not allowed"),
        ({"measures": [SHIFTED | {"direction": "up"}], "timeDimensions": DATED}, "query_syntax", "must be one of"),
        ({"measures": [SHIFTED | {"measure": "orders.region"}], "timeDimensions": DATED}, "unknown_member", "a dimension"),
        ({"measures": [SHIFTED | {"measure": "orders.amuont"}], "timeDimensions": DATED}, "unknown_member", "amuont"),
        ({"measures": [SHIFTED], "timeDimensions": DATED, "ungrouped": True}, "unsupported", "ungrouped"),
        ({"measures": [{"measure": "orders.amount"}], "timeDimensions": DATED}, "unsupported", "member expression"),
        (
            {"measures": ["orders.amount"], "timeDimensions": [{"dimension": "orders.placed_at", "granularity": "day"}],
             "compare": {"to": "previous period"}},
            "query_syntax", "needs one dateRange",
        ),
        ({"measures": ["orders.amount"], "timeDimensions": DATED, "compare": {"to": "sometime"}}, "query_syntax", "no interval"),
        ({"measures": ["orders.amount"], "timeDimensions": DATED, "compare": {}}, "query_syntax", "must be a string"),
        ({"measures": ["orders.amount"], "timeDimensions": DATED, "compare": {"to": "1 day", "by": 1}}, "query_syntax", "not allowed"),
        (
            {"measures": ["orders.amount"], "timeDimensions": DATED, "compare": {"to": "1 day", "show": ["ratio"]}},
            "query_syntax", "must be one of",
        ),
        (
            {"measures": ["orders.amount"], "timeDimensions": DATED, "compare": {"to": "1 day", "measures": ["orders.count"]}},
            "query_syntax", "does not ask for",
        ),
        ({"dimensions": ["orders.region"], "timeDimensions": DATED, "compare": {"to": "1 day"}}, "query_syntax", "needs a measure"),
        ({"measures": ["orders.latest"], "timeDimensions": DATED, "compare": {"to": "1 day"}}, "unsupported", "has no change"),
        (
            {"measures": ["orders.amount"], "compare": {"to": "previous period"},
             "timeDimensions": [{"dimension": "orders.placed_at", "granularity": "day", "dateRange": ["2024-02-01", "2024-02-29"]}]},
            "unsupported", "two of their days",
        ),
        (
            {"measures": ["orders.amount"], "compare": {"to": "previous period"},
             "timeDimensions": [{"dimension": "orders.placed_at", "dateRange": ["2024-03-31", "2024-03-01"]}]},
            "query_syntax", "empty",
        ),
        (
            {"measures": ["orders.amount"], "compare": {"to": "previous period"},
             "timeDimensions": [{"dimension": "orders.placed_at", "dateRange": ["0001-01-01", "0001-12-31"]}]},
            "query_syntax", "before the first year",
        ),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_with_what_to_do(
    catalog: Catalog, query: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(DucatError) as refused:
        ask(catalog, **query)
    assert refused.value.code == code
    assert words in refused.value.message


def test_compare_and_compared_ranges_exclude_each_other() -> None:
    times = [{"dimension": "orders.placed_at", "compareDateRange": ["last month", "this month"]}]
    with pytest.raises(DucatError, match="do not go together"):
        parse_json_queries(
            {"measures": ["orders.amount"], "timeDimensions": times, "compare": {"to": "1 day"}}
        )


@pytest.mark.parametrize("measure", ["orders.amount", "sales.amount"])
def test_a_made_measure_is_hidden_where_its_measure_is(catalog: Catalog, measure: str) -> None:
    owner = measure.partition(".")[0]
    times = [{"dimension": f"{owner}.placed_at", "dateRange": "this month"}]
    with pytest.raises(UnknownMemberError):
        ask(
            catalog,
            "hidden",
            measures=[{"measure": measure, "shift": "1 year"}],
            timeDimensions=times,
        )
    with pytest.raises(UnknownMemberError):
        ask(
            catalog,
            "hidden",
            measures=[measure],
            timeDimensions=times,
            compare={"to": "1 year"},
        )


def test_a_made_measure_is_masked_where_its_measure_is(catalog: Catalog) -> None:
    bound = ask(catalog, "blind", measures=[SHIFTED], timeDimensions=DATED)
    text = sql(bound)
    assert ("orders", "amount__1_year_prior") in bound.masks
    [column] = [line for line in text.splitlines() if "amount__1_year_prior" in line]
    assert "-1" in column or "$" in column
    assert "_v0" not in column


def test_the_row_filter_of_a_policy_holds_in_the_shifted_rows(catalog: Catalog) -> None:
    bound = ask(catalog, "north", measures=["orders.count", SHIFTED], timeDimensions=DATED)
    text = sql(bound)
    assert text.count('"region"') + text.count(".region") >= 2
