"""A server on the project's own model over two months of real flights, and the tables to compare with."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx

from api.auth import make_token
from semantic.snapshot import QualityState, Snapshot, TableSnapshot, identify, publish_snapshot
from tests.e2e.superset.gold import build_gold

ROOT = Path(__file__).parents[2]
DUCAT = Path(sys.executable).parent / "ducat"
SECRET = "0123456789abcdef0123456789abcdef"
FIRST, LAST = date(2013, 1, 1), date(2013, 2, 28)
WIRE = re.compile(r"Postgres clients connect to 127\.0\.0\.1:(\d+)")
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Site:
    """A running server."""

    url: str
    token: str
    home: Path
    database: Path

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        """Answer hand-written SQL on the served tables."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(text).fetchall()

    @property
    def wire_port(self) -> int:
        """The port of the Postgres wire, where it was asked for (`DUCAT_POSTGRES_PORT="0"`)."""
        found = WIRE.search((self.home / "server.log").read_text())
        assert found is not None, "the Postgres wire is not open"
        return int(found[1])

    def publish_without_february(self) -> None:
        """Put tables in service in which the flights of February are gone."""
        file = self.database.with_name("gold-january.duckdb")
        shutil.copy(self.database, file)
        with duckdb.connect(str(file)) as connection:
            connection.execute("DELETE FROM gold.fct_flights WHERE flight_date >= '2013-02-01'")
        now = datetime.now(UTC)
        passed = QualityState("passed", now)
        names = self.ask("SELECT table_name FROM duckdb_tables() ORDER BY 1")
        tables = tuple(TableSnapshot(name, 2, 1, None, now, passed) for (name,) in names)
        publish_snapshot(file.parent, Snapshot(identify(tables), file.name, now, tables))


def build_tables(folder: Path) -> Path:
    """Write the tables once; each server gets a copy."""
    return build_gold(folder / "serving", FIRST, LAST)


@contextmanager
def run_site(tables: Path, folder: Path, **settings: str) -> Iterator[Site]:
    """Run `ducat serve` over a copy of the tables until the block ends."""
    shutil.copytree(tables.parent, folder / "serving")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")}
    environment = clean | {"DUCAT_HOME": str(folder), "DUCAT_JWT_SECRET": SECRET, **settings}
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [DUCAT, "--project", str(ROOT), "serve", "--port", "0"], env=environment, stderr=stream
        )
        try:
            url = _wait_address(process, log)
            token = make_token(SECRET, user="ann", groups=("analysts",))
            yield Site(url, token, folder, folder / "serving" / tables.name)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        found = ADDRESS.search(log.read_text())
        if found:
            try:
                if httpx.get(f"{found.group()}/readyz").status_code == httpx.codes.OK:
                    return found.group()
            except httpx.TransportError:
                pass
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())
