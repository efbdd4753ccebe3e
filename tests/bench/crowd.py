"""Many clients at once for a minute, and 200,000 rows out.

A crowd asks the twelve queries at random over HTTP, each client the next when it has its answer, over
tables of scale factor 0.1 and the flights. Half of the requests are as they were before (a dashboard that
others have open), half have a limit that nobody asked for yet, so that the answer has to be computed. The
server has its defaults; the clients are on the same cores.

The rows out are beside what DuckDB needs to give the same rows to Arrow.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import httpx
import psutil
import pyarrow as pa

from api.auth import make_token
from tests.bench.execution import HERE, Question, make_tables, read_questions, time_turns
from tests.bench.report import Figure, Section
from tests.bench.rollups_http import run_server
from tests.golden.queries.layer import write_project
from tests.unit.api.conftest import SECRET

SCALE: Final = 0.1
CROWDS: Final = (1, 8, 64)
SECONDS: Final = {1: 5.0, 8: 10.0, 64: 60.0}
LOAD: Final = "/cubejs-api/v1/load"
ARROW: Final = "application/vnd.apache.arrow.stream"
PATIENCE: Final = "55"  # so that a client waits for its answer in one request


@dataclass(slots=True)
class Crowd:
    """What a crowd met: seconds of each answer, and statuses that were none."""

    taken: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)


def measure_crowd() -> Section:
    """Measure 1, 8 and 64 clients, then 200,000 rows out."""
    folder = make_tables(SCALE)
    rows: list[tuple[str, ...]] = []
    figures: list[Figure] = []
    settings = {
        "DUCAT_SERVING": str(folder / "serving"),
        "DUCAT_CACHE_BYTES": str(64 * 1024 * 1024),
        "DUCAT_CONTINUE_WAIT_SECONDS": PATIENCE,
        "DUCAT_CALLER_CONCURRENCY": "64",
    }
    with tempfile.TemporaryDirectory() as name:
        project = write_project(Path(name), (HERE / "twelve.yml").read_text(encoding="utf-8"))
        with run_server(project.model.parents[1], **settings) as (port, process):
            for clients in CROWDS:
                crowd = asyncio.run(_run(port, process, clients, SECONDS[clients]))
                rows.append(_describe(clients, crowd))
                figures += _judge(clients, crowd)
        rows_out, out = _measure_rows_out(project.model.parents[1], make_tables(1.0))
    return Section(
        name="crowd",
        title="Many clients, and many rows",
        text=f"The twelve queries at scale factor {SCALE:g}, drawn at random, half of them never asked before; default "
        f"settings, one worker, the clients on the same cores. Below: 200,000 groups at scale factor 1 "
        "over HTTP to a client that reads them into Arrow, beside the same rows from DuckDB to Arrow; milliseconds.",
        columns=("", "answers/s", "p50", "p99", "p99 / p50", "errors", "memory, MB"),
        rows=(*rows, *rows_out),
        figures=(*figures, *out),
    )


def _describe(clients: int, crowd: Crowd) -> tuple[str, ...]:
    p50, p99 = _quantiles(crowd)
    return (
        f"{clients} client{'s' * (clients > 1)}, {SECONDS[clients]:g} s",
        f"{len(crowd.taken) / SECONDS[clients]:.0f}",
        f"{p50 * 1000:.1f}",
        f"{p99 * 1000:.1f}",
        f"{p99 / p50:.1f}",
        str(sum(crowd.refused.values())),
        f"{crowd.memory[0] / 1e6:.0f} - {max(crowd.memory) / 1e6:.0f}",
    )


def _judge(clients: int, crowd: Crowd) -> Iterator[Figure]:
    if clients != max(CROWDS):
        return
    p50, p99 = _quantiles(crowd)
    third = len(crowd.memory) // 3
    growth = statistics.median(crowd.memory[-third:]) / statistics.median(
        crowd.memory[third:-third]
    )
    yield Figure("crowd_errors", sum(crowd.refused.values()), "of 64 clients in 60 s", 0)
    yield Figure("crowd_p99_over_p50", p99 / p50, "x", 10)
    yield Figure(
        "crowd_memory_growth", growth, "x, last third of the minute over the middle one", 1.1
    )


def _quantiles(crowd: Crowd) -> tuple[float, float]:
    cuts = statistics.quantiles(crowd.taken, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def _run(port: int, process: int, clients: int, seconds: float) -> Crowd:
    crowd, end = Crowd(), time.perf_counter() + seconds
    questions = read_questions()
    headers = {"authorization": make_token(SECRET, user="ann", groups=())}
    base = f"http://127.0.0.1:{port}"

    async def watch() -> None:
        server = psutil.Process(process)
        while time.perf_counter() < end:
            crowd.memory.append(server.memory_info().rss)
            await asyncio.sleep(0.5)

    async def one(number: int) -> None:
        chance = random.Random(number)
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as client:
            while (started := time.perf_counter()) < end:
                body = _write(chance, chance.choice(questions))
                answer = await client.post(LOAD, content=body)
                if answer.status_code == 200 and b'"data":' in answer.content:
                    crowd.taken.append(time.perf_counter() - started)
                else:
                    crowd.refused[answer.status_code] = crowd.refused.get(answer.status_code, 0) + 1

    await asyncio.gather(watch(), *(one(number) for number in range(clients)))
    return crowd


def _write(chance: random.Random, question: Question) -> bytes:
    """Return a request: as it stands, or with a limit that was probably never asked for."""
    document: dict[str, Any] = dict(TWELVE[question.name]["query"])
    if chance.random() < 0.5:
        document["limit"] = chance.randrange(1_000, 50_000)
    return json.dumps({"query": document}).encode()


TWELVE: Final[dict[str, Any]] = json.loads((HERE / "twelve.json").read_text(encoding="utf-8"))
WIDE: Final = {
    "dimensions": ["lineitem.l_partkey"],
    "measures": ["lineitem.sum_qty", "lineitem.rev"],
    "order": [],
}
BY_HAND: Final = TWELVE["q10_hicard"]["raw_sql"]


def _measure_rows_out(project: Path, folder: Path) -> tuple[list[tuple[str, ...]], list[Figure]]:
    """Measure many rows as Arrow and as JSON, computed each time, beside DuckDB alone."""
    token = make_token(SECRET, user="ann", groups=())
    [file] = (folder / "serving").glob("gold-*.duckdb")
    with (
        run_server(project, DUCAT_SERVING=str(folder / "serving")) as (port, _),
        duckdb.connect(str(file), read_only=True) as database,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
    ):
        database.execute("SET preserve_insertion_order = false")

        def ask() -> int:
            headers = {"authorization": token, "accept": ARROW}
            answer = client.post(LOAD, json={"query": WIDE}, headers=headers)
            answer.raise_for_status()
            return int(pa.ipc.open_stream(answer.content).read_all().num_rows)

        def by_hand() -> int:
            return int(database.execute(BY_HAND).to_arrow_table().num_rows)

        wanted = by_hand()
        if ask() != wanted:
            raise AssertionError("not the rows that were asked for")
        arrow, limit = time_turns([ask, by_hand])
    rows: list[tuple[str, ...]] = [
        (f"{wanted:,} rows as Arrow", "", f"{arrow:.1f}", "", "", "", ""),
        ("DuckDB to Arrow, by hand", "", f"{limit:.1f}", "", "", "", ""),
    ]
    return rows, [Figure("rows_out_arrow", arrow / limit, "x the Arrow fetch by hand", 1.6)]
