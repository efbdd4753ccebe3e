"""Which aggregates a rollup answers, with what numbers, and why the others are not answered by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer, read_rows
from tests.unit.semantic.rollups.build import build_rollups

NOW = datetime(2024, 7, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    joins:
      - {name: customers, relationship: many_to_one, sql: "{CUBE}.customer_id = {customers.id}"}
      - {name: items, relationship: one_to_many, sql: "{CUBE}.id = {items}.order_id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: status, type: string, sql: status}
      - {name: channel, type: string, sql: channel}
      - name: paid_at
        type: time
        sql: paid_at
        granularities:
          - {name: fiscal, interval: 1 year, offset: 1 month}
          - {name: shift, interval: 8 hours}
      - {name: day, type: time, sql: day}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: least, type: min, sql: amount}
      - {name: average, type: avg, sql: amount}
      - {name: buyers, type: count_distinct, sql: customer_id}
      - {name: median, type: number_agg, sql: "median({CUBE}.amount)"}
      - {name: per_buyer, type: number, sql: "{total} / {buyers}"}
      - {name: year_before, type: number, multi_stage: true, sql: "{total}",
         time_shift: [{interval: 1 year, type: prior}]}
    segments:
      - {name: large, sql: "{CUBE}.amount > 10"}
    pre_aggregations:
      - name: by_day
        measures: [count, total, least, average, buyers]
        dimensions: [status, customers.town]
        segments: [large]
        time_dimension: paid_at
        granularity: day
      - name: monthly
        measures: [total, median]
        dimensions: [status]
        time_dimension: paid_at
        granularity: month
      - name: dated
        measures: [least]
        time_dimension: day
        granularity: day
      - name: repeated
        measures: [count]
        dimensions: [items.name]
  - name: customers
    sql_table: gold.customers
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: town, type: string, sql: town, public: true}
    measures: [{name: count, type: count}]
  - name: items
    sql_table: gold.items
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
    measures: [{name: count, type: count}]
"""
SEED = """
CREATE TABLE gold.customers AS SELECT * FROM (VALUES (1, 'Rome'), (2, 'Oslo'), (3, 'Rome'), (4, NULL)) t(id, town);
CREATE TABLE gold.items AS SELECT i AS id, i % 500 AS order_id, CASE WHEN i % 2 = 0 THEN 'pen' ELSE 'ink' END AS name
  FROM range(700) AS r(i);
CREATE TABLE gold.orders AS
  SELECT i AS id, CASE WHEN i % 13 = 0 THEN NULL ELSE i % 5 + 1 END AS customer_id,
    CASE WHEN i % 7 = 0 THEN NULL WHEN i % 3 = 0 THEN 'open' ELSE 'paid' END AS status,
    CASE WHEN i % 2 = 0 THEN 'web' ELSE 'shop' END AS channel,
    CASE WHEN i % 31 = 0 THEN NULL ELSE TIMESTAMP '2023-01-01 22:30:00' + to_hours(i * 17) END AS paid_at,
    DATE '2023-01-01' + CAST(i % 400 AS INTEGER) AS day,
    CAST((i % 97) / 4 AS DECIMAL(10, 2)) AS amount
  FROM range(1000) AS r(i);
"""
JOIN = "FROM gold.orders o LEFT JOIN gold.customers c ON o.customer_id = c.id"


@dataclass(frozen=True)
class Shop:
    """The layer, and the folder of its tables."""

    layer: SemanticLayer
    folder: Path

    def load(self, **query: Any) -> set[tuple[Any, ...]]:
        """Return the rows."""
        table = self.layer.load(parse_json(query), SecurityContext(), now=NOW).table
        return {tuple(row.values()) for row in table.to_pylist()}

    def used(self, **query: Any) -> tuple[str, ...]:
        """Return the rollups that are read."""
        return self.layer.load(parse_json(query), SecurityContext(), now=NOW).rollups

    def why(self, name: str, **query: Any) -> str:
        """Return what is said of a rollup."""
        notes = self.layer.explain(parse_json(query), SecurityContext(), now=NOW)["preAggregations"]
        return next(str(note["why"]) for note in notes if note["name"] == name)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("rollups")
    layer = open_layer(folder, MODEL, SEED)
    build_rollups(layer, folder / "serving", ("UTC", "Europe/Rome"))
    yield Shop(layer, folder)
    layer.close()


