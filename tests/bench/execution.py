"""The twelve queries beside SQL written by hand, on the same tables in the same run.

`execution` is the SQL that Ducat writes, run on a connection like that of the hand-written SQL;
`end to end` is from `Query` to Arrow through the layer. Turns are interleaved and their order changes,
so that what else runs on the machine meets all alike. Rows are compared before anything is timed.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from deploy.demo.metrics import find_package_data
from semantic.catalog.load import ModelLoader
from semantic.compile.compiled import CompiledQuery
from semantic.engine.execute import Engine
from semantic.engine.served import DISABLED_OPTIMIZERS
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.query.query import Query
from semantic.service import SemanticLayer
from tests.bench.report import ROOT, Figure, Section
from tests.golden.queries.layer import publish, write_project

HERE = Path(__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANYBODY = SecurityContext()
RUNS = 9
TPCH = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
FLIGHTS = ("airlines", "airports", "planes", "weather", "flights")
TOP_N = "q06_topn"


@dataclass(frozen=True, slots=True)
class Question:
    """One of the twelve."""

    name: str
    query: Query
    columns: tuple[str, ...]
    ordered: bool
    by_hand: str


def read_questions() -> list[Question]:
    """Return the twelve."""
    document = json.loads((HERE / "twelve.json").read_text(encoding="utf-8"))
    return [
        Question(
            name,
            parse_json(item["query"]),
            tuple(item["columns"]),
            item["ordered"],
            item["raw_sql"],
        )
        for name, item in document.items()
    ]


def make_tables(scale: float) -> Path:
    """Make the served file of a scale factor, or find it, and return its folder."""
    folder = ROOT / "build" / "bench" / f"sf{scale:g}"
    if (folder / "serving" / "gold-1.duckdb").exists():
        return folder
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    generator = Path(sys.executable).with_name("tpchgen-cli")
    subprocess.run([generator, "parquet", "-s", f"{scale:g}", "--output-dir", data], check=True)
    seed = [
        f"CREATE TABLE {name} AS FROM '{data / name}.parquet';"
        for name in TPCH
        if name != "lineitem"
    ]
    seed.append(
        "CREATE TABLE lineitem AS SELECT row_number() OVER () AS l_id, * "
        f"FROM '{data / 'lineitem'}.parquet';"
    )
    package = find_package_data()
    with zipfile.ZipFile(package / "flights.csv.zip") as archive:
        archive.extractall(data)
    for name in FLIGHTS:
        file = next(path for at in (data, package) for path in at.rglob(f"{name}.csv"))
        seed.append(
            f"CREATE TABLE {name} AS FROM read_csv('{file}', nullstr = ['', 'NA'], sample_size = -1);"
        )
    publish(folder / "serving", "\n".join(seed))
    shutil.rmtree(data)
    return folder


def open_layer(folder: Path) -> SemanticLayer:
    """Return the layer of the benchmark's model over the tables."""
    project = write_project(folder, (HERE / "twelve.yml").read_text(encoding="utf-8"))
    engine = Engine(folder / "serving", memory_limit="8GB", timeout_seconds=600)
    return SemanticLayer(ModelLoader(project.model), engine)


