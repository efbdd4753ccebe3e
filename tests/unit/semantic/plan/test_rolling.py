"""Rolling windows: periods, what each sees, and whose rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: tenant, type: string, sql: tenant}
      - {name: sold_at, type: time, sql: sold_at}
    measures:
      - {name: last_quarter, type: sum, sql: amount, rolling_window: {trailing: 1 quarter}}
      - {name: week_average, type: avg, sql: amount, rolling_window: {trailing: 1 week}}
    access_policy:
      - group: "*"
        member_level: {includes: "*"}
        row_level:
          filters: [{member: "{CUBE}.tenant", operator: equals, values: [a]}]
"""
SEED = """
CREATE TABLE gold.sales (id BIGINT, tenant VARCHAR, sold_at TIMESTAMP, amount DECIMAL(10, 2));
INSERT INTO gold.sales VALUES
  (1, 'b', '2020-01-05', 1000), (2, 'a', '2024-01-31', 1), (3, 'a', '2024-03-31 23:59:59', 2),
  (4, 'a', '2024-04-01', 4), (5, 'a', '2024-06-30', 8), (6, 'b', '2030-01-01', 1000);
"""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    folder: Path = tmp_path_factory.mktemp("sales")
    opened = open_layer(folder, MODEL.replace("{CUBE}.tenant", "sales.tenant"), SEED)
    yield opened
    opened.close()


def ask(
    layer: SemanticLayer, measure: str, granularity: str, *range_: str
) -> list[tuple[Any, ...]]:
    time = {"dimension": "sales.sold_at", "granularity": granularity}
    document = {
        "measures": [measure],
        "timeDimensions": [time | ({"dateRange": list(range_)} if range_ else {})],
    }
    result = layer.load(parse_json(document), SecurityContext(), now=NOW)
    return [
        (row[0].date().isoformat(), row[1])
        for row in (tuple(item.values()) for item in result.table.to_pylist())
    ]


def test_the_series_shows_nothing_of_rows_that_a_policy_hides(layer: SemanticLayer) -> None:
    found = ask(layer, "sales.last_quarter", "quarter")
    assert [(day, int(value)) for day, value in found] == [("2024-01-01", 3), ("2024-04-01", 12)]


def test_a_quarter_at_the_end_of_june_begins_on_the_first_of_april(layer: SemanticLayer) -> None:
    found = ask(layer, "sales.last_quarter", "month", "2024-06-01", "2024-06-30")
    assert [(day, int(value)) for day, value in found] == [("2024-06-01", 12)]


def test_an_average_of_a_window_is_of_its_rows_not_of_its_days(layer: SemanticLayer) -> None:
    found = ask(layer, "sales.week_average", "day", "2024-04-01", "2024-04-02")
    assert [(day, float(value)) for day, value in found] == [("2024-04-01", 3), ("2024-04-02", 3)]
