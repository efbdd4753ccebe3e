"""Answers from a rollup: beside the rows, and beside SQL written by hand over the rollup's own table.

The limit is one hand-written statement over the same table on a connection of its own. Over HTTP there is
no cache, and each request has other dates, so each is computed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb

from api.auth import make_token
from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, TABLE, read_rollups
from semantic.service import SemanticLayer
from tests.bench.execution import ANYBODY, HERE, NOW, make_tables, run_by_hand, time_turns
from tests.bench.report import Figure, Section
from tests.golden.queries.layer import write_project
from tests.unit.api.conftest import DUCAT, SECRET, wait_address
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
SECONDS: Final = 6.0


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
        alone, many = _measure_http(folder)
    rows.append(("HTTP, 1 client, p50", "", f"{alone[0]:.2f}", "", ""))
    rows.append((f"HTTP, 8 clients: {many[1]:.0f} requests/s, p50", "", f"{many[0]:.2f}", "", ""))
    return Section(
        name="rollups" if scale == 1 else f"rollups_sf{scale:g}".replace(".", "_"),
        title=f"Answers from a rollup, scale factor {scale:g}",
        text=f"Lines by day and three dimensions: {stored.rows:,} rows. Milliseconds from query to Arrow over the "
        "rows, over the rollup, and of SQL by hand over the rollup's table. Over HTTP without a cache, other dates "
        "in each request, one worker, the client on the same cores.",
        columns=("query", "rows", "rollup", "by hand", "rows / rollup"),
        rows=tuple(rows),
        figures=(
            Figure(f"rollup_slowest_sf{scale:g}", max(times), "ms", 5),
            Figure(f"rollup_least_gain_sf{scale:g}", min(gains), "x", 50 if scale >= 10 else None,
                   at_least=True),
            Figure(f"rollup_over_by_hand_sf{scale:g}", statistics.geometric_mean(overs), "x"),
            Figure(f"rollup_http_p50_sf{scale:g}", alone[0], "ms", 3),
            Figure(f"rollup_http_rate_sf{scale:g}", many[1], "requests/s", 700,
                   at_least=True),
        ),
    )  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    def texts(table: Any) -> list[tuple[str, ...]]:
        return sorted(tuple(f"{v}" for v in row.values()) for row in table.to_pylist())

    return texts(one) == texts(other)


def _measure_http(folder: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return p50 in milliseconds and requests per second, for one client and for eight."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")
    } | {
        "DUCAT_PROJECT": str(folder),
        "DUCAT_HOME": str(folder),
        "DUCAT_SERVING": str(folder / "serving"),
        "DUCAT_JWT_SECRET": SECRET,
        "DUCAT_CACHE_BYTES": "0",
        "DUCAT_LOG_LEVEL": "warning",
    }
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [DUCAT, "serve", "--port", "0"], env=environment, stderr=stream, cwd=folder
        )
        try:
            port = int(wait_address(process, log).rpartition(":")[2])
            token = f"Bearer {make_token(SECRET, user='ann', groups=())}"
            asyncio.run(_ask_for(port, token, 1, 2.0))
            return (
                asyncio.run(_ask_for(port, token, 1, SECONDS)),
                asyncio.run(_ask_for(port, token, 8, SECONDS)),
            )
        finally:
            process.terminate()
            process.wait(30)


def _requests(token: str) -> Iterator[bytes]:
    for number in itertools.count():
        begin = date(1992, 2, 1) + timedelta(days=number % 2_000)
        end = begin + timedelta(days=300 + number % 97)
        query = {
            "measures": MEASURES,
            "dimensions": ["lineitem.l_shipmode"],
            "timeDimensions": _cut("month", begin.isoformat(), end.isoformat()),
        }
        body = json.dumps({"query": query}).encode()
        lines = [
            "POST /cubejs-api/v1/load HTTP/1.1", "host: 127.0.0.1", f"authorization: {token}",
            "content-type: application/json", f"content-length: {len(body)}",
        ]  # fmt: skip
        yield "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _ask_for(port: int, token: str, clients: int, seconds: float) -> tuple[float, float]:
    requests = _requests(token)
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (started := time.perf_counter()) < end:
                writer.write(next(requests))
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise AssertionError(head)
                length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                body = await reader.readexactly(int(length))
                if b"lineitem.by_day" not in body:
                    raise AssertionError(body[:300])
                taken.append((time.perf_counter() - started) * 1000)
        finally:
            writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return statistics.median(taken), len(taken) / seconds