def cut(dimension: str, granularity: str | None, *dates: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = {"dimension": dimension}
    if granularity:
        found["granularity"] = granularity
    if dates:
        found["dateRange"] = list(dates)
    return [found]


ANSWERED = [
    pytest.param(
        {"measures": ["orders.count", "orders.total", "orders.least"], "dimensions": ["orders.status"]},
        "SELECT status, count(*), sum(amount), min(amount) FROM gold.orders GROUP BY 1",
        id="by fewer dimensions, null among them",
    ),
    pytest.param(
        {"measures": ["orders.buyers", "orders.per_buyer"], "dimensions": ["customers.town"]},
        f"SELECT town, count(DISTINCT customer_id), sum(amount) / count(DISTINCT customer_id) {JOIN} GROUP BY 1",
        id="different values at a coarser grain, and what is computed from them",
    ),
    pytest.param(
        {"measures": ["orders.count", "orders.total"]},
        "SELECT count(*), sum(amount) FROM gold.orders",
        id="without groups",
    ),
    pytest.param(
        {"measures": ["orders.count", "orders.total"],
         "filters": [{"member": "orders.status", "operator": "equals", "values": ["none"]}]},
        "SELECT 0, NULL",
        id="no rows: a count is 0",
    ),
    pytest.param(
        {"measures": ["orders.average"], "timeDimensions": cut("orders.paid_at", "month")},
        "SELECT date_trunc('month', paid_at), avg(amount) FROM gold.orders GROUP BY 1",
        id="an average of averages is none",
    ),
    pytest.param(
        {"measures": ["orders.count"],
         "timeDimensions": cut("orders.paid_at", "week", "2023-03-07", "2023-09-13"),
         "filters": [{"or": [
             {"member": "orders.status", "operator": "notSet"},
             {"member": "customers.town", "operator": "contains", "values": ["om"]}]}]},
        f"SELECT date_trunc('week', paid_at), count(*) {JOIN} WHERE paid_at >= '2023-03-07' "
        "AND paid_at < '2023-09-14' AND (status IS NULL OR town = 'Rome') GROUP BY 1",
        id="a range of whole days, and filters",
    ),
    pytest.param(
        {"measures": ["orders.count"], "timeDimensions": cut("orders.paid_at", "fiscal"),
         "segments": ["orders.large"]},
        "SELECT date_trunc('year', paid_at - INTERVAL 1 MONTH) + INTERVAL 1 MONTH, count(*) "
        "FROM gold.orders WHERE amount > 10 GROUP BY 1",
        id="a granularity of the model, and a segment",
    ),
    pytest.param(
        {"measures": ["orders.count"], "timeDimensions": cut("orders.paid_at", "day"),
         "timezone": "Europe/Rome"},
        "SELECT date_trunc('day', timezone('Europe/Rome', CAST(paid_at AS TIMESTAMPTZ))), count(*) "
        "FROM gold.orders GROUP BY 1",
        id="in a time zone that it is built for",
    ),
    pytest.param(
        {"measures": ["orders.least"], "timeDimensions": cut("orders.day", "quarter"),
         "timezone": "Asia/Tokyo"},
        "SELECT date_trunc('quarter', day), min(amount) FROM gold.orders GROUP BY 1",
        id="days of a DATE in any time zone",
    ),
    pytest.param(
        {"measures": ["orders.total", "orders.year_before"],
         "timeDimensions": cut("orders.paid_at", "month", "2024-02-01", "2024-11-30")},
        "SELECT * FROM (SELECT date_trunc('month', paid_at), sum(amount) FROM gold.orders "
        "WHERE paid_at >= '2024-02-01' AND paid_at < '2024-12-01' GROUP BY 1) a(m, t) FULL JOIN "
        "(SELECT date_trunc('month', paid_at + INTERVAL 1 YEAR), sum(amount) FROM gold.orders WHERE "
        "paid_at + INTERVAL 1 YEAR >= '2024-02-01' AND paid_at + INTERVAL 1 YEAR < '2024-12-01' "
        "GROUP BY 1) b(m, t) USING (m)",
        id="a year before",
    ),
    pytest.param(
        {"measures": ["orders.median"], "dimensions": ["orders.status"],
         "timeDimensions": cut("orders.paid_at", "month")},
        "SELECT status, date_trunc('month', paid_at), median(amount) FROM gold.orders GROUP BY ALL",
        id="what cannot be merged, at its own grain",
    ),
    pytest.param(
        {"measures": ["orders.median"], "timeDimensions": cut("orders.paid_at", "month"),
         "filters": [{"member": "orders.status", "operator": "equals", "values": ["paid"]}]},
        "SELECT date_trunc('month', paid_at), median(amount) FROM gold.orders WHERE status = 'paid' "
        "GROUP BY 1",
        id="what cannot be merged, where a filter leaves one group",
    ),
    pytest.param(
        {"dimensions": ["orders.status", "customers.town"]},
        f"SELECT DISTINCT status, town {JOIN}",
        id="groups without a measure",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("query", "sql"), ANSWERED)
def test_a_rollup_says_what_the_rows_say(shop: Shop, query: dict[str, Any], sql: str) -> None:
    assert shop.used(**query)
    assert shop.load(**query) == {
        tuple(row) for row in read_rows(shop.folder, sql)
    }  # equal also as numbers: Decimal, int


ONLY_EXACTLY = "orders.median cannot be merged from finer groups: ask for exactly its dimensions and granularity"
LEFT = [
    ("by_day", {"measures": ["orders.count"], "dimensions": ["orders.channel"]},
     "orders.channel is not among its dimensions"),
    ("by_day", {"measures": ["orders.median"]}, "orders.median is not among its measures"),
    ("by_day", {"measures": ["orders.count"], "timeDimensions": cut("orders.paid_at", "hour")},
     "orders.paid_at by hour is not made of its days"),
    ("by_day", {"measures": ["orders.count"], "timeDimensions": cut("orders.paid_at", "shift")},
     "orders.paid_at by shift is not made of its days"),
    ("by_day", {"measures": ["orders.count"],
                "timeDimensions": cut("orders.paid_at", None, "2023-05-01T10:00", "2023-05-02")},
     "the range of orders.paid_at is not made of whole days"),
    ("by_day", {"measures": ["orders.count"],
                "filters": [{"member": "orders.channel", "operator": "set"}]},
     "the filter on orders.channel is not on one of its dimensions"),
    ("by_day", {"measures": ["orders.count"],
                "filters": [{"member": "orders.paid_at", "operator": "equals",
                             "values": ["2023-01-01T22:30:00"]}]},
     "the filter on orders.paid_at compares single times, and it is only in it by day"),
    ("by_day", {"measures": ["orders.count"], "timeDimensions": cut("orders.paid_at", "day"),
                "timezone": "Asia/Tokyo"}, "it was built for UTC, the query asks for Asia/Tokyo"),
    ("by_day", {"measures": ["orders.count"], "dimensions": ["items.name"]},
     "the join orders -> items repeats rows of orders"),
    ("monthly", {"measures": ["orders.median"], "dimensions": ["orders.status"]},
     ONLY_EXACTLY),
    ("monthly", {"measures": ["orders.total"], "timeDimensions": cut("orders.paid_at", "week")},
     "orders.paid_at by week is not made of its months"),
    ("monthly", {"measures": ["orders.total"], "segments": ["orders.large"]},
     "the segment orders.large is not in it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "query", "why"), LEFT)
def test_what_does_not_fit_says_why(shop: Shop, name: str, query: dict[str, Any], why: str) -> None:
    assert shop.why(f"orders.{name}", **query) == why
    assert f"orders.{name}" not in shop.used(**query)


def test_of_several_the_smallest_is_read(shop: Shop) -> None:
    query = {"measures": ["orders.total"], "dimensions": ["orders.status"]}
    assert shop.used(**query) == ("orders.monthly",)
    assert shop.why("orders.by_day", **query) == "it fits, but orders.monthly has fewer rows"
    assert shop.why("orders.monthly", **query).endswith("rows in place of those of orders")


def test_what_no_table_can_stand_for_says_why(shop: Shop) -> None:
    why = shop.why("orders.repeated", measures=["orders.count"])
    assert why.startswith("the join orders -> items repeats rows of orders")


def test_known_shapes_take_a_rollup_only_where_their_values_fit(shop: Shop) -> None:
    """The plan of a range of whole days must not be taken for one that is not."""
    for begin, used in (("2023-05-01", True), ("2023-05-02", True), ("2023-05-03T08:00", False),
                        ("2023-05-04", True), ("2023-05-05T09:30", False)):  # fmt: skip
        query = {
            "measures": ["orders.count"],
            "timeDimensions": cut("orders.paid_at", None, begin, "2023-06-01T23:59:59.999"),
        }
        end = "2023-06-02"
        expected = read_rows(
            shop.folder,
            f"SELECT count(*) FROM gold.orders WHERE paid_at >= '{begin}' AND paid_at < '{end}'",
        )
        assert bool(shop.used(**query)) == used
        assert shop.load(**query) == set(expected)
