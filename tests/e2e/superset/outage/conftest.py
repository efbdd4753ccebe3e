"""A platform of its own whose parts can be killed and come back at the same address."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from api.auth import make_token
from dashboards.client import SupersetClient
from dashboards.roles import VIEWER, provision_user
from dashboards.superset_process import HEALTH, prepare
from deploy.demo.ports import find_port
from deploy.demo.processes import Process, start, stop, wait_until_healthy
from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import (
    DUCAT,
    PASSWORD,
    ROOT,
    SECRET,
    _ducat,
    _variables,
    _wait_until_open,
)


@dataclass(slots=True)
class Platform:
    """The running parts by name, and how each is started."""

    url: str
    starting: dict[str, Callable[[], Process]]
    running: dict[str, Process] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def kill(self, name: str) -> None:
        """Kill a part with all that it started, as a machine that loses power does."""
        process = self.running.pop(name)
        os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()

    def start(self, name: str) -> None:
        """Start a part, and wait until it answers."""
        self.running[name] = self.starting[name]()


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, gold: duckdb.DuckDBPyConnection, home: Path
) -> Iterator[Platform]:
    del gold  # it built the tables
    folder = tmp_path_factory.mktemp("outage")
    ports = {name: find_port() for name in ("ducat", "redis", "superset")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    site = prepare(
        ROOT / ".venv-superset",
        folder / "superset",
        redis_url=f"redis://127.0.0.1:{ports['redis']}/0",
    )

    def start_ducat() -> Process:
        process = start(
            "ducat",
            [DUCAT, "--project", str(ROOT), "serve", "--port", str(ports["ducat"])],
            environment=_variables(folder) | {"DUCAT_SERVING": str(home / "serving")},
            folder=ROOT,
            log=folder / "ducat.log",
        )
        wait_until_healthy(process, urls["ducat"] + "/readyz", seconds=120)
        return process

    def start_redis() -> Process:
        process = start(
            "redis",
            ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", ""],
            environment=dict(os.environ),
            folder=folder,
            log=folder / "redis.log",
        )
        _wait_until_open(process, ports["redis"])
        return process

    def start_superset() -> Process:
        process = start(
            "superset",
            site.command(ports["superset"], workers=1),
            environment=site.variables(),
            folder=site.home,
            log=folder / "superset.log",
        )
        wait_until_healthy(process, urls["superset"] + HEALTH, seconds=180)
        return process

    made = Platform(
        urls["superset"], {"ducat": start_ducat, "redis": start_redis, "superset": start_superset}
    )
    try:
        for name in ("redis", "ducat", "superset"):
            made.start(name)
        variables = _variables(folder) | {
            "DUCAT_SUPERSET_URL": made.url,
            "DUCAT_SUPERSET_USER": site.admin_user,
            "DUCAT_SUPERSET_PASSWORD": site.admin_password,
            "DUCAT_SUPERSET_SOURCE_URL": urls["ducat"],
            "DUCAT_SUPERSET_SOURCE_TOKEN": make_token(SECRET, user="superset"),
        }
        made.variables = variables
        outcome = _ducat(variables, "dashboards", "publish", "--json")
        assert outcome.returncode == 0, outcome.stderr
        with SupersetClient(made.url) as client:
            client.log_in(site.admin_user, site.admin_password)
            provision_user(client, username="vera", password=PASSWORD, roles=(VIEWER,))
        yield made
    finally:
        for process in made.running.values():
            stop(process)


@pytest.fixture(scope="module")
def reader(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, logged in as a Viewer."""
    with Browser(tmp_path_factory.mktemp("chromium") / "profile", height=2360) as page:
        page.open(f"{platform.url}/login/")
        page.wait_for("document.querySelector('input[type=password]') !== null")
        page.type_into("input[type=text]", "vera")
        page.type_into("input[type=password]", PASSWORD)
        page.run(
            "[...document.querySelectorAll('button')]"
            ".find(button => button.innerText.includes('Sign in')).click()"
        )
        page.wait_for("location.pathname.includes('/welcome')")
        yield page
