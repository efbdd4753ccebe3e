"""What is computed apart from the query's rows never lifts the row filter of an access policy."""

from __future__ import annotations

import pytest

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import UnsupportedError
from semantic.query.bind import bind
from semantic.query.bound import BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
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
      - {name: status, type: string, sql: status}
      - {name: placed_at, type: time, sql: placed_at}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: amount}
      - name: all_regions
        type: number
        sql: "{amount}"
        multi_stage: true
        filter: {exclude: [region]}
      - name: share_of_all
        type: number
        sql: "{amount} / NULLIF({all_regions}, 0)"
      - name: only_by_status
        type: number
        sql: "{amount}"
        multi_stage: true
        filter: {keep_only: [status]}
      - name: all_states
        type: number
        sql: "{amount}"
        multi_stage: true
        filter: {exclude: [status]}
      - name: year_before
        type: number
        sql: "{amount}"
        multi_stage: true
        time_shift: [{interval: 1 year, type: prior}]
    access_policy:
      - group: north
        row_level:
          filters: [{member: region, operator: equals, values: [north]}]
      - group: new
        row_level:
          filters: [{member: placed_at, operator: afterDate, values: ["2024-01-01"]}]
      - group: all
        row_level: {allow_all: true}
  - name: buyers
    sql_table: buyers
    joins:
      - {name: orders, relationship: one_to_many, sql: "{CUBE}.id = {orders}.buyer_id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: name, type: string, sql: name}
      - {name: total, type: number, sql: "{orders.amount}", sub_query: true}
    measures: [{name: count, type: count}]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog_from_text({"orders.yml": MODEL})


def ask(catalog: Catalog, group: str, **query: object) -> BoundQuery:
    sight = Visibility(catalog).sight(SecurityContext("ann", (group,)))
    return bind(catalog, parse_json(query), now=NOW, sight=sight)


def test_a_policys_conditions_are_among_the_rows_and_known_as_guards(catalog: Catalog) -> None:
    found = ask(catalog, "north", measures=["orders.amount"])
    assert found.guards
    assert set(map(id, found.guards)) <= set(map(id, found.rows))
    assert ask(catalog, "all", measures=["orders.amount"]).guards == ()


@pytest.mark.parametrize(
    ("group", "measure"),
    [
        ("north", "orders.all_regions"),
        ("north", "orders.share_of_all"),
        ("north", "orders.only_by_status"),
        ("new", "orders.year_before"),
        ("new", "orders.only_by_status"),
    ],
)
def test_a_stage_that_would_lift_a_guard_is_refused(
    catalog: Catalog, group: str, measure: str
) -> None:
    with pytest.raises(UnsupportedError, match="would lift the row filter of an access policy"):
        ask(catalog, group, measures=[measure])
    assert ask(catalog, "all", measures=[measure]).guards == ()


@pytest.mark.parametrize(
    ("group", "measure"),
    [
        ("north", "orders.all_states"),
        ("north", "orders.year_before"),
        ("new", "orders.all_regions"),
    ],
)
def test_a_stage_that_leaves_the_guard_alone_is_answered(
    catalog: Catalog, group: str, measure: str
) -> None:
    assert len(ask(catalog, group, measures=[measure]).guards) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"dimensions": ["buyers.total"]},
        {
            "measures": ["buyers.count"],
            "filters": [{"member": "buyers.total", "operator": "gt", "values": ["1"]}],
        },
    ],
)
def test_a_sub_query_over_guarded_rows_is_refused(
    catalog: Catalog, query: dict[str, object]
) -> None:
    with pytest.raises(UnsupportedError, match="a sub-query over orders"):
        ask(catalog, "north", **query)
    assert ask(catalog, "all", **query).guards == ()
    assert ask(catalog, "north", dimensions=["buyers.name"]).guards == ()
