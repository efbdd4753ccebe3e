"""`python -m tests.bench.planning`: from a query to SQL, over the twelve benchmark queries.

Cold: nothing of the query is remembered but what the model's load remembers; binding, planning and
compiling together, p50 of many runs. Growth: the same queries in models with more cubes beside
those that are asked. Milliseconds of one thread. Prints tables; judges nothing.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.compile.statement import compile_plan
from semantic.plan.build import build
from semantic.query.bind import bind
from semantic.query.from_json import parse_json
from tests.bench.loading import write_cube

FOLDER = Path(__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNS = 200
SIZES = (10, 100, 1_000)


def read_queries() -> Mapping[str, Mapping[str, Any]]:
    """Return the twelve queries by name."""
    document = json.loads((FOLDER / "twelve.json").read_text(encoding="utf-8"))
    return {name: item["query"] for name, item in document.items()}


def load_model(cubes: int) -> Catalog:
    """Return the benchmark's model with `cubes` cubes, the rest of which nothing asks for."""
    files = {"twelve.yml": (FOLDER / "twelve.yml").read_text(encoding="utf-8")}
    own = 10
    for number in range(max(0, cubes - own)):
        files[f"cube_{number:04}.yml"] = write_cube(number, cubes - own - 1)
    return load_catalog_from_text(files)


def plan_once(catalog: Catalog, document: Mapping[str, Any]) -> None:
    """Take one query to SQL."""
    compile_plan(catalog, build(catalog, bind(catalog, parse_json(document), now=NOW)))


def measure(catalog: Catalog, document: Mapping[str, Any]) -> float:
    """Return the median of many plannings, in milliseconds, after one that warms up."""
    plan_once(catalog, document)
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        plan_once(catalog, document)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def measure_planning(console: Console) -> None:
    """Measure and print."""
    queries = read_queries()
    found = {size: load_model(size) for size in SIZES}
    table = Table("query", *(f"{size} cubes, ms" for size in SIZES), "growth")
    medians: dict[int, list[float]] = {size: [] for size in SIZES}
    for name, document in queries.items():
        times = {size: measure(catalog, document) for size, catalog in found.items()}
        for size, value in times.items():
            medians[size].append(value)
        cells = (f"{value:.2f}" for value in times.values())
        table.add_row(name, *cells, f"{times[SIZES[-1]] / times[SIZES[0]]:.2f}")
    middle = {size: statistics.median(values) for size, values in medians.items()}
    cells = (f"{value:.2f}" for value in middle.values())
    table.add_row("p50 of all", *cells, f"{middle[SIZES[-1]] / middle[SIZES[0]]:.2f}")
    worst = (f"{max(values):.2f}" for values in medians.values())
    table.add_row("worst", *worst, "")
    console.print(table)


if __name__ == "__main__":
    measure_planning(Console())
