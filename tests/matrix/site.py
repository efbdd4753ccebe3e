"""One server process with every door, over ten days of real flights and the small model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb

from tests.e2e.superset.gold import build_gold
from tests.matrix.tables import TABLES
from tests.unit.api.conftest import Server, Site, run_server, wait_until

HERE: Final = Path(__file__).parent
DEMO_MODEL: Final = HERE.parents[1] / "semantic" / "model"
GROUPS: Final = ("analysts",)
WIRE_PORT: Final = re.compile(r"Postgres clients connect to 127\.0\.0\.1:(\d+)")
FLIGHT_PORT: Final = re.compile(r"Flight SQL clients connect to 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the doors of the server are."""

    server: Server
    wire_port: int
    flight_port: int

    @property
    def token(self) -> str:
        """The token of the caller, an analyst."""
        return str(self.server.client.headers["authorization"]).removeprefix("Bearer ")


def build_site(folder: Path) -> Site:
    """Write the project and its tables, and put them in service."""
    project, home = folder / "project", folder / "home"
    shutil.copytree(DEMO_MODEL, project / "semantic" / "model")
    shutil.copy(HERE / "model" / "entries.yml", project / "semantic" / "model" / "entries.yml")
    database = build_gold(home / "serving", date(2013, 1, 1), date(2013, 1, 6))
    with duckdb.connect(str(database)) as connection:
        connection.execute(TABLES)
    return Site(project, home, database)


@contextmanager
def run_doors(site: Site, folder: Path) -> Iterator[Doors]:
    """Run `ducat serve` with every door until the block ends."""
    with run_server(site, folder, DUCAT_POSTGRES_PORT="0", DUCAT_FLIGHT_PORT="0") as server:
        yield Doors(server, _find_port(server, WIRE_PORT), _find_port(server, FLIGHT_PORT))


def _find_port(server: Server, said: re.Pattern[str]) -> int:
    wait_until(lambda: said.search(server.log.read_text()) is not None)
    found = said.search(server.log.read_text())
    assert found is not None
    return int(found[1])


def ask_by_hand(site: Site, text: str) -> list[tuple[Any, ...]]:
    """Return the rows of hand-written SQL on the served file."""
    with duckdb.connect(str(site.database), read_only=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        return connection.execute(text).fetchall()
