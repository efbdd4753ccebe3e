"""`python -m tests.bench planning known_shapes`: from a query to SQL, over the twelve benchmark queries.

Cold: nothing of the query is remembered but what the model's load remembers; binding, planning and
compiling together, p50 of many runs. Growth: the same queries in models with more cubes beside
those that are asked. Milliseconds of one thread.

Known shape: the query was planned before and comes with other dates, texts and limits, from `Query`
to SQL through the cache of plans (`semantic/compile/plan_cache.py`); microseconds. Prints tables;
judges nothing.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.compile.dialect import DUCKDB
from semantic.compile.plan_cache import PlanCache
from semantic.compile.statement import compile_plan
from semantic.plan.build import build
from semantic.plan.statistics import ColumnStatistics, Statistics, TableStatistics
from semantic.plan.stored import column_of
from semantic.query.bind import bind
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.query.query import MemberFilter, Query
from semantic.query.visibility import Visibility
from tests.bench.loading import write_cube
from tests.bench.report import Figure, Section

FOLDER = Path(__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANYBODY = SecurityContext()
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


def know_tables(catalog: Catalog) -> Statistics:
    """Return statistics of all tables, so that each plan is chosen by its cost."""
    tables: dict[str, TableStatistics] = {}
    for cube in catalog.cubes.values():
        columns = {}
        for dimension in cube.dimensions.values():
            found = column_of(dimension.sql)
            if found is not None:
                kind, distinct = ("DATE", 2_500) if dimension.type == "time" else ("VARCHAR", 900)
                columns[found[1]] = ColumnStatistics(kind, distinct)
        if cube.sql_table is not None:
            tables[cube.sql_table] = TableStatistics(1_000_000 // (1 + len(tables)), columns)
    return Statistics(tables)


def plan_once(catalog: Catalog, document: Mapping[str, Any], statistics: Statistics) -> None:
    """Take one query to SQL."""
    bound = bind(catalog, parse_json(document), now=NOW)
    compile_plan(catalog, build(catalog, bound, statistics))


def measure(catalog: Catalog, document: Mapping[str, Any], statistics: Statistics) -> float:
    """Return the median of many plannings, in milliseconds, after one that warms up."""
    plan_once(catalog, document, statistics)
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        plan_once(catalog, document, statistics)
        times.append((time.perf_counter() - started) * 1000)
    return median(times)


def renew_values(random: Random, query: Query) -> Query:
    """Return the query of new dates and texts, such as another caller would send."""

    def range_() -> tuple[str, str]:
        start = date(1992, 1, 1) + timedelta(days=random.randrange(1000))
        return start.isoformat(), (start + timedelta(days=random.randrange(1, 900))).isoformat()

    return dataclasses.replace(
        query,
        filters=tuple(
            dataclasses.replace(item, values=tuple(f"text {random.random()}" for _ in item.values))
            for item in query.filters
            if isinstance(item, MemberFilter)
        ),
        time_dimensions=tuple(
            dataclasses.replace(item, date_range=range_() if item.date_range else None)
            for item in query.time_dimensions
        ),
        limit=None if query.limit is None else random.randrange(1, 1000),
    )


def measure_known(plans: PlanCache, query: Query) -> tuple[float, float]:
    """Return median and 99th percentile of a known shape with new values, in microseconds."""
    random = Random(1)
    plans.compile(query, ANYBODY, NOW)
    times = []
    for changed in [renew_values(random, query) for _ in range(RUNS * 5)]:
        started = time.perf_counter()
        plans.compile(changed, ANYBODY, NOW)
        times.append((time.perf_counter() - started) * 1_000_000)
    return median(times), quantiles(times, n=100)[-1]


def measure_known_shapes() -> Section:
    """Measure plans that are kept."""
    plans = PlanCache(Visibility(load_model(SIZES[0])), DUCKDB, size=100)
    rows: list[tuple[str, ...]] = []
    medians = []
    for name, document in read_queries().items():
        middle, high = measure_known(plans, parse_json(document))
        medians.append(middle)
        rows.append((name, f"{middle:.1f}", f"{high:.1f}"))
    return Section(
        name="known_shapes",
        title="A known shape with new values",
        text="Each query was planned once, then comes 1,000 times with other dates, texts and limits, from "
        "`Query` to SQL through the cache of plans; microseconds of one thread.",
        columns=("query", "p50", "p99"),
        rows=tuple(rows),
        figures=(
            Figure("plan_known_p50", median(medians) / 1000, "ms", 0.03),
            Figure("plan_known_worst", max(medians) / 1000, "ms", 0.03),
        ),
    )


def measure_planning() -> Section:
    """Measure planning in models of more and more cubes."""
    queries = read_queries()
    found = {size: load_model(size) for size in SIZES}
    known = {size: know_tables(catalog) for size, catalog in found.items()}
    rows: list[tuple[str, ...]] = []
    medians: dict[int, list[float]] = {size: [] for size in SIZES}
    for name, document in queries.items():
        times = {size: measure(catalog, document, known[size]) for size, catalog in found.items()}
        for size, value in times.items():
            medians[size].append(value)
        cells = (f"{value:.2f}" for value in times.values())
        rows.append((name, *cells, f"{times[SIZES[-1]] / times[SIZES[0]]:.2f}"))
    middle = {size: median(values) for size, values in medians.items()}
    growth = middle[SIZES[-1]] / middle[SIZES[0]]
    cells = (f"{value:.2f}" for value in middle.values())
    rows.append(("p50 of all", *cells, f"{growth:.2f}"))
    worst = (f"{max(values):.2f}" for values in medians.values())
    rows.append(("worst", *worst, ""))
    return Section(
        name="planning",
        title="Planning: from a query to SQL",
        text="The twelve queries in models of 10, 100 and 1,000 cubes; milliseconds of one thread, medians "
        "of 200. Nothing is cached between plannings but the join trees of the model.",
        columns=("query", *(f"{size} cubes" for size in SIZES), "growth"),
        rows=tuple(rows),
        figures=(
            Figure("plan_cold_p50", middle[SIZES[0]], "ms", 1.0),
            Figure("plan_cold_worst", max(medians[SIZES[0]]), "ms", 2.0),
            Figure("plan_growth_1000_cubes", growth, "x", 1.2),
        ),
    )
