"""A server with Flight SQL, and the ADBC driver to ask it with."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import jwt
import pyarrow as pa
import pytest

from tests.unit.api.conftest import SECRET, Server, Site, make_site, publish, run_server, wait_until
from tests.unit.api.test_policies import MODEL as GUARDED

_PORT = re.compile(r"Flight SQL clients connect to (?:127\.0\.0\.1|0\.0\.0\.0):(\d+)")
BEARER = "adbc.flight.sql.authorization_header"
ZONE = "adbc.flight.sql.rpc.call_header.x-ducat-timezone"
ROWS = 1_000_001
NUMBERS = f"""
  - name: numbers
    sql: "SELECT range AS n, range * 2 AS twice FROM range({ROWS})"
    dimensions:
      - {{name: n, type: number, sql: "{{CUBE}}.n", primary_key: true, public: true}}
      - {{name: twice, type: number, sql: "{{CUBE}}.twice"}}
    measures:
      - {{name: whole, type: sum, sql: "{{CUBE}}.n"}}
"""


@dataclass(frozen=True, slots=True)
class FlightServer:
    """A running server and how to reach its Flight SQL."""

    server: Server
    address: str

    @property
    def site(self) -> Site:
        """The project that it serves."""
        return self.server.site

    def token(self, *groups: str, **claims: Any) -> str:
        """Return a token of ann's, as somebody of these groups."""
        told = {"sub": "ann", "groups": list(groups), "exp": int(time.time()) + 600, **claims}
        return jwt.encode(told, SECRET, "HS256")

    def connect(self, token: str | None = None, **options: str) -> adbc.Connection:
        """Return a connection of the driver; with options only, log in by those."""
        given = options if "username" in options else {BEARER: f"Bearer {token or self.token()}"}
        return adbc.connect(self.address, db_kwargs={**given, **options}, autocommit=True)

    def ask(self, text: str, *values: Any, token: str | None = None, **options: str) -> pa.Table:
        """Return the answer to a statement."""
        with self.connect(token, **options) as connection, connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetch_arrow_table()


@contextmanager
def run_flight(site: Site, folder: Path, **environment: str) -> Iterator[FlightServer]:
    """Run `ducat serve` with Flight SQL on a free port."""
    with run_server(site, folder, DUCAT_FLIGHT_PORT="0", **environment) as server:
        wait_until(lambda: _PORT.search(server.log.read_text()) is not None)
        found = _PORT.search(server.log.read_text())
        assert found is not None, server.log.read_text()
        scheme = "grpc+tls" if "DUCAT_POSTGRES_TLS_CERT" in environment else "grpc"
        yield FlightServer(server, f"{scheme}://127.0.0.1:{found[1]}")


@pytest.fixture(scope="session")
def flight_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = make_site(tmp_path_factory.mktemp("flight"))
    model = site.project / "semantic" / "model"
    (model / "guarded.yml").write_text(GUARDED)
    (model / "numbers.yml").write_text(f"cubes:{NUMBERS}")
    publish(site)
    return site


@pytest.fixture(scope="session")
def flight(flight_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlightServer]:
    with run_flight(flight_site, tmp_path_factory.mktemp("flight_server")) as running:
        yield running
