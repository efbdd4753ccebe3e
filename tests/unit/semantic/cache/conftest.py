"""A real Redis on a free port, and layers that count what they run."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.demo.ports import find_port
from semantic.cache.cache import AnswerCache
from semantic.catalog.load import ModelLoader
from semantic.compile.compiled import CompiledQuery
from semantic.engine.execute import Engine
from semantic.engine.result import Result, ResultColumn
from semantic.query.bound import BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import publish, write_project

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: status, type: string, sql: status}
      - {name: age, type: number, sql: "date_diff('day', {CUBE}.day, current_date)"}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: broken, type: sum, sql: "CAST({CUBE}.status AS INTEGER)"}
      - {name: slow, type: sum, sql: "(SELECT sum(a.x * b.x) FROM range(300000) AS a(x), range({CUBE}.id * 300000) AS b(x))"}
    access_policy:
      - {group: all, row_level: {allow_all: true}}
      - group: some
        row_level: {filters: [{member: status, operator: equals, values: ["{ securityContext.status }"]}]}
"""
SEED = """
CREATE TABLE gold.orders AS SELECT i AS id, 'status ' || (i % 3) AS status, i AS amount,
  DATE '2025-01-01' AS day FROM range(1, 101) AS r(i);
"""
COUNT = {"measures": ["orders.count"]}
EVERYBODY = SecurityContext("ann", ("all",))


class CountingEngine(Engine):
    """DuckDB, and how many queries ran. Each waits for `gate` first, when there is one."""

    ran = 0
    gate: threading.Event | None = None

    def execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        *,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Count, and run."""
        self.ran += 1
        if self.gate is not None:
            self.gate.wait(30)
        return super().execute(compiled, bound, columns, cancelled=cancelled)


@dataclass
class Shop:
    """A layer over tables, its engine and its cache."""

    layer: SemanticLayer
    engine: CountingEngine
    cache: AnswerCache
    folder: Path

    def load(self, query: dict[str, Any], who: SecurityContext = EVERYBODY, **more: Any) -> Result:
        """Ask."""
        return self.layer.load(parse_json(query), who, now=NOW, **more)

    def ask(self, query: dict[str, Any], who: SecurityContext = EVERYBODY, **more: Any) -> Any:
        """Return the rows, and where they came from."""
        result = self.load(query, who, **more)
        return [tuple(row.values()) for row in result.table.to_pylist()], result.cache


OpenShop = Callable[..., Shop]


@pytest.fixture(name="open_shop")
def make_shops(tmp_path: Path) -> Iterator[OpenShop]:
    """Open layers over one served file, each with a cache of its own."""
    publish(tmp_path / "serving", SEED)
    project = write_project(tmp_path, MODEL)
    opened: list[Shop] = []

    def open_one(room: int = 10_000_000, store: Any = None) -> Shop:
        engine = CountingEngine(tmp_path / "serving", memory_limit="1GB", timeout_seconds=20)
        cache = AnswerCache(room, store)
        layer = SemanticLayer(ModelLoader(project.model), engine, answers=cache)
        opened.append(Shop(layer, engine, cache, tmp_path))
        return opened[-1]

    yield open_one
    for shop in opened:
        shop.layer.close()


@dataclass
class RedisServer:
    """A running Redis."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(name="redis_server")
def start_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Start a Redis of its own."""
    port = find_port()
    process = subprocess.Popen(
        [
            "redis-server",
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            tmp_path,
        ],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    with redis.Redis.from_url(url) as client:
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
    server = RedisServer(process, url)
    yield server
    if process.poll() is None:
        server.kill()
