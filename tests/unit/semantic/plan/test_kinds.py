"""Semi-additive, filled and conversion measures: whose rows they see, what they refuse, how they are told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from semantic.errors import DucatError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: visits
    sql_table: gold.visits
    joins:
      - {name: buys, relationship: one_to_many, sql: "{CUBE}.id = {buys}.visit_id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: user_id, type: number, sql: user_id}
      - {name: at, type: time, sql: happened}
      - {name: region, type: string, sql: region}
    measures:
      - {name: count, type: count}
      - {name: last, type: count, non_additive_dimension: {name: at, window_choice: max, window_groupings: [region]}}
      - {name: daily, type: count, join_to_timespine: true}
      - name: conversions
        type: conversion
        conversion:
          base_measure: count
          conversion_measure: sales.count
          entity: {base: user_id, conversion: sales.user_id}
          time: {base: at, conversion: sales.at}
          calculation: conversions
      - name: bought
        type: conversion
        conversion:
          base_measure: count
          conversion_measure: buys.count
          entity: {base: user_id, conversion: buys.user_id}
          time: {base: at, conversion: buys.at}
          calculation: conversions
    access_policy:
      - {group: "*", member_level: {includes: "*"}, row_level: {allow_all: true}}
      - group: north
        member_level: {includes: "*"}
  - name: sales
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: user_id, type: number, sql: user_id}
      - {name: at, type: time, sql: happened}
      - {name: region, type: string, sql: region}
    measures:
      - {name: count, type: count}
    access_policy:
      - group: all
      - group: north
        row_level: {filters: [{member: region, operator: equals, values: [north]}]}
      - group: hidden
        member_level: {excludes: [user_id]}
        member_masking: {includes: [user_id]}
  - name: buys
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: user_id, type: number, sql: user_id}
      - {name: at, type: time, sql: happened}
      - {name: region, type: string, sql: region}
    measures:
      - {name: count, type: count}
    access_policy:
      - {group: all}
      - group: north
        row_level: {filters: [{member: region, operator: equals, values: [north]}]}
      - group: tenant
        row_level: {filters: [{member: region, operator: equals, values: ["{ security_context.tenant }"]}]}
  - name: shifts
    sql_table: gold.visits
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: at, type: time, sql: happened}
      - {name: until, type: time, sql: happened}
    measures:
      - {name: daily, type: count, join_to_timespine: true}
      - {name: total, type: sum, sql: id, non_additive_dimension: {name: at, window_choice: max}}
      - {name: percent, type: number, sql: "{total} * 100"}
  - name: logs
    sql_table: gold.sales
    joins:
      - {name: shifts, relationship: many_to_one, sql: "{CUBE}.visit_id = {shifts}.id"}
    dimensions:
      - {name: region, type: string, sql: region}
    measures: []
  - name: stays
    sql_table: gold.visits
    joins:
      - {name: nights, relationship: one_to_many, sql: "{CUBE}.id = {nights}.visit_id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: at, type: time, sql: happened}
      - {name: bed, type: number, sql: "{nights.bed}"}
    measures:
      - {name: count, type: count}
      - {name: beds, type: count, non_additive_dimension: {name: at, window_choice: max, window_groupings: [bed]}}
      - name: sold
        type: conversion
        conversion:
          base_measure: count
          conversion_measure: sales.count
          entity: {base: bed, conversion: sales.user_id}
          time: {base: at, conversion: sales.at}
      - name: slept
        type: conversion
        conversion:
          base_measure: sales.count
          conversion_measure: count
          entity: {base: sales.user_id, conversion: bed}
          time: {base: sales.at, conversion: at}
  - name: stores
    sql_table: gold.visits
    joins:
      - {name: nights, relationship: one_to_many, sql: "{CUBE}.id = {nights}.visit_id AND {nights}.id < 3"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: sold, type: number, sql: "{nights.count}", sub_query: true}
    measures:
      - {name: count, type: count}
    access_policy:
      - group: keyless
        member_level: {excludes: [id]}
        member_masking: {includes: [id]}
  - name: nights
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: bed, type: number, sql: user_id}
    measures:
      - {name: count, type: count}
views:
  - name: web
    cubes:
      - {join_path: visits, includes: [conversions, count, region, at, last]}
    access_policy:
      - group: web
        member_level: {includes: "*"}
        row_level: {filters: [{member: region, operator: equals, values: [north]}]}
      - {group: all, member_level: {includes: "*"}}
"""
SEED = """
CREATE TABLE gold.visits (id BIGINT, user_id BIGINT, happened TIMESTAMP, region VARCHAR);
INSERT INTO gold.visits VALUES
  (1, 1, '2024-01-01', 'north'), (2, 1, '2024-01-03', 'south'), (3, 2, '2024-01-02', 'north'),
  (4, 3, '2024-01-05', 'south');
CREATE TABLE gold.sales (id BIGINT, visit_id BIGINT, user_id BIGINT, happened TIMESTAMP, region VARCHAR);
INSERT INTO gold.sales VALUES
  (1, 1, 1, '2024-01-02', 'north'), (2, 2, 1, '2024-01-04', 'south'), (3, 3, 2, '2024-01-02', 'south'),
  (4, NULL, 3, '2024-01-06', 'north'), (5, 4, 3, '2024-01-06', 'south');
"""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    folder: Path = tmp_path_factory.mktemp("kinds")
    opened = open_layer(folder, MODEL, SEED)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, group: str, **document: Any) -> list[tuple[Any, ...]]:
    context = SecurityContext(groups=(group,))
    result = layer.load(parse_json(document), context, now=NOW)
    return sorted((tuple(row.values()) for row in result.table.to_pylist()), key=repr)


