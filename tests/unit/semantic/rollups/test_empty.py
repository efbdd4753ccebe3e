"""A total of no rows at all: what SQL of its own says then is in no group of a rollup."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from tests.golden.queries.layer import open_layer
from tests.unit.semantic.rollups.build import build_rollups

NOW = datetime(2024, 7, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    dimensions: [{name: city, type: string, sql: city}]
    measures:
      - {name: mixed, type: number_agg, sql: "count(amount) + count(*)"}
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    segments:
      - {name: none, sql: "{CUBE}.amount > 100"}
      - {name: some, sql: "{CUBE}.amount > 1"}
    pre_aggregations:
      - {name: whole, measures: [mixed]}
      - {name: by_none, measures: [mixed, count, total], segments: [none]}
      - {name: by_some, measures: [mixed, count], segments: [some]}
      - {name: by_city, measures: [mixed, count, total], dimensions: [city]}
"""
SEED = """
CREATE TABLE gold.sales AS SELECT * FROM
(VALUES ('Rome', 1), ('Rome', NULL), ('Oslo', 3)) t(city, amount);
"""
ROME = [{"member": "sales.city", "operator": "equals", "values": ["Rome"]}]
NOWHERE = [{"member": "sales.city", "operator": "equals", "values": ["Bonn"]}]


@pytest.mark.parametrize(
    ("query", "expected", "rollup"),
    [
        ({"measures": ["sales.mixed"]}, [(5,)], "sales.whole"),
        ({"measures": ["sales.mixed"], "segments": ["sales.none"]}, [(0,)], None),
        ({"measures": ["sales.mixed"], "segments": ["sales.some"]}, [(2,)], None),
        ({"measures": ["sales.mixed"], "filters": ROME}, [(3,)], None),
        ({"measures": ["sales.mixed"], "filters": NOWHERE}, [(0,)], None),
        (
            {"measures": ["sales.count", "sales.total"], "segments": ["sales.none"]},
            [(0, None)],
            "sales.by_none",
        ),
        (
            {"measures": ["sales.count", "sales.total"], "filters": NOWHERE},
            [(0, None)],
            "sales.by_city",
        ),
        (
            {"measures": ["sales.mixed"], "dimensions": ["sales.city"], "filters": ROME},
            [("Rome", 3)],
            "sales.by_city",
        ),
        (
            {"measures": ["sales.mixed"], "dimensions": ["sales.city"], "filters": NOWHERE},
            [],
            "sales.by_city",
        ),
    ],
)
def test_a_total_of_nothing_is_what_the_rows_say(
    tmp_path: Path, query: dict[str, Any], expected: list[tuple[Any, ...]], rollup: str | None
) -> None:
    layer = open_layer(tmp_path, MODEL, SEED)
    try:
        build_rollups(layer, tmp_path / "serving")
        found = layer.load(parse_json(query), SecurityContext(), now=NOW)
    finally:
        layer.close()
    assert [tuple(row.values()) for row in found.table.to_pylist()] == expected
    assert found.rollups == (() if rollup is None else (rollup,))