def time_turns(runs: Sequence[Callable[[], object]], turns: int = RUNS) -> list[float]:
    """Return the medians of several callables in milliseconds, after one turn that warms up."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(turns + 1):
        for place in range(len(runs)):
            number = (place + turn) % len(runs)
            started = time.perf_counter()
            runs[number]()
            if turn:
                times[number].append((time.perf_counter() - started) * 1000)
    return [statistics.median(found) for found in times]


def run_by_hand(connection: duckdb.DuckDBPyConnection, sql: str) -> object:
    """Return the rows of hand-written SQL as Arrow."""
    return connection.execute(sql).to_arrow_table()


def run_compiled(connection: duckdb.DuckDBPyConnection, compiled: CompiledQuery) -> object:
    """Return the rows of compiled SQL as Arrow."""
    return connection.execute(compiled.sql, list(compiled.values)).to_arrow_table()


def is_right(layer: SemanticLayer, raw: duckdb.DuckDBPyConnection, question: Question) -> bool:
    """Return whether the rows are those of the hand-written SQL, when no limit cuts either."""
    whole = (
        question.query
        if question.name == TOP_N
        else replace(question.query, limit=None, unlimited=True)
    )
    table = layer.load(whole, ANYBODY, now=NOW).table
    found = [tuple(row[name] for name in question.columns) for row in table.to_pylist()]
    expected = raw.execute(question.by_hand).fetchall()
    mine, theirs = _normalise(found, question.ordered), _normalise(expected, question.ordered)
    return len(mine) == len(theirs) and all(
        all(_same(a, b) for a, b in zip(one, other, strict=True))
        for one, other in zip(mine, theirs, strict=True)
    )


def _normalise(rows: Sequence[Sequence[Any]], ordered: bool) -> list[tuple[Any, ...]]:
    found = [tuple(_plain(value) for value in row) for row in rows]
    return (
        found
        if ordered
        else sorted(found, key=lambda row: [(item is None, str(item)) for item in row])
    )


def _plain(value: Any) -> Any:
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            return round(float(value), 4)
        case _:
            return f"{value:%Y-%m-%d}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def measure_execution(scale: float = 1.0) -> Section:
    """Measure the twelve at one scale factor."""
    folder = make_tables(scale)
    layer = open_layer(folder)
    file = str(folder / "serving" / "gold-1.duckdb")
    rows: list[tuple[str, ...]] = []
    ratios: dict[str, float] = {}
    whole: dict[str, float] = {}
    extra: list[float] = []
    right = 0
    with (
        duckdb.connect(file, read_only=True, config={"threads": os.cpu_count() or 1}) as raw,
        duckdb.connect(":memory:", config={"disabled_optimizers": DISABLED_OPTIMIZERS}) as ours,
    ):
        ours.execute(f"ATTACH '{file}' AS served (READ_ONLY)")
        ours.execute("USE served")
        for question in read_questions():
            is_same = is_right(layer, raw, question)
            right += is_same
            compiled = layer.compile(question.query, ANYBODY, now=NOW)
            hand, executed, end = time_turns(
                [
                    partial(run_by_hand, raw, question.by_hand),
                    partial(run_compiled, ours, compiled),
                    partial(layer.load, question.query, ANYBODY, now=NOW),
                ]
            )
            ratios[question.name], whole[question.name] = executed / hand, end / hand
            extra.append(end - executed)
            rows.append(
                (question.name, "yes" if is_same else "NO", f"{hand:.1f}", f"{executed:.1f}",
                 f"{executed / hand:.2f}", f"{end:.1f}", f"{end / hand:.2f}")
            )  # fmt: skip
    layer.close()
    mean, whole_mean = _geometric(ratios), _geometric(whole)
    rows.append(
        (
            "geometric mean",
            f"{right} of {len(ratios)}",
            "",
            "",
            f"{mean:.2f}",
            "",
            f"{whole_mean:.2f}",
        )
    )
    name = f"sf{scale:g}".replace(".", "_")
    return Section(
        name=f"execution_{name}",
        title=f"The twelve queries beside SQL by hand, scale factor {scale:g}",
        text="TPC-H by `tpchgen-cli`, and the flights data; milliseconds of wall clock. `rows`: whether they "
        "are those of the hand-written SQL. No result cache, no rollup.",
        columns=("query", "rows", "by hand", "execution", "ratio", "end to end", "ratio"),
        rows=tuple(rows),
        figures=(
            Figure(f"right_{name}", right, "of 12", 12, at_least=True),
            Figure(f"execution_mean_{name}", mean, "x by hand", 1.05),
            Figure(f"execution_worst_{name}", max(ratios.values()), "x by hand", 1.25),
            Figure(f"execution_topn_{name}", ratios[TOP_N], "x by hand", 1.1),
            Figure(f"end_to_end_mean_{name}", whole_mean, "x by hand", 1.10),
            Figure(f"end_to_end_more_{name}", statistics.median(extra), "ms", 2),
        ),
    )


def _geometric(ratios: Mapping[str, float]) -> float:
    return math.exp(sum(map(math.log, ratios.values())) / len(ratios))
