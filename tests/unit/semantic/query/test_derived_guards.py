"""What policies, masks and the model keep of measures that a query makes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from semantic.errors import DucatError, QuerySyntaxError, UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    joins:
      - {name: days, relationship: many_to_one, sql: "{CUBE}.sold_at = {days.day}"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: region, type: string, sql: region}
      - {name: sold_at, type: time, sql: sold_at}
      - {name: month, type: time, sql: "{sold_at.month}"}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount, mask: -1}
      - {name: mean, type: number, sql: "{total} / NULLIF({count}, 0)"}
    access_policy:
      - group: all
        row_level: {allow_all: true}
      - group: north
        row_level: {filters: [{member: region, operator: equals, values: [north]}]}
      - group: blind
        member_level: {excludes: [total]}
        member_masking: {includes: [total]}
        row_level: {allow_all: true}
      - group: recent
        row_level: {filters: [{member: month, operator: equals, values: ["2024-03-01"]}]}
  - name: days
    sql_table: gold.days
    calendar: true
    dimensions:
      - {name: day, type: time, sql: day, primary_key: true, public: true}
      - {name: week, type: number, sql: week}
    access_policy:
      - group: [all, north, blind, recent]
        row_level: {allow_all: true}
      - group: weekly
        row_level: {filters: [{member: week, operator: equals, values: [10]}]}
  - name: marked
    sql: >
      SELECT * FROM gold.sales AS s
      WHERE {FILTER_PARAMS.marked.sold_at.filter(lambda start, end: f"s.sold_at >= {start} AND s.sold_at <= {end}")}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: sold_at, type: time, sql: sold_at}
    measures:
      - {name: count, type: count}
views:
  - name: shop
    cubes: [{join_path: sales, includes: [region, sold_at, total]}]
    access_policy:
      - group: [all, blind]
        row_level: {allow_all: true}
      - group: north
        row_level: {filters: [{member: region, operator: equals, values: [north]}]}
"""
SEED = """
CREATE TABLE gold.sales AS SELECT * FROM (VALUES
  (1, 'north', 10, DATE '2024-03-01'), (2, 'south', 20, DATE '2024-03-02'),
  (3, 'north', 4, DATE '2024-02-01'), (4, 'south', 8, DATE '2024-02-29')) t(id, region, amount, sold_at);
CREATE TABLE gold.days AS SELECT d AS day, week(d) AS week
FROM range(DATE '2024-01-01', DATE '2025-01-01', INTERVAL 1 DAY) t(d);
"""
MARCH = ["2024-03-01", "2024-03-31"]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    opened = open_layer(tmp_path_factory.mktemp("guards"), MODEL, SEED)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, group: str, **query: Any) -> list[tuple[Any, ...]]:
    result = layer.load(parse_json(query), SecurityContext("ann", (group,)), now=NOW)
    return [tuple(row.values()) for row in result.table.to_pylist()]


def compare(layer: SemanticLayer, group: str, measure: str, **more: Any) -> list[tuple[Any, ...]]:
    owner = measure.partition(".")[0]
    times = [{"dimension": f"{owner}.sold_at", "dateRange": MARCH}]
    return ask(
        layer,
        group,
        **{"measures": [measure], "timeDimensions": times, "compare": {"to": "1 month"}} | more,
    )


@pytest.mark.parametrize("measure", ["sales.total", "shop.total"])
def test_the_earlier_rows_are_filtered_as_the_rows_are(layer: SemanticLayer, measure: str) -> None:
    assert compare(layer, "all", measure) == [(30, 12, 18, 150.0)]
    assert compare(layer, "north", measure) == [(10, 4, 6, 150.0)]


@pytest.mark.parametrize("measure", ["sales.total", "shop.total"])
def test_everything_made_of_a_masked_measure_shows_its_mask(
    layer: SemanticLayer, measure: str
) -> None:
    assert compare(layer, "blind", measure) == [(-1, -1, -1, -1)]


def test_a_measure_that_reads_a_masked_one_is_compared_as_it_is_shown(
    layer: SemanticLayer,
) -> None:
    [(shown,)] = ask(layer, "blind", measures=["sales.mean"],
                     timeDimensions=[{"dimension": "sales.sold_at", "dateRange": MARCH}])  # fmt: skip
    [(value, previous, change, _)] = compare(layer, "blind", "sales.mean")
    [(earlier,)] = ask(layer, "blind", measures=["sales.mean"],
                       timeDimensions=[{"dimension": "sales.sold_at", "dateRange": ["2024-02-01", "2024-02-29"]}])  # fmt: skip
    assert (value, previous, change) == (shown, earlier, shown - earlier)


def test_a_policy_about_the_moved_time_is_about_the_time_that_rows_really_have(
    layer: SemanticLayer,
) -> None:
    """The two rows of February are hidden: nothing of them is in what March is compared with."""
    assert compare(layer, "recent", "sales.count") == [(2, 0, 2, None)]


def test_a_policy_about_a_calendar_refuses_to_move_it(layer: SemanticLayer) -> None:
    times = [{"dimension": "days.day", "dateRange": MARCH}]
    query = {"measures": ["sales.count"], "timeDimensions": times, "compare": {"to": "1 month"}}
    with pytest.raises(DucatError) as refused:
        ask(layer, "weekly", **query)
    assert refused.value.code in {"unsupported", "unknown_member"}
    assert ask(layer, "all", **query) == [(2, 2, 0, 0.0)]


def test_values_of_a_lambda_cannot_be_moved(layer: SemanticLayer) -> None:
    with pytest.raises(UnsupportedError, match="cannot move what they are compared with"):
        compare(layer, "all", "marked.count")


def test_a_time_that_nothing_limits_or_cuts_is_not_moved(layer: SemanticLayer) -> None:
    times = [{"dimension": "sales.sold_at"}]
    with pytest.raises(QuerySyntaxError, match="nothing changes"):
        compare(layer, "all", "sales.count", timeDimensions=times)
    dated = {"member": "sales.sold_at", "operator": "inDateRange", "values": MARCH}
    found = compare(layer, "all", "sales.count", timeDimensions=times, filters=[dated])
    assert found == [(2, 2, 0, 0.0)]


def test_an_interval_longer_than_history_is_refused(layer: SemanticLayer) -> None:
    with pytest.raises(QuerySyntaxError, match="thousand years"):
        compare(layer, "all", "sales.count", compare={"to": "9999999 month"})
