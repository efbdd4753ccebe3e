"""What `ducat serve` imports: nothing of the pipelines, and no framework before it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api.conftest import Server, Site, run_server, wait_until

IMPORT = re.compile(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", re.MULTILINE)
CALL = {
    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
    "params": {"name": "list_cubes", "arguments": {}},
}  # fmt: skip


@pytest.fixture(scope="module")
def watched(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that writes every import into its log, all its doors used."""
    folder = tmp_path_factory.mktemp("start")
    with run_server(site, folder, PYTHONPROFILEIMPORTTIME="1", DUCAT_POSTGRES_PORT="0") as server:
        client = server.client
        wait_until(lambda: client.get("/readyz").status_code == 200)
        server.load({"measures": ["sales.count"], "dimensions": ["sales.sold_at"]})
        assert "errors" not in server.graphql("{ cube { sales { count } } }")
        accept = {"accept": "application/json, text/event-stream"}
        assert client.post("/mcp", json=CALL, headers=accept).status_code == 200
        sql = {"sql": "SELECT MEASURE(count) FROM shop_sales"}
        assert client.post("/ducat/v1/sql", json=sql).status_code == 200
        yield server


def read_packages(log: str) -> set[str]:
    return {name.partition(".")[0] for name in IMPORT.findall(log)}


def test_the_server_never_imports_pipelines_checks_or_pandas(watched: Server) -> None:
    # Modules within packages: an attempt that is refused shows the package's own name, too.
    inner = [name for name in IMPORT.findall(watched.log.read_text()) if "." in name]
    packages = read_packages("\n".join(f"import time: 1 | 1 | {name}" for name in inner))
    assert {"duckdb", "pyarrow", "fastapi", "graphql", "mcp"} <= packages
    assert not packages & {"prefect", "great_expectations", "pandas", "polars", "dlt", "ibis"}
    assert "opentelemetry.sdk" not in IMPORT.findall(watched.log.read_text())


def test_no_framework_is_imported_before_the_server_answers(watched: Server) -> None:
    before, _, after = watched.log.read_text().partition("Application startup complete")
    assert after
    early = read_packages(before)
    assert "duckdb" in early
    assert not early & {"fastapi", "strawberry", "graphql", "mcp", "mcp_types"}


def test_what_is_installed_is_compiled(tmp_path: Path) -> None:
    """`make setup` and the images compile: else each start compiles 2,000 files again."""
    root = Path(__file__).parents[3]
    commands = [
        line
        for file in ("Makefile", "deploy/docker/Dockerfile")
        for line in (root / file).read_text().splitlines()
        if re.search(r"pip sync .*requirements/(dev|server|worker)\.txt", line)
    ]
    assert len(commands) == 4
    assert all("--compile-bytecode" in line for line in commands)