def refuse(layer: SemanticLayer, group: str = "all", **document: Any) -> DucatError:
    with pytest.raises(DucatError) as caught:
        ask(layer, group, **document)
    return caught.value


def test_everybody_who_may_see_all_rows_sees_all_conversions(layer: SemanticLayer) -> None:
    found = ask(layer, "all", measures=["visits.conversions"], dimensions=["visits.id"])
    assert found == [(1, 1), (2, 1), (3, 1), (4, 2)]


def test_the_row_filter_of_conversions_hides_them_and_no_base_event(layer: SemanticLayer) -> None:
    found = ask(
        layer, "north", measures=["visits.conversions", "visits.count"], dimensions=["visits.id"]
    )
    assert found == [(1, 1, 1), (2, 0, 1), (3, 0, 1), (4, 1, 1)]


def test_it_hides_no_base_event_that_joins_lead_to_them_from(layer: SemanticLayer) -> None:
    found = ask(
        layer, "north", measures=["visits.bought", "visits.count"], dimensions=["visits.id"]
    )
    assert found == [(1, 1, 1), (2, 0, 1), (3, 0, 1), (4, 1, 1)]


def test_the_row_filter_of_a_view_holds_for_base_events(layer: SemanticLayer) -> None:
    found = ask(layer, "web", measures=["web.count", "web.last"])
    assert found == [(2, 1)]


def test_the_same_question_of_two_tenants_has_two_answers(layer: SemanticLayer) -> None:
    query = parse_json({"measures": ["visits.bought"]})
    found = [
        layer.load(query, SecurityContext(groups=("tenant",), claims={"tenant": name}), now=NOW)
        for name in ("north", "south", "north", "none")
    ]
    assert [item.table.to_pylist()[0]["visits.bought"] for item in found] == [2, 3, 2, 0]


def test_periods_are_those_of_each_question_of_one_shape(layer: SemanticLayer) -> None:
    found = []
    for last in ("2024-01-02", "2024-01-04", "2024-01-06"):
        time = {"dimension": "shifts.at", "granularity": "day", "dateRange": ["2024-01-01", last]}
        found.append(ask(layer, "all", measures=["shifts.daily"], timeDimensions=[time]))
    assert [[row[1] for row in rows] for rows in found] == [
        [1, 1],
        [1, 1, 1, 0],
        [1, 1, 1, 0, 1, 0],
    ]


