"""What random queries once found to be wrong, made small. Expected rows are counted by hand."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from semantic.errors import UnsafeAggregationError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer
from tests.property.ask import NOW

Rows = list[tuple[Any, ...]]


def ask(folder: Path, model: str, seed: str, groups: tuple[str, ...] = (), **query: Any) -> Rows:
    """Return the rows, times as texts."""
    return ask_layer(open_layer(Path(mkdtemp(dir=folder)), model, seed), groups, query)


def ask_layer(layer: SemanticLayer, groups: tuple[str, ...], query: dict[str, Any]) -> Rows:
    """Return the rows, times as texts, and close the layer."""
    try:
        result = layer.load(parse_json(query), SecurityContext("ann", groups), now=NOW)
    finally:
        layer.close()
    rows = (row.values() for row in result.table.to_pylist())
    return [
        tuple(f"{item:%Y-%m-%d}" if hasattr(item, "year") else item for item in row) for row in rows
    ]


def test_periods_are_of_rows_that_hidden_rows_do_not_lead_to(tmp_path: Path) -> None:
    """Case 13291: the time was reached through a guarded cube, and began with what that hides."""
    model = """
    cubes:
      - name: visits
        sql_table: gold.visits
        joins: [{name: people, relationship: many_to_one, sql: "{CUBE}.person = {people}.id"}]
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true}
          - {name: born, type: time, sql: "{towns.founded}"}
        measures: [{name: so_far, type: count, rolling_window: {trailing: unbounded}}]
      - name: people
        sql_table: gold.people
        joins: [{name: towns, relationship: many_to_one, sql: "{CUBE}.town = {towns}.id"}]
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true}
          - {name: kind, type: string, sql: kind}
        access_policy:
          - {group: some, row_level: {filters: [{member: kind, operator: equals, values: [a]}]}}
      - name: towns
        sql_table: gold.towns
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true}
          - {name: founded, type: time, sql: founded}
    """
    seed = """
    CREATE TABLE gold.towns AS SELECT * FROM (VALUES (1, DATE '2020-01-01'), (2, DATE '2020-03-01')) t(id, founded);
    CREATE TABLE gold.people AS SELECT * FROM (VALUES (1, 'b', 1), (2, 'a', 2)) t(id, kind, town);
    CREATE TABLE gold.visits AS SELECT * FROM (VALUES (1, 1), (2, 2), (3, 2)) t(id, person);
    """
    times = [{"dimension": "visits.born", "granularity": "month"}]
    found = ask(
        tmp_path, model, seed, ("some",),
        measures=["visits.so_far"], dimensions=["people.kind"], timeDimensions=times,
    )  # fmt: skip
    assert found == [("a", "2020-03-01", 2)]


SWITCHED = """
    cubes:
      - name: sales
        sql_table: gold.sales
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true}
          - {name: currency, type: switch, values: [USD, EUR]}
        measures:
          - {name: buyers, type: count_distinct, sql: buyer, filters: [{sql: "{CUBE.currency} = 'USD'"}]}
          - name: amount
            type: sum
            sql: "CASE {currency} WHEN 'USD' THEN {CUBE}.usd ELSE {CUBE}.eur END"
          - name: so_far
            type: sum
            sql: "CASE {currency} WHEN 'USD' THEN {CUBE}.usd ELSE {CUBE}.eur END"
            rolling_window: {trailing: unbounded}
    """
SALES = """
    CREATE TABLE gold.sales AS SELECT * FROM (VALUES (1, 7, 10, 8), (2, 8, 20, 16)) t(id, buyer, usd, eur);
    """


@pytest.mark.parametrize("measure", ["buyers", "amount", "so_far"])
def test_a_measure_has_no_value_where_a_switch_that_it_reads_has_several(
    tmp_path: Path, measure: str
) -> None:
    """Cases 45 and 50 of a run with switches: a row was counted by all values, or by the last."""
    query = {"measures": [f"sales.{measure}"]}
    with pytest.raises(UnsafeAggregationError, match=r"sales\.currency"):
        ask(tmp_path, SWITCHED, SALES, (), **query)
    one = [{"member": "sales.currency", "operator": "equals", "values": ["EUR"]}]
    found = ask(tmp_path, SWITCHED, SALES, (), **query, filters=one)
    assert found == [(0 if measure == "buyers" else 24,)]
    found = ask(tmp_path, SWITCHED, SALES, (), **query, dimensions=["sales.currency"])
    expected = {"USD": 2 if measure == "buyers" else 30, "EUR": 0 if measure == "buyers" else 24}
    assert dict(found) == expected


def test_a_switch_of_one_value_repeats_no_rows(tmp_path: Path) -> None:
    """Case 700808: a measure without a key was refused, because of a join without a name."""
    model = """
    cubes:
      - name: people
        sql_table: gold.people
        joins: [{name: visits, relationship: one_to_many, sql: "{CUBE}.id = {visits}.person"}]
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true}
          - {name: currency, type: switch, values: CURRENCIES}
          - {name: label, type: string, sql: "CASE {currency} WHEN 'USD' THEN {CUBE}.name END"}
      - name: visits
        sql_table: gold.visits
        measures: [{name: some, type: boolean, sql: "bool_or({CUBE}.paid)"}]
    """
    seed = """
    CREATE TABLE gold.people AS SELECT * FROM (VALUES (1, 'Ann'), (2, 'Bob')) t(id, name);
    CREATE TABLE gold.visits AS SELECT * FROM (VALUES (1, TRUE), (1, FALSE), (2, FALSE)) t(person, paid);
    """
    query = {"measures": ["visits.some"], "dimensions": ["people.label"]}
    found = ask(tmp_path, model.replace("CURRENCIES", "[USD]"), seed, (), **query)
    assert sorted(found) == [("Ann", True), ("Bob", False)]
    with pytest.raises(UnsafeAggregationError, match=r"the values of people\.currency repeat them"):
        ask(tmp_path, model.replace("CURRENCIES", "[USD, EUR]"), seed, (), **query)


@pytest.mark.parametrize(("kind", "expected"), [("number", [0, None]), ("count", [1, None])])
def test_what_is_computed_in_stages_is_null_in_groups_that_the_inner_stage_lacks(
    tmp_path: Path, kind: str, expected: list[int | None]
) -> None:
    """Case 711010: where the stage's filter left no group, a fill underneath made a value of nothing."""
    model = f"""
    cubes:
      - name: sales
        sql_table: gold.sales
        dimensions:
          - {{name: id, type: number, sql: id, primary_key: true}}
          - {{name: shop, type: string, sql: shop}}
          - {{name: paid, type: boolean, sql: paid}}
        measures:
          - {{name: amount, type: sum, sql: amount}}
          - {{name: known, type: number, sql: "coalesce({{amount}}, 0)"}}
          - name: of_paid
            type: {kind}
            sql: "{{known}}"
            multi_stage: true
            reduce_by: [sales.paid]
            filter: {{include: [{{member: sales.paid, operator: equals, values: ["true"]}}]}}
    """
    seed = """
    CREATE TABLE gold.sales AS SELECT * FROM (VALUES
        (1, 'a', TRUE, NULL), (2, 'b', FALSE, 5)) t(id, shop, paid, amount);
    """
    query = {"measures": ["sales.of_paid"], "dimensions": ["sales.shop", "sales.paid"]}
    found = ask(tmp_path, model, seed, (), **query)
    assert sorted(found) == [("a", True, expected[0]), ("b", False, expected[1])]


