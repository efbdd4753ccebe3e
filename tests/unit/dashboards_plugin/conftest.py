"""Runs snippets in Superset's environment, with the plug-in of this checkout, against a server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server, make_site, publish, run_server

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-superset/bin/python"
PLUGIN = ROOT / "dashboards/plugin"

# A snippet sees ADDRESS and TOKEN, and calls show(value) once.
PRELUDE = """
import datetime, decimal, json, sys
ADDRESS, TOKEN = sys.argv[1:3]
def show(value):
    print(json.dumps(value, default=lambda item: [type(item).__name__, str(item)]))
"""

Snippet = Callable[..., Any]


@pytest.fixture(scope="session")
def plugin_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    site = make_site(tmp_path_factory.mktemp("plugin"))
    publish(site)
    with run_server(
        site, tmp_path_factory.mktemp("server"), DUCAT_SERVICE_USER="superset"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def run_snippet(plugin_server: Server) -> Snippet:
    """Return a function that runs a snippet and returns what it showed."""
    token = make_token(SECRET, user="superset")

    def run(snippet: str, *, token: str = token, url: str = plugin_server.url, **more: str) -> Any:
        address = url.removeprefix("http://")
        done = subprocess.run(
            [PYTHON, "-W", "ignore", "-c", PRELUDE + snippet, address, token],
            env={**os.environ, "PYTHONPATH": str(PLUGIN), **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
