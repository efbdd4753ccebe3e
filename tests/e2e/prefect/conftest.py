"""A real Prefect server, once for all tests of this folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo import processes
from deploy.demo.ports import LOOPBACK, find_port
from deploy.services import PREFECT_SERVER

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Prefect server on a database of its own."""
    home = tmp_path_factory.mktemp("prefect")
    (home / "prefect").mkdir()
    port = find_port()
    url = f"http://{LOOPBACK}:{port}"
    service = PREFECT_SERVER.fill(
        {
            "host": LOOPBACK,
            "port": str(port),
            "project": str(ROOT),
            "home": str(home),
            "prefect_url": url,
            "prefect_database": f"sqlite+aiosqlite:///{home / 'prefect' / 'prefect.db'}",
        }
    )
    process = processes.start(
        service.name,
        (str(Path(sys.executable).parent / service.command[0]), *service.command[1:]),
        environment={**os.environ, **service.environment},
        folder=ROOT,
        log=home / "server.log",
    )
    try:
        processes.wait_until_healthy(process, url + service.health, seconds=120)
        yield url
    finally:
        processes.stop(process)


@pytest.fixture
def prefect_client_settings(prefect_url: str) -> Iterator[str]:
    """Point this process's Prefect at the server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    with temporary_settings({PREFECT_API_URL: f"{prefect_url}/api"}):
        yield prefect_url