MASKED = """
    cubes:
      - name: sales
        sql_table: gold.sales
        joins: [{name: people, relationship: many_to_one, sql: "{CUBE}.person = {people.id}"}]
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true, public: true}
        measures: [{name: count, type: count}]
      - name: people
        sql_table: gold.people
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true, public: true, mask: MASK}
          - {name: city, type: string, sql: city}
        measures:
          - {name: wealth, type: sum, sql: wealth, mask: -1}
        access_policy:
          - {group: some, member_level: {includes: [city]}, member_masking: {includes: [id, wealth]}}
    """
PEOPLE = """
    CREATE TABLE gold.people AS SELECT * FROM (VALUES (1, 'Oslo', 10), (2, 'Rome', 20)) t(id, city, wealth);
    CREATE TABLE gold.sales AS SELECT * FROM (VALUES (1, 1), (2, 2), (3, 2), (4, 9)) t(id, person);
    """


def test_rows_are_joined_by_what_is_there_and_not_by_the_mask_of_it(tmp_path: Path) -> None:
    """Asking for a masked key beside others changed all the groups."""
    model = MASKED.replace("MASK", "-1")
    query = {"measures": ["sales.count"], "dimensions": ["people.city", "people.id"]}
    found = ask(tmp_path, model, PEOPLE, ("some",), **query)
    assert set(found) == {("Oslo", -1, 1), ("Rome", -1, 2), (None, -1, 1)}


