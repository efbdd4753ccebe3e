"""Aggregates in two steps: the same answers, from fewer joins and fewer times cut to periods."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer, publish, read_rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = datetime(2023, 1, 1)  # noqa: DTZ001 -- as Arrow has local times
MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    joins:
      - {name: customers, relationship: many_to_one, sql: "{CUBE}.customer_id = {customers.id}"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: status, type: string, sql: status}
      - {name: day, type: time, sql: day}
      - {name: paid_at, type: time, sql: paid_at}
    measures:
      - {name: count, type: count}
      - {name: paid, type: count, filters: [{sql: "{CUBE}.status = 'paid'"}]}
      - {name: total, type: sum, sql: amount}
      - {name: least, type: min, sql: amount}
      - {name: average, type: avg, sql: amount}
      - {name: buyers, type: count_distinct, sql: customer_id}
      - {name: year_before, type: number, multi_stage: true, sql: "{total}",
         time_shift: [{interval: 1 year, type: prior}]}
      - {name: week, type: sum, sql: amount, rolling_window: {trailing: 7 day}}
      - {name: quarter, type: sum, sql: amount, rolling_window: {trailing: 3 month}}
  - name: customers
    sql_table: gold.customers
    joins:
      - {name: towns, relationship: many_to_one, sql: "{CUBE}.town = {towns}.name"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
      - {name: orders_count, type: number, sub_query: true, sql: "{orders.count}"}
    measures: [{name: count, type: count}]
  - name: towns
    sql_table: gold.towns
    dimensions:
      - {name: name, type: string, sql: name, primary_key: true}
      - {name: country, type: string, sql: "upper({CUBE}.country)"}
"""
SEED = """
CREATE TABLE gold.towns AS SELECT * FROM (VALUES ('Rome', 'it'), ('Oslo', 'no'), ('Bari', 'it')) t(name, country);
CREATE TABLE gold.customers AS SELECT * FROM
  (VALUES (1, 'Ann', 'Rome'), (2, 'Ann', 'Oslo'), (3, 'Bob', 'Bari'), (4, NULL, NULL), (5, 'Eve', 'Rome'))
  t(id, name, town);
CREATE TABLE gold.orders AS
  SELECT i AS id, CASE WHEN i % 11 = 0 THEN NULL ELSE i % 6 + 1 END AS customer_id,
    CASE WHEN i % 3 = 0 THEN 'open' ELSE 'paid' END AS status,
    DATE '2023-01-01' + CAST(i % 700 AS INTEGER) AS day,
    TIMESTAMP '2023-01-01 22:30:00' + to_hours(i % 9000) AS paid_at,
    CAST((i % 97) / 4 AS DECIMAL(10, 2)) AS amount
  FROM range(2000) AS r(i);
"""


@pytest.fixture(scope="module", name="eager")
def open_eager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SemanticLayer, Any]]:
    folder = tmp_path_factory.mktemp("coarsen")
    layer = open_layer(folder, MODEL, SEED, eager=True)
    yield layer, folder
    layer.close()


def load(layer: SemanticLayer, **query: Any) -> set[tuple[Any, ...]]:
    table = layer.load(parse_json(query), SecurityContext(), now=NOW).table
    return {tuple(row.values()) for row in table.to_pylist()}


def explain(layer: SemanticLayer, **query: Any) -> str:
    plan = layer.explain(parse_json(query), SecurityContext(), now=NOW)["plan"]
    assert isinstance(plan, str)
    return plan


def month(dimension: str, granularity: str = "month", **more: Any) -> list[dict[str, Any]]:
    return [{"dimension": dimension, "granularity": granularity, **more}]