def test_without_a_policy_on_the_conversions_there_is_no_such_measure(layer: SemanticLayer) -> None:
    assert refuse(layer, "web", measures=["visits.conversions"]).code == "unknown_member"


def test_what_conversions_are_found_by_is_not_computed_from_masks(layer: SemanticLayer) -> None:
    refused = refuse(layer, "hidden", measures=["visits.conversions"])
    assert refused.code == "unsupported"
    assert "sales.user_id" in str(refused)


def test_no_sub_query_is_joined_by_masks(layer: SemanticLayer) -> None:
    refused = refuse(
        layer, "keyless", measures=["stores.count"], dimensions=["stores.id", "stores.sold"]
    )
    assert refused.code == "unsupported"
    found = ask(layer, "keyless", measures=["stores.count"], dimensions=["stores.sold"])
    assert found == [(0, 2), (1, 2)]


def test_a_filter_that_only_conversions_could_meet_is_refused(layer: SemanticLayer) -> None:
    condition = {"member": "sales.region", "operator": "equals", "values": ["north"]}
    refused = refuse(layer, measures=["visits.conversions"], filters=[condition])
    assert refused.code == "no_join_path"


def test_beside_the_conversion_measure_its_filter_is_about_that_alone(layer: SemanticLayer) -> None:
    condition = {"member": "sales.region", "operator": "equals", "values": ["north"]}
    found = ask(layer, "all", measures=["visits.conversions", "sales.count"], filters=[condition])
    assert found == [(5, 2)]


@pytest.mark.parametrize("measure", ["visits.last", "visits.conversions", "shifts.percent"])
def test_single_rows_have_no_such_value(layer: SemanticLayer, measure: str) -> None:
    refused = refuse(layer, measures=[measure], ungrouped=True)
    assert refused.code == "unsupported"


def test_periods_of_two_times_are_not_chosen_between(layer: SemanticLayer) -> None:
    times = [{"dimension": f"shifts.{name}", "granularity": "day"} for name in ("at", "until")]
    refused = refuse(layer, measures=["shifts.daily"], timeDimensions=times)
    assert refused.code == "unsupported"


@pytest.mark.parametrize("measure", ["stays.beds", "stays.sold", "stays.slept"])
def test_what_joins_repeat_tells_no_rows_apart(layer: SemanticLayer, measure: str) -> None:
    assert refuse(layer, measures=[measure]).code == "unsafe_aggregation"


def test_the_same_periods_are_shown_whatever_stands_beside(layer: SemanticLayer) -> None:
    time = {"dimension": "visits.at", "granularity": "day"}
    alone = ask(layer, "all", measures=["visits.daily"], timeDimensions=[time])
    beside = ask(layer, "all", measures=["visits.daily", "visits.last"], timeDimensions=[time])
    assert [row[1] for row in alone] == [1, 1, 1, 0, 1]
    assert [row[:2] for row in beside] == alone


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"measures": ["visits.last"], "timeDimensions": [{"dimension": "visits.at", "granularity": "month"}]},
         ["aggregate the rows at the last visits.at of each visits.at.month, visits.region: visits.last"]),
        ({"measures": ["visits.daily"], "timeDimensions": [{"dimension": "visits.at", "granularity": "day"}]},
         ["every period of visits.at.day in which there is no group of"]),
        ({"measures": ["visits.conversions"], "dimensions": ["visits.region"]},
         ["conversions after events: visits.conversions by visits.region", "rows of sales", "rows of visits"]),
    ],
)  # fmt: skip
def test_the_plan_says_how_they_are_made(
    layer: SemanticLayer, document: dict[str, Any], expected: list[str]
) -> None:
    explained = layer.explain(parse_json(document), SecurityContext(groups=("all",)), now=NOW)
    for line in expected:
        assert line in explained["plan"]


def test_tables_of_conversions_are_among_those_that_are_read(layer: SemanticLayer) -> None:
    query = parse_json({"measures": ["visits.conversions"]})
    compiled = layer.compile(query, SecurityContext(groups=("all",)), now=NOW)
    assert set(compiled.tables) == {"gold.visits", "gold.sales"}