@pytest.mark.parametrize("mask", ["null", "-1"])
def test_a_masked_key_still_tells_where_a_join_found_a_row(tmp_path: Path, mask: str) -> None:
    """Ungrouped, a measure of a joined cube was null everywhere, or stood where there is no row."""
    query = {"measures": ["people.rich"], "dimensions": ["sales.id", "people.id"]}
    model = MASKED.replace("MASK", mask).replace("[city]", "[city, rich]")
    model = model.replace("measures:\n          - {name: w", "measures:\n          - {name: rich, type: count}\n          - {name: w")  # fmt: skip
    found = ask(tmp_path, model, PEOPLE, ("some",), **query, ungrouped=True)
    shown = None if mask == "null" else -1
    assert set(found) == {(1, shown, 1), (2, shown, 1), (3, shown, 1), (4, shown, None)}


@pytest.mark.parametrize(("operator", "rows"), [("gt", 0), ("lt", 1)])
def test_a_masked_measure_cannot_be_found_out_by_comparing(
    tmp_path: Path, operator: str, rows: int
) -> None:
    """A filter compared the number behind the mask, so that few questions told it."""
    query = {
        "measures": ["people.wealth"],
        "filters": [{"member": "people.wealth", "operator": operator, "values": ["0"]}],
    }
    found = ask(tmp_path, MASKED.replace("MASK", "-1"), PEOPLE, ("some",), **query)
    assert found == [(-1,)] * rows


def test_a_masked_measure_cannot_be_found_out_by_ordering(tmp_path: Path) -> None:
    query = {
        "dimensions": ["people.city"],
        "filters": [{"member": "people.wealth", "operator": "set"}],
        "order": [["people.wealth", "desc"], ["people.city", "asc"]],
    }
    found = ask(tmp_path, MASKED.replace("MASK", "-1"), PEOPLE, ("some",), **query)
    assert found == [("Oslo",), ("Rome",)]


@pytest.mark.parametrize("eager", [False, True])
def test_the_periods_of_a_calendar_stand_beside_its_days(tmp_path: Path, *, eager: bool) -> None:
    """Case 750371: on large tables the period was read where only the day was left."""
    model = """
    cubes:
      - name: sales
        sql_table: gold.sales
        joins: [{name: days, relationship: many_to_one, sql: "{CUBE}.day = {days.day}"}]
        dimensions: [{name: id, type: number, sql: id, primary_key: true}]
        measures: [{name: count, type: count}]
      - name: days
        sql_table: gold.days
        calendar: true
        dimensions:
          - name: day
            type: time
            sql: "{CUBE}.day"
            primary_key: true
            public: true
            granularities: [{name: fiscal, sql: "{CUBE}.fiscal"}]
    """
    seed = """
    CREATE TABLE gold.days AS SELECT * FROM (VALUES
        (DATE '2024-01-01', DATE '2023-12-27'), (DATE '2024-01-02', DATE '2023-12-27')) t(day, fiscal);
    CREATE TABLE gold.sales AS SELECT * FROM (VALUES
        (1, DATE '2024-01-01'), (2, DATE '2024-01-01'), (3, DATE '2024-01-02')) t(id, day);
    """
    times = [{"dimension": "days.day", "granularity": "fiscal"}]
    query = {"measures": ["sales.count"], "dimensions": ["days.day"], "timeDimensions": times}
    found = ask_layer(open_layer(tmp_path, model, seed, eager=eager), (), query)
    assert set(found) == {("2024-01-01", "2023-12-27", 2), ("2024-01-02", "2023-12-27", 1)}


def test_a_query_without_dimensions_has_a_row_over_no_inner_groups(tmp_path: Path) -> None:
    """Case 1019383: where a table is empty, there was no row."""
    model = """
    cubes:
      - name: sales
        sql_table: gold.sales
        dimensions:
          - {name: id, type: number, sql: id, primary_key: true}
          - {name: kind, type: string, sql: kind}
        measures:
          - {name: count, type: count}
          - {name: amount, type: sum, sql: amount}
          - name: chosen
            type: number
            multi_stage: true
            case:
              switch: "{CUBE.kind}"
              when: [{value: a, sql: "{count}"}]
              else: {sql: "coalesce({amount}, 0)"}
    """
    seed = "CREATE TABLE gold.sales AS SELECT 1 AS id, 'a' AS kind, 2 AS amount WHERE FALSE;"
    assert ask(tmp_path, model, seed, (), measures=["sales.chosen"]) == [(None,)]
    one = seed.replace("WHERE FALSE", "")
    assert ask(tmp_path, model, one, (), measures=["sales.chosen"]) == [(1,)]
