"""Plans count each row once, or refuse and say which join stands in the way."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from semantic.catalog.load import load_catalog_from_text
from semantic.errors import NoJoinPathError, UnsafeAggregationError, UnsupportedError
from semantic.plan.build import build
from semantic.plan.explain import explain_plan
from semantic.plan.nodes import Aggregate, Groups, Merge, Plan, Relation, Ungrouped
from semantic.query.bind import bind
from semantic.query.from_json import parse_json

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
SHOP = Path(__file__).parents[3] / "golden" / "queries" / "shop.yml"
MODEL: str = yaml.safe_load(SHOP.read_text(encoding="utf-8"))["model"]
KEYLESS = """
cubes:
  - name: heads
    sql_table: gold.heads
    joins: [{name: lines, relationship: one_to_many, sql: "{CUBE}.id = {lines}.head_id"}]
    dimensions: [{name: name, type: string, sql: name, primary_key: true}]
    measures:
      - {name: highest, type: max, sql: amount}
      - {name: middle, type: number_agg, sql: "quantile_cont({CUBE}.amount, 0.5)"}
  - name: lines
    sql_table: gold.lines
    dimensions: [{name: product, type: string, sql: product}]
"""


def plan_of(model: str, *, keyed: bool = True, **query: Any) -> Plan:
    catalog = load_catalog_from_text({"model.yml": model})
    if not keyed:  # the model check refuses such a model too: this is the second lock
        catalog = dataclasses.replace(
            catalog,
            cubes={
                name: dataclasses.replace(
                    cube,
                    dimensions={
                        key: dataclasses.replace(item, primary_key=False)
                        for key, item in cube.dimensions.items()
                    },
                )
                for name, cube in catalog.cubes.items()
            },
        )
    return build(catalog, bind(catalog, parse_json(query), now=NOW))


def relation_of(plan: Plan) -> Relation:
    assert not isinstance(plan.source, Ungrouped)
    return plan.source


def test_a_measure_that_no_join_repeats_is_one_aggregate() -> None:
    found = relation_of(plan_of(MODEL, measures=["orders.revenue"], dimensions=["buyers.name"]))
    assert isinstance(found, Aggregate)
    assert not found.distinct


def test_a_measure_that_a_join_repeats_is_counted_over_its_keys() -> None:
    plan = plan_of(
        MODEL, measures=["orders.revenue", "lines.quantity"], dimensions=["lines.product"]
    )
    merged = relation_of(plan)
    assert isinstance(merged, Merge)
    found = {part.rows.cube: part for part in merged.parts if isinstance(part, Aggregate)}
    assert [leaf.name for leaf in found["lines"].leaves] == ["quantity"]
    assert not found["lines"].distinct
    assert found["orders"].distinct
    assert [step.target for step in found["orders"].rows.multiplying] == ["lines"]


def test_groups_of_the_root_are_kept_where_the_measure_has_no_row() -> None:
    merged = relation_of(plan_of(MODEL, measures=["orders.revenue"], dimensions=["customers.name"]))
    assert isinstance(merged, Merge)
    values, groups = merged.parts
    assert isinstance(values, Aggregate)
    assert values.rows.cube == "orders"
    assert isinstance(groups, Groups)
    assert groups.rows.cube == "customers"


def test_a_neighbour_changes_nothing_about_a_measures_rows() -> None:
    alone = relation_of(plan_of(MODEL, measures=["orders.revenue"], dimensions=["orders.status"]))
    beside = relation_of(
        plan_of(MODEL, measures=["bare.count", "orders.revenue"], dimensions=["orders.status"])
    )
    assert isinstance(alone, Aggregate)
    assert isinstance(beside, Merge)
    rows = [part.rows for part in beside.parts if isinstance(part, Aggregate)]
    assert alone.rows.cube in {item.cube for item in rows}
    assert next(item for item in rows if item.cube == "orders").steps == alone.rows.steps == ()


def test_repetition_does_not_matter_to_the_largest_and_to_distinct_counts() -> None:
    found = relation_of(plan_of(MODEL, measures=["orders.statuses"], dimensions=["lines.product"]))
    assert isinstance(found, Aggregate)
    assert not found.distinct


def test_one_row_more_than_our_limit_is_fetched() -> None:
    assert plan_of(MODEL, measures=["orders.count"]).limit == 10_001
    assert plan_of(MODEL, measures=["orders.count"], limit=10).limit == 10


def test_the_tables_of_every_stage_are_named() -> None:
    plan = plan_of(MODEL, measures=["orders.buyer_credit"], dimensions=["lines.product"])
    assert set(plan.tables) == {"gold.orders", "gold.lines", "gold.customers"}


def test_without_a_key_a_repeated_measure_is_refused_with_the_join_and_the_remedy() -> None:
    with pytest.raises(UnsafeAggregationError) as refused:
        plan_of(KEYLESS, keyed=False, measures=["heads.middle"], dimensions=["lines.product"])
    assert "heads -> lines (one_to_many)" in refused.value.message
    assert "primary_key" in (refused.value.suggestion or "")
    assert plan_of(
        KEYLESS, keyed=False, measures=["heads.highest"], dimensions=["lines.product"]
    ).source


def test_a_reference_across_a_join_that_repeats_is_refused() -> None:
    model = MODEL.replace(
        "{name: credit, type: sum, sql: credit}",
        '{name: credit, type: sum, sql: "{orders.amount}"}',
    )
    with pytest.raises(UnsafeAggregationError, match=r"customers -> orders \(one_to_many\)"):
        plan_of(model, measures=["customers.credit"])


def test_members_without_a_join_between_them_are_refused() -> None:
    with pytest.raises(NoJoinPathError):
        plan_of(MODEL, measures=["lines.count"], dimensions=["visits.page"])


def test_a_measure_that_mixes_measures_and_aggregates_is_refused() -> None:
    model = MODEL.replace(
        '"1.0 * {paid_revenue} / NULLIF({revenue}, 0)"', '"{paid_revenue} / count(*)"'
    )
    with pytest.raises(UnsupportedError, match="mixes"):
        plan_of(model, measures=["orders.paid_share"])


def test_the_plan_can_be_read() -> None:
    text = explain_plan(
        plan_of(
            MODEL, measures=["customers.credit", "orders.paid_share"], dimensions=["orders.status"]
        )
    )
    assert "left join orders from customers (one_to_many), which may repeat rows" in text
    assert "distinct rows of customers in each group, because the join customers -> orders" in text
    assert "orders.paid_share from other measures of the group" in text
