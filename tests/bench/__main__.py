"""`python -m tests.bench`: how long planning takes, and execution beside SQL written by hand.

Synthetic orders and lines in a served file of its own; nothing of the project is touched. Medians of
several runs, in milliseconds. Prints a table; judges nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from tests.bench.loading import measure_loading
from tests.bench.planning import measure_planning
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, tzinfo=UTC)
ROWS = 500_000
RUNS = 7
MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    joins: [{name: lines, relationship: one_to_many, sql: "{CUBE}.id = {lines}.order_id"}]
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: status, type: string, sql: status}
      - {name: placed_at, type: time, sql: placed_at}
    measures:
      - {name: count, type: count}
      - {name: revenue, type: sum, sql: amount}
      - {name: average, type: number, sql: "1.0 * {revenue} / NULLIF({count}, 0)"}
  - name: lines
    sql_table: gold.lines
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: product, type: string, sql: product}
    measures: [{name: quantity, type: sum, sql: quantity}]
"""
SEED = f"""
CREATE TABLE gold.orders AS SELECT i AS id, 'status ' || (i % 7) AS status,
  (i % 1000)::DECIMAL(10, 2) AS amount,
  TIMESTAMP '2023-01-01' + to_minutes((i % 525600)::INTEGER) AS placed_at FROM range({ROWS}) AS r(i);
CREATE TABLE gold.lines AS SELECT i AS id, i // 2 AS order_id, 'product ' || (i % 50) AS product,
  i % 9 AS quantity FROM range({2 * ROWS}) AS r(i);
"""
QUESTIONS = {
    "sum by month": (
        {
            "measures": ["orders.revenue", "orders.average"],
            "timeDimensions": [{"dimension": "orders.placed_at", "granularity": "month"}],
        },
        """SELECT date_trunc('month', placed_at), sum(amount), 1.0 * sum(amount) / count(*)
           FROM gold.orders GROUP BY 1 ORDER BY 1""",
    ),
    "a filtered count": (
        {
            "measures": ["orders.count"],
            "filters": [{"member": "orders.status", "operator": "equals", "values": ["status 3"]}],
        },
        "SELECT count(*) FROM gold.orders WHERE status = 'status 3'",
    ),
    "fan-out by product": (
        {"measures": ["orders.revenue", "lines.quantity"], "dimensions": ["lines.product"]},
        """WITH keys AS (SELECT DISTINCT product, o.id, amount FROM gold.orders o
             LEFT JOIN gold.lines l ON l.order_id = o.id),
           a AS (SELECT product, sum(amount) AS revenue FROM keys GROUP BY 1),
           b AS (SELECT product, sum(quantity) AS quantity FROM gold.orders o
             LEFT JOIN gold.lines l ON l.order_id = o.id GROUP BY 1)
           SELECT a.product, revenue, quantity FROM a JOIN b
             ON a.product IS NOT DISTINCT FROM b.product ORDER BY 2 DESC""",
    ),
}


def measure(run: Callable[[], object]) -> float:
    """Return the median of several runs, in milliseconds, after one that warms up."""
    run()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def fetch(database: duckdb.DuckDBPyConnection, sql: str) -> object:
    """Return the rows of hand-written SQL as Arrow, as the engine does."""
    return database.execute(sql).to_arrow_table()


def main() -> None:
    """Measure and print."""
    table = Table("question", "plan ms", "answer ms", "by hand ms", "ratio")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layer = open_layer(folder, MODEL, SEED)
        context = SecurityContext()
        file = str(folder / "serving" / "gold-1.duckdb")
        with duckdb.connect(file, read_only=True) as raw:
            for title, (document, sql) in QUESTIONS.items():
                query = parse_json(document)
                planned = measure(partial(layer.compile, query, context, now=NOW))
                answered = measure(partial(layer.load, query, context, now=NOW))
                by_hand = measure(partial(fetch, raw, sql))
                cells = (f"{planned:.2f}", f"{answered:.1f}", f"{by_hand:.1f}")
                table.add_row(title, *cells, f"{answered / by_hand:.2f}")
        layer.close()
    Console().print(table)
    measure_loading(Console())
    measure_planning(Console())


if __name__ == "__main__":
    main()
