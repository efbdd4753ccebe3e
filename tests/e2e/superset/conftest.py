"""A real metrics server and a real Superset, started once for all tests here and ended by id.

    gold tables of ten days  →  `ducat serve`  ←  plug-in  ←  Superset  ←  `ducat dashboards publish`
                             →  `ducat serve` over a guarded model (`guarded.py`)  ←

The ten days have the blizzard of February 2013, so that cancellations and low visibility occur.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from api.auth import make_token
from dashboards.client import SupersetClient
from dashboards.roles import EXPLORER, VIEWER, provision_user
from dashboards.superset_process import HEALTH, SupersetSite, prepare
from deploy.demo.ports import find_port
from deploy.demo.processes import Process, start, stop, wait_until_healthy
from tests.e2e.superset.browser import Browser
from tests.e2e.superset.gold import build_gold
from tests.e2e.superset.guarded import Guarded, set_up, write_project

ROOT = Path(__file__).parents[3]
DUCAT = str(Path(sys.executable).with_name("ducat"))
FIRST, LAST = date(2013, 2, 4), date(2013, 2, 13)
SECRET = "a shared secret of the tests, forty characters"
PASSWORD = "a password of the tests"


@dataclass(frozen=True, slots=True)
class Server:
    """The running metrics server."""

    url: str
    token: str
    query_log: Path


@dataclass(frozen=True, slots=True)
class Published:
    """A running Superset with our assets, and what publishing said."""

    url: str
    site: SupersetSite
    variables: dict[str, str]
    first: dict[str, Any]
    embed_origin: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `ducat dashboards …` as a person does."""
        return _ducat(self.variables, "dashboards", *words)

    def client(self, user: str) -> SupersetClient:
        """Return a session of one of the users of these tests."""
        client = SupersetClient(self.url)
        client.log_in(user, PASSWORD)
        return client

    def admin(self) -> SupersetClient:
        """Return a session of the administrator."""
        client = SupersetClient(self.url)
        client.log_in(self.site.admin_user, self.site.admin_password)
        return client


def _ducat(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DUCAT, "--project", str(ROOT), *words],
        env=variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _variables(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DUCAT_")}
    return kept | {"DUCAT_HOME": str(home), "DUCAT_JWT_SECRET": SECRET}


def _wait_until_open(process: Process, port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.is_running, process.tail()
        assert time.monotonic() < deadline, f"{process.name} does not listen"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("platform")


@pytest.fixture(scope="session")
def gold(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The gold tables, for SQL written by hand."""
    file = build_gold(home / "serving", FIRST, LAST)
    with duckdb.connect(str(file), read_only=True) as database:
        yield database


@pytest.fixture(scope="session")
def server(home: Path, gold: duckdb.DuckDBPyConnection) -> Iterator[Server]:
    port = find_port()
    url = f"http://127.0.0.1:{port}"
    process = start(
        "ducat",
        [DUCAT, "--project", str(ROOT), "serve", "--port", str(port)],
        environment=_variables(home),
        folder=ROOT,
        log=home / "ducat.log",
    )
    try:
        wait_until_healthy(process, f"{url}/readyz", seconds=60)
        yield Server(url, make_token(SECRET, user="superset"), home / "query-log.ndjson")
    finally:
        stop(process)


@pytest.fixture(scope="session")
def redis(home: Path) -> Iterator[str]:
    """The address of a Redis: what is kept for one person must not reach another."""
    port = find_port()
    process = start(
        "redis",
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        environment=dict(os.environ),
        folder=home,
        log=home / "redis.log",
    )
    try:
        _wait_until_open(process, port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop(process)


@pytest.fixture(scope="session")
def superset(home: Path, server: Server, redis: str) -> Iterator[Published]:
    site = prepare(ROOT / ".venv-superset", home / "superset", redis_url=redis)
    port = find_port()
    url = f"http://127.0.0.1:{port}"
    embed_origin = f"http://127.0.0.1:{find_port()}"
    process = start(
        "superset",
        site.command(port, workers=1),
        environment=site.variables() | {"SUPERSET_EMBED_ORIGINS": embed_origin},
        folder=site.home,
        log=home / "superset.log",
    )
    variables = _variables(home) | {
        "DUCAT_SUPERSET_URL": url,
        "DUCAT_SUPERSET_USER": site.admin_user,
        "DUCAT_SUPERSET_PASSWORD": site.admin_password,
        "DUCAT_SUPERSET_SOURCE_URL": server.url,
        "DUCAT_SUPERSET_SOURCE_TOKEN": server.token,
    }
    try:
        wait_until_healthy(process, url + HEALTH, seconds=120)
        outcome = _ducat(variables, "dashboards", "publish", "--json")
        assert outcome.returncode == 0, outcome.stderr
        with SupersetClient(url) as client:
            client.log_in(site.admin_user, site.admin_password)
            for user, role in (("nina", EXPLORER), ("vera", VIEWER)):
                provision_user(client, username=user, password=PASSWORD, roles=(role,))
        yield Published(url, site, variables, json.loads(outcome.stdout), embed_origin)
    finally:
        stop(process)


@pytest.fixture(scope="session")
def guarded(home: Path, superset: Published, gold: duckdb.DuckDBPyConnection) -> Iterator[Guarded]:
    """A second metrics server, whose model hides rows and members, in the same Superset."""
    port = find_port()
    folder = home / "guarded"
    project = write_project(folder / "project")
    process = start(
        "guarded",
        [DUCAT, "--project", str(project), "serve", "--port", str(port)],
        environment=_variables(folder) | {"DUCAT_SERVING": str(home / "serving")},
        folder=folder,
        log=folder / "ducat.log",
    )
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}/readyz", seconds=60)
        with superset.admin() as admin:
            made = set_up(
                admin,
                url=f"http://127.0.0.1:{port}",
                token=make_token(SECRET, user="superset"),
                password=PASSWORD,
                origins=(superset.embed_origin,),
            )
        yield made
    finally:
        stop(process)


@pytest.fixture(scope="session")
def browser(superset: Published, home: Path) -> Iterator[Browser]:
    """Chromium, logged in as an Explorer through the login page."""
    with Browser(home / "chromium", width=1440, height=2360) as page:
        page.open(f"{superset.url}/login/")
        page.wait_for("document.querySelector('input[type=password]') !== null")
        page.type_into("input[type=text]", "nina")
        page.type_into("input[type=password]", PASSWORD)
        page.run(
            "[...document.querySelectorAll('button')]"
            ".find(button => button.innerText.includes('Sign in')).click()"
        )
        page.wait_for("location.pathname.includes('/welcome')")
        yield page