JOIN = "FROM gold.orders o LEFT JOIN gold.customers c ON o.customer_id = c.id"
TWO_STEPS = [
    pytest.param(
        {"measures": ["orders.total", "orders.count", "orders.paid", "orders.least"],
         "dimensions": ["customers.name"]},
        f"SELECT c.name, sum(amount), count(*), count(*) FILTER (status = 'paid'), min(amount) {JOIN} "
        "GROUP BY 1",
        id="two customers of one name, orders of none",
    ),
    pytest.param(
        {"measures": ["orders.count"], "dimensions": ["towns.country", "orders.status"]},
        f"SELECT upper(country), status, count(*) {JOIN} LEFT JOIN gold.towns t ON c.town = t.name "
        "GROUP BY ALL",
        id="two joins away, beside a column",
    ),
    pytest.param(
        {"measures": ["orders.total"], "dimensions": ["customers.name"],
         "timeDimensions": month("orders.day")},
        f"SELECT c.name, date_trunc('month', day), sum(amount) {JOIN} GROUP BY ALL",
        id="a date by month",
    ),
    pytest.param(
        {"measures": ["orders.count"], "timeDimensions": month("orders.paid_at", "day"),
         "timezone": "Europe/Rome"},
        "SELECT date_trunc('day', timezone('Europe/Rome', CAST(paid_at AS TIMESTAMPTZ))), count(*) "
        "FROM gold.orders GROUP BY 1",
        id="a time by day elsewhere",
    ),
    pytest.param(
        {"measures": ["orders.total"], "timeDimensions": month("orders.day", "week"),
         "timezone": "Asia/Tokyo"},
        "SELECT date_trunc('week', day), sum(amount) FROM gold.orders GROUP BY 1",
        id="no zone moves a date",
    ),
    pytest.param(
        {"measures": ["orders.total", "orders.year_before"],
         "timeDimensions": month("orders.day", dateRange=["2024-02-03", "2024-11-29"])},
        "SELECT * FROM (SELECT date_trunc('month', day), sum(amount) FROM gold.orders "
        "WHERE day BETWEEN '2024-02-03' AND '2024-11-29' GROUP BY 1) a(m, t) FULL JOIN "
        "(SELECT date_trunc('month', CAST(day + INTERVAL 1 YEAR AS DATE)), sum(amount) FROM gold.orders "
        "WHERE day + INTERVAL 1 YEAR BETWEEN '2024-02-03' AND '2024-11-29' GROUP BY 1) b(m, t) USING (m)",
        id="a year before",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("query", "sql"), TWO_STEPS)
def test_two_steps_give_what_one_gives(
    eager: tuple[SemanticLayer, Any], query: dict[str, Any], sql: str
) -> None:
    layer, folder = eager
    assert "in two steps" in explain(layer, **query)
    assert load(layer, **query) == set(read_rows(folder, sql))


ONE_STEP = [
    pytest.param({"measures": ["orders.average"], "dimensions": ["customers.name"]}, id="average"),
    pytest.param({"measures": ["orders.buyers"], "dimensions": ["customers.name"]}, id="distinct"),
    pytest.param({"measures": ["orders.count"]}, id="no keys"),
    pytest.param({"measures": ["orders.count"], "dimensions": ["orders.status"]}, id="own column"),
    pytest.param(
        {"measures": ["orders.count"], "dimensions": ["customers.orders_count"]}, id="computed key"
    ),
    pytest.param(
        {"measures": ["orders.count"], "dimensions": ["customers.name"],
         "filters": [{"member": "customers.name", "operator": "set"}]},
        id="a condition on what is joined",
    ),
]  # fmt: skip


@pytest.mark.parametrize("query", ONE_STEP)
def test_what_does_not_add_up_or_is_read_early_takes_one_step(
    eager: tuple[SemanticLayer, Any], query: dict[str, Any]
) -> None:
    layer, _ = eager
    own = explain(layer, **query).split("computed from measures")[0]
    assert "in two steps" not in own


@pytest.mark.parametrize(
    ("measure", "granularity", "trailing"),
    [("week", "day", "6 DAY"), ("quarter", "month", "2 MONTH")],
)
def test_windows_over_a_date(
    eager: tuple[SemanticLayer, Any], measure: str, granularity: str, trailing: str
) -> None:
    layer, folder = eager
    found = load(
        layer,
        measures=[f"orders.{measure}"],
        timeDimensions=month("orders.day", granularity, dateRange=["2024-01-01", "2024-03-31"]),
    )
    expected = read_rows(
        folder,
        f"SELECT p, (SELECT sum(amount) FROM gold.orders "
        f"WHERE date_trunc('{granularity}', day) BETWEEN p - INTERVAL {trailing} AND p) "
        f"FROM range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-04-01', INTERVAL 1 {granularity}) AS r(p)",
    )
    assert found == set(expected)


@pytest.mark.parametrize(
    ("operator", "values", "kept"),
    [
        ("beforeDate", ["2023-01-03T05:00:00"], 3),
        ("beforeOrOnDate", ["2023-01-03T05:00:00"], 3),
        ("beforeDate", ["2023-01-03"], 2),
        ("afterOrOnDate", ["2024-11-30T00:00:00"], 1),
        ("afterOrOnDate", ["2024-11-29T00:00:00.001"], 1),
        ("inDateRange", ["2023-01-02T10:00:00", "2023-01-04T10:00:00"], 2),
        ("notInDateRange", ["2023-01-02", "2024-11-29"], 2),
    ],
)
def test_a_date_is_compared_as_its_midnight(
    eager: tuple[SemanticLayer, Any], operator: str, values: list[str], kept: int
) -> None:
    """The last day is 2024-11-30; hours of a bound decide which days begin before it."""
    layer, _ = eager
    filters = [{"member": "orders.day", "operator": operator, "values": values}]
    days = load(layer, dimensions=["orders.day"], filters=filters)
    assert len(days) == kept


def test_a_column_that_is_a_date_no_longer_is_cut_to_days(tmp_path: Any) -> None:
    """The plan was kept; the tables that are published next have times in that column."""
    layer = open_layer(tmp_path, MODEL, SEED)
    query = {
        "measures": ["orders.total"],
        "timeDimensions": month("orders.day", "day", dateRange=["2023-01-01", "2023-01-01"]),
    }
    try:
        assert len(load(layer, **query)) == 1
        changed = SEED.replace("AS day,", "+ INTERVAL 5 HOUR AS day,")
        publish(tmp_path / "serving", changed, version=2)
        [(start, total)] = load(layer, **query)
    finally:
        layer.close()
    [(expected,)] = read_rows(
        tmp_path, "SELECT sum(amount) FROM gold.orders WHERE day < '2023-01-02'", version=2
    )
    assert (start, total) == (START, expected)
    assert isinstance(total, Decimal)


def test_what_is_looked_up_by_its_key_is_not_joined_to_it(eager: tuple[SemanticLayer, Any]) -> None:
    """Orders of no customer, and of one that does not exist, are counted for nobody."""
    layer, folder = eager
    query = {"measures": ["customers.count"], "dimensions": ["customers.orders_count"]}
    assert "in one step by the key of customers" in explain(layer, **query)
    assert "customers from orders" not in explain(layer, **query)
    expected = read_rows(
        folder,
        "SELECT n, count(*) FROM (SELECT c.id, (SELECT count(*) FROM gold.orders o "
        "WHERE o.customer_id = c.id) AS n FROM gold.customers c) GROUP BY 1",
    )
    assert load(layer, **query) == set(expected)
