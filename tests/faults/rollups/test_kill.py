"""Builds that are killed at any moment: every answer is right meanwhile, and a rerun cleans up."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import duckdb
import pytest

from flows.rollups import build_rollups
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, read_rollups
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

KILLS = 50
LONGEST = 0.25  # seconds: a build of both takes about half of it
NOW = datetime(2024, 7, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
      - {name: sold_at, type: time, sql: sold_at}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: amount}
      - {name: days, type: count_distinct, sql: "CAST({CUBE}.sold_at AS DATE)"}
    pre_aggregations:
      - {name: by_city, measures: [count, amount, days], dimensions: [city]}
      - {name: by_day, measures: [count, amount], dimensions: [city], time_dimension: sold_at, granularity: day}
"""
SEED = """
CREATE TABLE gold.sales AS SELECT i AS id, 'city ' || i % 50 AS city,
  TIMESTAMP '2024-01-01 22:00:00' + to_minutes(i) AS sold_at, i AS amount FROM range(50000) r(i);
"""
QUESTIONS = (
    ({"measures": ["sales.count", "sales.amount"]}, "SELECT count(*), sum(amount) FROM sales"),
    (
        {"measures": ["sales.days"], "dimensions": ["sales.city"]},
        "SELECT city, count(DISTINCT sold_at::DATE) FROM sales GROUP BY 1",
    ),
    (
        {
            "measures": ["sales.amount"],
            "timeDimensions": [{"dimension": "sales.sold_at", "granularity": "week"}],
        },
        "SELECT date_trunc('week', sold_at), sum(amount) FROM sales GROUP BY 1",
    ),
)


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[SemanticLayer]:
    found = open_layer(tmp_path, MODEL, SEED)
    yield found
    found.close()


def read_expected(folder: Path) -> list[set[tuple[object, ...]]]:
    with duckdb.connect(str(folder / "serving" / "gold-1.duckdb"), read_only=True) as connection:
        connection.execute("USE gold")
        return [set(connection.execute(sql).fetchall()) for _, sql in QUESTIONS]


class Reader:
    """Asks without end, from a thread of its own."""

    def __init__(self, layer: SemanticLayer, expected: list[set[tuple[object, ...]]]) -> None:
        self._layer, self._expected = layer, expected
        self.wrong: list[str] = []
        self.answers = self.rolled = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._stopping.is_set():
            for (query, _), expected in zip(QUESTIONS, self._expected, strict=True):
                result = self._layer.load(parse_json(query), SecurityContext(), now=NOW)
                found = {tuple(row.values()) for row in result.table.to_pylist()}
                if found != expected:
                    self.wrong.append(f"{query}: {len(found ^ expected)} rows differ")
                self.answers += 1
                self.rolled += bool(result.rollups)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def say(stream: IO[str] | None, line: str) -> None:
    assert stream is not None
    stream.write(line + "\n")
    stream.flush()


def hear(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def test_fifty_kills_never_change_an_answer(layer: SemanticLayer, tmp_path: Path) -> None:
    expected = read_expected(tmp_path)
    chance = random.Random(20261123)
    reader = Reader(layer, expected)
    builder = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.rollups.builder", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert hear(builder.stdout) == "ready"
        for _ in range(KILLS):
            say(builder.stdin, f"{chance.uniform(0, LONGEST):.4f}")
            assert hear(builder.stdout) == "killed"
    finally:
        if builder.stdin is not None:
            builder.stdin.close()
        builder.wait(60)
        reader.stop()
    assert reader.wrong == []
    assert reader.answers > KILLS
    runs = build_rollups(tmp_path / "serving", layer.rollup_builds(("UTC",)))
    assert {run.outcome for run in runs} <= {"built", "kept"}
    build_rollups(tmp_path / "serving", layer.rollup_builds(("UTC",)))
    left = {path.name for path in (tmp_path / "serving" / FOLDER).iterdir()} - {".publish.lock"}
    assert left == {item.file for item in read_rollups(tmp_path / "serving")}
    for (query, _), wanted in zip(QUESTIONS, expected, strict=True):
        result = layer.load(parse_json(query), SecurityContext(), now=NOW)
        assert {tuple(row.values()) for row in result.table.to_pylist()} == wanted
        assert result.rollups
