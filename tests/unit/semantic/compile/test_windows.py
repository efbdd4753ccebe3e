"""Windows of days, which are read by a frame over rows: each day sees the days of its window."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, tzinfo=UTC)
ROWS = (
    ("2023-12-20", 1), ("2023-12-29", 5), ("2023-12-29", None), ("2023-12-31", 7),
    ("2024-01-01", None), ("2024-01-03", 2), ("2024-01-03", 4), ("2024-01-20", 9),
    ("2024-01-21", -3), (None, 1000),
)  # fmt: skip
KINDS = ("sum", "count", "min", "max", "avg")
WINDOWS = {
    "three": ("3 day", 3),
    "week": ("1 week", 7),
    "one": ("1 day", 1),
    "mix": ("1 week 2 day", 9),
}
MEASURES = "\n".join(
    f"      - {{name: {kind}_{name}, type: {kind}, sql: amount, rolling_window: {{trailing: {text}}}}}"
    for kind in KINDS
    for name, (text, _) in WINDOWS.items()
)
MODEL = f"""
cubes:
  - name: sales
    sql_table: gold.sales
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: at, type: time, sql: happened}}
    measures:
{MEASURES}
"""
LISTED = ", ".join(
    f"({number}, {'NULL' if day is None else repr(day + ' 13:30:00')}::TIMESTAMP, "
    f"{'NULL' if amount is None else amount})"
    for number, (day, amount) in enumerate(ROWS)
)
SEED = f"CREATE TABLE gold.sales AS SELECT * FROM (VALUES {LISTED}) t(id, happened, amount)"


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    opened = open_layer(tmp_path_factory.mktemp("windows"), MODEL, SEED)
    yield opened
    opened.close()


def look(kind: str, day: date, days: int) -> float | None:
    """Return what the window that ends with a day sees, by a loop over the rows."""
    seen = [
        amount
        for found, amount in ROWS
        if found is not None and day - timedelta(days=days) < date.fromisoformat(found) <= day
    ]
    values = [amount for amount in seen if amount is not None]
    match kind:
        case "count":
            return len(values) if seen else None
        case "sum":
            return sum(values) if values else None
        case "min":
            return min(values, default=None)
        case "max":
            return max(values, default=None)
        case _:
            return sum(values) / len(values) if values else None


@pytest.mark.parametrize(
    ("start", "end", "first", "count"),
    [
        ("2023-12-28", "2024-01-25", date(2023, 12, 28), 29),
        ("2024-01-03T15:00:00", "2024-01-05T01:00:00", date(2024, 1, 3), 3),
        ("2024-01-20", "2024-01-20", date(2024, 1, 20), 1),
        ("2030-01-01", "2030-01-02", date(2030, 1, 1), 2),
    ],
)
@pytest.mark.parametrize("name", WINDOWS)
def test_each_day_sees_its_window_whatever_the_range(
    layer: SemanticLayer, name: str, start: str, end: str, first: date, count: int
) -> None:
    """Rows before the range are seen, days without rows stay, and no other day is there."""
    query = {
        "measures": [f"sales.{kind}_{name}" for kind in KINDS],
        "timeDimensions": [
            {"dimension": "sales.at", "granularity": "day", "dateRange": [start, end]}
        ],
    }
    table = layer.load(parse_json(query), SecurityContext(), now=NOW).table
    found: list[dict[str, Any]] = table.to_pylist()
    days = [first + timedelta(days=number) for number in range(count)]
    assert [row["sales.at.day"].date() for row in found] == days
    for row, day in zip(found, days, strict=True):
        for kind in KINDS:
            value = row[f"sales.{kind}_{name}"]
            expected = look(kind, day, WINDOWS[name][1])
            assert (None if value is None else float(value)) == expected, (kind, day)


def test_a_range_that_ends_before_it_begins_has_no_days(layer: SemanticLayer) -> None:
    """As for every other measure."""
    query = {
        "measures": ["sales.sum_week"],
        "timeDimensions": [
            {
                "dimension": "sales.at",
                "granularity": "day",
                "dateRange": ["2024-01-10", "2024-01-01"],
            }
        ],
    }
    assert layer.load(parse_json(query), SecurityContext(), now=NOW).table.num_rows == 0
