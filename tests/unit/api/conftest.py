"""A real server over a small DuckDB file, and the same file to ask by hand-written SQL."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from api.auth import make_token
from semantic.snapshot import (
    QualityState,
    Snapshot,
    TableSnapshot,
    identify,
    publish_snapshot,
    write_checks,
)

SECRET = "0123456789abcdef0123456789abcdef"
DUCAT = Path(sys.executable).parent / "ducat"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")

SALES = """
CREATE SCHEMA gold;
CREATE TABLE gold.dim_shop (shop_id BIGINT, city VARCHAR, opened DATE);
INSERT INTO gold.dim_shop VALUES
  (1, 'Paris', DATE '2020-01-01'), (2, 'Lyon "Nord"', DATE '2021-06-01'), (3, NULL, NULL);
CREATE TABLE gold.fct_sale (
  sale_id BIGINT, shop_id BIGINT, sold_at TIMESTAMP, amount DECIMAL(18, 4), weight DOUBLE,
  is_online BOOLEAN);
INSERT INTO gold.fct_sale
SELECT i, 1 + i % 3, TIMESTAMP '2024-01-01 00:30:00' + INTERVAL (i * 7) HOUR,
       CAST(i AS DECIMAL(18, 4)) * 1.0003, i / 3.0,
       CASE WHEN i % 5 = 0 THEN NULL ELSE i % 2 = 0 END
FROM range(400) t(i);
"""

MODEL = """
cubes:
  - name: shops
    title: Shops
    sql_table: gold.dim_shop
    dimensions:
      - {name: shop_id, type: number, sql: "{CUBE}.shop_id", primary_key: true}
      - {name: city, type: string, sql: "{CUBE}.city", description: Where it is.}
    measures:
      - {name: count, type: count}
  - name: sales
    title: Sales
    sql_table: gold.fct_sale
    joins:
      - {name: shops, relationship: many_to_one, sql: "{CUBE}.shop_id = {shops}.shop_id"}
    dimensions:
      - {name: sale_id, type: number, sql: "{CUBE}.sale_id", primary_key: true, public: true}
      - {name: sold_at, type: time, sql: "{CUBE}.sold_at"}
      - {name: is_online, type: boolean, sql: "{CUBE}.is_online"}
      - {name: weight, type: number, sql: "{CUBE}.weight"}
    measures:
      - {name: count, type: count, drill_members: [sold_at, is_online]}
      - {name: amount, type: sum, sql: "{CUBE}.amount", format: currency}
      - {name: average_weight, type: avg, sql: "{CUBE}.weight"}
      - {name: online_share, type: number, sql: "1.0 * {online} / NULLIF({count}, 0)", format: percent}
      - {name: online, type: count, filters: [{sql: "{CUBE}.is_online"}]}
    segments:
      - {name: heavy, sql: "{CUBE}.weight > 100"}
  - name: slow
    sql: "SELECT a.sale_id + b.sale_id + c.sale_id + d.sale_id AS n
          FROM gold.fct_sale a, gold.fct_sale b, gold.fct_sale c, gold.fct_sale d"
    measures:
      - {name: greatest, type: max, sql: "{CUBE}.n"}
  - name: secrets
    sql_table: gold.fct_sale
    public: false
    measures:
      - {name: hidden_count, type: count}
views:
  - name: shop_sales
    title: Shop sales
    cubes:
      - {join_path: sales, includes: "*"}
      - {join_path: sales.shops, includes: [{name: city, alias: shop_city}]}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A project and what it serves."""

    project: Path
    home: Path
    database: Path

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        """Answer hand-written SQL on the served file."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(text).fetchall()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a server over this site."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")}
        return clean | {
            "DUCAT_PROJECT": str(self.project),
            "DUCAT_HOME": str(self.home),
            "DUCAT_JWT_SECRET": SECRET,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and a client with a token."""

    url: str
    client: httpx.Client
    site: Site
    process: subprocess.Popen[bytes]
    log: Path

    def load(self, query: dict[str, Any] | list[dict[str, Any]], **more: Any) -> Any:
        """Ask `load` and return its body, which must be an answer."""
        response = self.client.post("/cubejs-api/v1/load", json={"query": query, **more})
        assert response.status_code == 200, response.text
        return response.json()

    def graphql(self, text: str, **variables: Any) -> Any:
        """Ask GraphQL and return its body."""
        body = {"query": text, "variables": variables}
        return self.client.post("/graphql", json=body).json()


def make_site(folder: Path) -> Site:
    """Write a project and a file of tables, not yet in service."""
    model = folder / "project" / "semantic" / "model"
    model.mkdir(parents=True)
    (model / "sales.yml").write_text(MODEL)
    serving = folder / "home" / "serving"
    serving.mkdir(parents=True)
    database = serving / "gold-1.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(SALES)
    return Site(folder / "project", folder / "home", database)


def publish(site: Site) -> None:
    """Put the site's tables in service; a newer check of the shops has failed."""
    serving, database = site.database.parent, site.database
    passed = QualityState("passed", datetime(2024, 6, 1, tzinfo=UTC))
    tables = (
        TableSnapshot(
            "fct_sale", 3, 400, datetime(2024, 4, 26, 9, 30, tzinfo=UTC),
            datetime(2024, 6, 1, tzinfo=UTC), passed,
        ),
        TableSnapshot("dim_shop", 1, 3, None, datetime(2024, 5, 1, tzinfo=UTC), passed),
    )  # fmt: skip
    built = datetime(2024, 6, 1, 12, tzinfo=UTC)
    publish_snapshot(serving, Snapshot(identify(tables), database.name, built, tables))
    write_checks(
        serving, {"dim_shop": QualityState("failed", datetime(2024, 6, 2, tzinfo=UTC), ("x",))}
    )


@contextmanager
def run_server(site: Site, folder: Path, **environment: str) -> Iterator[Server]:
    """Run `ducat serve` as a process on a free port, until the block ends."""
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [DUCAT, "serve", "--port", "0"], env=site.environment(**environment), stderr=stream
        )
        try:
            url = wait_address(process, log)
            token = make_token(SECRET, user="ann", groups=("analysts",))
            headers = {"authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
                wait_until(lambda: client.get("/livez").status_code == 200)
                yield Server(url, client, site, process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that a starting server prints."""
    for _ in range(600):
        found = ADDRESS.search(log.read_text())
        if found:
            return found.group()
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once the condition holds; fail after a minute."""
    for _ in range(600):
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the condition never held")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("site"))
    publish(made)
    return made


@pytest.fixture(scope="session")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(site, tmp_path_factory.mktemp("server")) as running:
        yield running
