"""A server with the Postgres wire, and the same answers without a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from api.auth import make_token
from api.postgres.query.answer import Answerer, Caller
from api.postgres.query.functions import Place
from api.postgres.query.parse import split_statements
from semantic.project import Project
from semantic.query.context import SecurityContext
from semantic.service import SemanticLayer
from tests.unit.api.conftest import SECRET, Server, Site, run_server

_PORT = re.compile(r"Postgres clients connect to 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class WireServer:
    """A running server and how to reach its Postgres wire."""

    server: Server
    port: int
    token: str

    @property
    def site(self) -> Site:
        """The project that it serves."""
        return self.server.site

    @property
    def address(self) -> dict[str, Any]:
        """What clients of libpq are given."""
        return {
            "host": "127.0.0.1", "port": self.port, "user": "ann", "password": self.token,
            "dbname": "ducat",
        }  # fmt: skip

    def connect(self, **more: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection of psycopg."""
        return psycopg.connect(**(self.address | more))


@contextmanager
def run_wire(site: Site, folder: Path, **environment: str) -> Iterator[WireServer]:
    """Run `ducat serve` with the Postgres wire on a free port."""
    with run_server(site, folder, DUCAT_POSTGRES_PORT="0", **environment) as server:
        found = _PORT.search(server.log.read_text())
        assert found is not None, server.log.read_text()
        token = make_token(SECRET, user="ann", groups=("analysts",))
        yield WireServer(server, int(found[1]), token)


@pytest.fixture(scope="session")
def wire(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    with run_wire(site, tmp_path_factory.mktemp("wire")) as running:
        yield running


@pytest.fixture(scope="session")
def answerer(site: Site) -> Iterator[Answerer]:
    layer = SemanticLayer.open(Project.open(site.project), serving=site.database.parent)
    made = Answerer(layer, timeout_seconds=30)
    yield made
    made.close()
    layer.close()


Ask = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def ask(answerer: Answerer) -> Ask:
    def answer(text: str, timezone: str = "UTC", *, kept: bool = False, **more: Any) -> pa.Table:
        place = Place(
            user="ann", database="ducat", process=7, now=datetime.now(UTC), timezone=timezone,
            settings={"search_path": "public"}.get, find_table=lambda _: None,
        )  # fmt: skip
        (statement,) = split_statements(text)
        caller = Caller(SecurityContext("ann"), place, {})
        tree = answerer.parse(statement)
        return answerer.answer(tree, caller, text=statement.text if kept else None, **more)

    return answer
