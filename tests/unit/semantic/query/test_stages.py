"""Row filters of access policies hold in everything that is computed in stages.

Expected values are counted by hand over the six orders below.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from semantic.errors import UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    joins:
      - {name: buyers, relationship: many_to_one, sql: "{CUBE}.buyer_id = {buyers}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: region, type: string, sql: region, mask: hidden}
      - {name: status, type: string, sql: status}
      - {name: placed_at, type: time, sql: placed_at}
      - {name: buyer_name, type: string, sql: "{buyers.name}"}
      - {name: buyer_total, type: number, sql: "{buyers.total}"}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: amount}
      - {name: so_far, type: sum, sql: amount, rolling_window: {trailing: unbounded}}
      - name: all_regions
        type: number
        sql: "{amount}"
        multi_stage: true
        filter: {exclude: [region]}
      - name: only_by_status
        type: number
        sql: "{amount}"
        multi_stage: true
        filter: {keep_only: [status]}
      - name: fixed
        type: number
        sql: "{amount}"
        multi_stage: true
        filter: {keep_only: [], mode: fixed}
      - name: year_before
        type: number
        sql: "{amount}"
        multi_stage: true
        time_shift: [{interval: 1 year, type: prior}]
    access_policy:
      - group: north
        row_level:
          filters: [{member: region, operator: equals, values: [north]}]
      - group: veiled
        member_level: {excludes: [region]}
        member_masking: {includes: [region]}
        row_level:
          filters: [{member: region, operator: equals, values: [north]}]
      - group: new
        row_level:
          filters: [{member: placed_at, operator: afterOrOnDate, values: ["2024-01-01"]}]
      - group: named
        row_level:
          filters: [{member: buyer_name, operator: equals, values: [ada]}]
      - group: computed
        row_level:
          filters: [{member: buyer_total, operator: gt, values: ["1"]}]
      - group: all
        row_level: {allow_all: true}
  - name: buyers
    sql_table: gold.buyers
    joins:
      - {name: orders, relationship: one_to_many, sql: "{CUBE}.id = {orders}.buyer_id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: name, type: string, sql: name}
      - {name: total, type: number, sql: "{orders.amount}", sub_query: true}
    measures: [{name: count, type: count}]
"""
SEED = """
CREATE TABLE gold.buyers AS SELECT * FROM (VALUES (1, 'ada'), (2, 'bob')) t(id, name);
CREATE TABLE gold.orders AS SELECT * FROM (VALUES
  (1, 1, 'north', 'paid', 1, TIMESTAMP '2023-03-01'),
  (2, 1, 'south', 'paid', 2, TIMESTAMP '2023-03-01'),
  (3, 2, 'north', 'open', 4, TIMESTAMP '2024-03-01'),
  (4, 2, 'south', 'paid', 8, TIMESTAMP '2024-03-01'),
  (5, 1, 'north', 'paid', 16, TIMESTAMP '2024-04-01'),
  (6, NULL, 'north', 'open', 32, TIMESTAMP '2024-04-01')
) t(id, buyer_id, region, status, amount, placed_at);
"""
REGION = [{"member": "orders.region", "operator": "equals", "values": ["south"]}]
YEAR = [{"dimension": "orders.placed_at", "granularity": "year"}]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    opened = open_layer(tmp_path_factory.mktemp("stages"), MODEL, SEED)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, group: str, **query: Any) -> list[tuple[Any, ...]]:
    result = layer.load(parse_json(query), SecurityContext("ann", (group,)), now=NOW)
    return [tuple(row.values()) for row in result.table.to_pylist()]


@pytest.mark.parametrize(
    ("group", "measure", "expected"),
    [
        ("all", "all_regions", 63),
        ("north", "all_regions", 53),
        ("veiled", "all_regions", 53),
        ("new", "all_regions", 60),
        ("named", "all_regions", 19),
        ("north", "only_by_status", 53),
        ("new", "only_by_status", 60),
        ("north", "fixed", 53),
        ("named", "fixed", 19),
    ],
)
def test_no_directive_lifts_a_policy(
    layer: SemanticLayer, group: str, measure: str, expected: int
) -> None:
    assert ask(layer, group, measures=[f"orders.{measure}"]) == [(expected,)]


def test_a_condition_that_a_stage_lifts_is_lifted_and_the_policy_not(layer: SemanticLayer) -> None:
    query = {"measures": ["orders.count", "orders.all_regions"], "filters": REGION}
    assert ask(layer, "all", **query) == [(2, 63)]
    assert ask(layer, "north", **query) == [(0, 53)]
    assert ask(layer, "named", **query) == [(1, 19)]


def test_a_policy_on_a_time_is_about_the_time_that_rows_really_have(layer: SemanticLayer) -> None:
    query = {"measures": ["orders.amount", "orders.year_before"], "timeDimensions": YEAR}
    found = {year.year: values for year, *values in ask(layer, "all", **query)}
    assert found == {2023: [3, None], 2024: [60, 3], 2025: [None, 60]}
    found = {year.year: values for year, *values in ask(layer, "new", **query)}
    assert found == {2024: [60, None], 2025: [None, 60]}


def test_periods_begin_and_end_with_rows_that_the_caller_may_see(layer: SemanticLayer) -> None:
    query = {
        "measures": ["orders.so_far"],
        "timeDimensions": [{"dimension": "orders.placed_at", "granularity": "month"}],
        "order": {"orders.placed_at": "asc"},
    }
    shown = [(month.date().isoformat(), value) for month, value in ask(layer, "new", **query)]
    assert shown == [("2024-03-01", 12), ("2024-04-01", 60)]
    assert len(ask(layer, "all", **query)) == 14
    shown = [(month.date().isoformat(), value) for month, value in ask(layer, "named", **query)]
    assert (shown[0], shown[-1]) == (("2023-03-01", 3), ("2024-04-01", 19))


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("all", [("ada", 19), ("bob", 12)]),
        ("north", [("ada", 17), ("bob", 4)]),
        ("new", [("ada", 16), ("bob", 12)]),
        ("named", [("ada", 19), ("bob", None)]),
    ],
)
def test_a_sub_query_reads_only_rows_that_the_caller_may_see(
    layer: SemanticLayer, group: str, expected: list[tuple[str, int | None]]
) -> None:
    """And no buyer is lost for having none."""
    query = {"dimensions": ["buyers.name", "buyers.total"], "order": {"buyers.name": "asc"}}
    assert ask(layer, group, **query) == expected


def test_conditions_on_a_sub_query_are_about_what_the_caller_may_see(layer: SemanticLayer) -> None:
    more = [{"member": "buyers.total", "operator": "gt", "values": ["10"]}]
    query = {"measures": ["buyers.count"], "filters": more}
    assert ask(layer, "all", **query) == [(2,)]
    assert ask(layer, "north", **query) == [(1,)]


def test_a_policy_compares_what_is_there_and_not_the_mask_of_it(layer: SemanticLayer) -> None:
    found = ask(layer, "veiled", dimensions=["orders.region"], measures=["orders.count"])
    assert found == [("hidden", 4)]


def test_a_policy_about_a_computed_member_is_refused(layer: SemanticLayer) -> None:
    with pytest.raises(UnsupportedError, match="computed from measures"):
        ask(layer, "computed", measures=["orders.count"])
