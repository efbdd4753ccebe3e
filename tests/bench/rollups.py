"""Answers from a rollup: beside the rows, and beside SQL written by hand over the rollup's own table.

The limit is one hand-written statement over the same table on a connection of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb

from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, TABLE, read_rollups
from semantic.service import SemanticLayer
from tests.bench.execution import ANYBODY, HERE, NOW, make_tables, run_by_hand, time_turns
from tests.bench.report import Figure, Section
from tests.bench.rollups_http import measure_http
from tests.golden.queries.layer import write_project
from tests.unit.semantic.rollups.build import build_rollups

ROLLUP: Final = """
    pre_aggregations:
      - name: by_day
        measures: [n_lines, sum_qty, rev]
        dimensions: [l_shipmode, l_returnflag, l_linestatus]
        time_dimension: l_shipdate
        granularity: day
"""
MEASURES: Final = ["lineitem.n_lines", "lineitem.rev"]


def _cut(granularity: str | None, *dates: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = {"dimension": "lineitem.l_shipdate"}
    found |= {} if granularity is None else {"granularity": granularity}
    return [found | ({"dateRange": list(dates)} if dates else {})]


@dataclass(frozen=True, slots=True)
class Case:
    """A query, and SQL by hand over the rollup's table `r`."""

    name: str
    query: dict[str, Any]
    by_hand: str


_SUMS: Final = "CAST(sum(_v0) AS BIGINT), sum(_v2)"
CASES: Final = (
    Case("total", {"measures": MEASURES}, f"SELECT {_SUMS} FROM r"),
    Case(
        "month x shipmode",
        {"measures": MEASURES, "dimensions": ["lineitem.l_shipmode"], "timeDimensions": _cut("month")},
        f"SELECT _k0, date_trunc('month', _k3), {_SUMS} FROM r GROUP BY 1, 2 ORDER BY 2",
    ),
    Case(
        "month x shipmode, 1 year, 1 flag",
        {
            "measures": MEASURES,
            "dimensions": ["lineitem.l_shipmode"],
            "timeDimensions": _cut("month", "1995-01-01", "1995-12-31"),
            "filters": [
                {"member": "lineitem.l_returnflag", "operator": "equals", "values": ["R"]}
            ],
        },
        f"SELECT _k0, date_trunc('month', _k3), {_SUMS} FROM r WHERE _k3 >= '1995-01-01' "
        "AND _k3 < '1996-01-01' AND _k1 = 'R' GROUP BY 1, 2 ORDER BY 2",
    ),
    Case(
        "day series",
        {"measures": MEASURES, "timeDimensions": _cut("day")},
        f"SELECT _k3, {_SUMS} FROM r GROUP BY 1 ORDER BY 1",
    ),
    Case(
        "top 3 shipmodes",
        {"measures": MEASURES, "dimensions": ["lineitem.l_shipmode"],
         "order": [["lineitem.rev", "desc"]], "limit": 3},
        f"SELECT _k0, {_SUMS} FROM r GROUP BY 1 ORDER BY 3 DESC LIMIT 3",
    ),
)  # fmt: skip


@contextlib.contextmanager
def open_tables(scale: float) -> Iterator[tuple[SemanticLayer, SemanticLayer, Path]]:
    """Lend a layer over rows and one with the rollup, over the same tables, and its folder."""
    folder = make_tables(scale)
    text = (HERE / "twelve.yml").read_text(encoding="utf-8")
    place = text.index("  - name: orders\n    sql_table: orders")
    with tempfile.TemporaryDirectory() as name:
        other = Path(name)
        serving = other / "serving"
        serving.mkdir()
        for item in (folder / "serving").iterdir():
            if item.suffix == ".duckdb":
                os.link(item, serving / item.name)  # the tables are not copied
            elif item.is_file():
                shutil.copy(item, serving)
        project = write_project(other, text[:place] + ROLLUP[1:] + text[place:])
        raw = SemanticLayer.open(
            write_project(folder, text), serving=folder / "serving", timeout_seconds=600
        )
        rolled = SemanticLayer.open(project, serving=serving)
        try:
            build_rollups(rolled, serving)
            yield raw, rolled, other
        finally:
            raw.close()
            rolled.close()


def measure_rollups(scale: float = 1.0) -> Section:
    """Measure at a TPC-H scale factor."""
    rows: list[tuple[str, ...]] = []
    times: list[float] = []
    gains: list[float] = []
    overs: list[float] = []
    with open_tables(scale) as (raw, rolled, folder):
        [stored] = read_rollups(folder / "serving")
        connection = duckdb.connect()
        connection.execute(f"ATTACH '{folder / 'serving' / FOLDER / stored.file}' AS r (READ_ONLY)")
        connection.execute(f"CREATE VIEW r AS FROM r.main.{TABLE}")
        for case in CASES:
            query = parse_json(case.query)
            load = partial(rolled.load, query, ANYBODY, now=NOW)
            found, expected = load(), raw.load(query, ANYBODY, now=NOW)
            if not found.rollups or not _same(found.table, expected.table):
                raise AssertionError(f"the rollup is not right: {case.name}")
            slow, fast, limit = time_turns(
                [
                    partial(raw.load, query, ANYBODY, now=NOW),
                    load,
                    partial(run_by_hand, connection, case.by_hand),
                ]
            )
            times.append(fast)
            gains.append(slow / fast)
            overs.append(fast / limit)
            rows.append(
                (case.name, f"{slow:.1f}", f"{fast:.2f}", f"{limit:.2f}", f"{slow / fast:.0f}")
            )
        connection.close()
        paces, figures = (
            ([], [])
            if scale != 1
            else measure_http(folder, folder / "serving" / FOLDER / stored.file)
        )
    return Section(
        name="rollups" if scale == 1 else f"rollups_sf{scale:g}".replace(".", "_"),
        title=f"Answers from a rollup, scale factor {scale:g}",
        text=f"Lines by day and three dimensions: {stored.rows:,} rows. Milliseconds from query to Arrow over the "
        "rows, over the rollup, and of SQL by hand over the rollup's table. Over HTTP without a cache, other dates "
        "in each request, one worker, the client on the same cores; by hand: a bare ASGI server with one statement.",
        columns=("query", "rows", "rollup", "by hand", "rows / rollup"),
        rows=(*rows, *paces),
        figures=(
            Figure(f"rollup_slowest_sf{scale:g}", max(times), "ms", 5),
            Figure(f"rollup_least_gain_sf{scale:g}", min(gains), "x", 50 if scale >= 10 else None,
                   at_least=True),
            Figure(f"rollup_over_by_hand_sf{scale:g}", statistics.geometric_mean(overs), "x"),
            *figures,
        ),
    )  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    def texts(table: Any) -> list[tuple[str, ...]]:
        return sorted(tuple(f"{v}" for v in row.values()) for row in table.to_pylist())

    return texts(one) == texts(other)
