"""What a person sees when something is wrong: a code, what to do, and never a traceback.

Each command is the real `ducat` as a process of its own, in a copy of this project.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DUCAT = Path(sys.executable).parent / "ducat"
SOURCES = ("BATCHES", "WEATHER", "API", "DATABASE")
OURS = ("DUCAT_", "FLIGHTS_", "PREFECT_")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's content."""
    for folder in ("semantic/model", "flows/pipelines", "quality/contracts", "dashboards/assets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def _refuse(project: Path, *words: str, **variables: str) -> tuple[str, str]:
    """Run a command that must fail; return the first line of its error, and its hint."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    outcome = subprocess.run(
        [DUCAT, "--project", project, *words],
        env={**clean, **variables},
        cwd=project,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 1, said
    assert "Traceback" not in said
    assert not (project / ".ducat" / "crash.log").exists()
    lines = outcome.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error[")]
    hints = [line for line in lines if line.startswith("hint: ")]
    assert (len(errors), len(hints)) == (1, 1), said
    return errors[0], hints[0]


def test_a_used_port(project: Path, taken: int) -> None:
    error, hint = _refuse(project, "serve", "--port", str(taken))
    assert error.startswith(f"error[port_in_use]: port {taken} on 127.0.0.1 is in use")
    assert "ducat serve --port 0" in hint


def test_an_unknown_variable(project: Path) -> None:
    error, hint = _refuse(project, "validate", DUCAT_PROT="4000")
    assert error == "error[invalid_setting]: unknown setting DUCAT_PROT"
    assert hint == "hint: did you mean DUCAT_PORT?"


def test_a_missing_secret(project: Path) -> None:
    error, hint = _refuse(project, "serve", "--port", "0", DUCAT_ENVIRONMENT="production")
    assert error.startswith("error[invalid_setting]: DUCAT_JWT_SECRET is not set")
    assert "openssl rand" in hint


def test_missing_addresses_of_superset(project: Path) -> None:
    error, _ = _refuse(project, "dashboards", "publish")
    assert error.startswith("error[invalid_setting]: not set: DUCAT_SUPERSET_URL, ")


def test_a_missing_address_of_the_prefect_server(project: Path) -> None:
    """Nothing is started instead: schedules on a temporary server would end with the command."""
    error, hint = _refuse(project, "flows", "serve")
    assert error.startswith("error[orchestrator_error]: PREFECT_API_URL is not set")
    assert "prefect server start" in hint


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_prefect_server_that_is_not_there(project: Path, command: str) -> None:
    address = "http://127.0.0.1:9/api"
    nowhere = {f"FLIGHTS_{name}_URL": "http://127.0.0.1:9" for name in SOURCES}
    error, hint = _refuse(project, "flows", command, PREFECT_API_URL=address, **nowhere)
    assert error.startswith(f"error[orchestrator_error]: no Prefect server answers at {address}")
    assert "PREFECT_API_URL" in hint


def test_sources_that_nobody_named(project: Path) -> None:
    """Said before a Prefect server is asked: the run could not do anything there."""
    error, _ = _refuse(project, "flows", "run", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert error.startswith("error[source_missing]: nobody said where the sources are")
    assert all(f"FLIGHTS_{name}_URL" in error for name in SOURCES)


@pytest.mark.parametrize("command", [("quality", "contracts"), ("quality", "check")])
def test_a_wrong_contract(project: Path, command: tuple[str, str]) -> None:
    (project / "quality" / "contracts" / "orders.yml").write_text("table: orders\nkye: [id]\n")
    error, hint = _refuse(project, *command)
    assert error.startswith("error[invalid_contract]: the contracts have ")
    assert "ducat quality contracts --schema" in hint


def test_a_wrong_pipeline(project: Path) -> None:
    (project / "flows" / "pipelines" / "flights" / "pipeline.py").write_text("PIPELINE = 1\n")
    error, _ = _refuse(project, "flows", "list")
    assert error.startswith("error[invalid_pipeline]: ")


def test_tables_that_were_never_published(project: Path) -> None:
    error, hint = _refuse(project, "query", '{"measures": ["flights.count"]}')
    assert error.startswith("error[no_snapshot]: ")
    assert "ducat flows run" in hint


def test_a_wrong_model_is_named_with_file_line_and_column(project: Path) -> None:
    """`validate` prints a line for each problem, as compilers do; `serve` does not start."""
    file = project / "semantic" / "model" / "cubes" / "orders.yml"
    file.write_text("cubes:\n  - name: orders\n    sql_tabel: gold.orders\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    for words in (("validate",), ("serve", "--port", "0")):
        outcome = subprocess.run(
            [DUCAT, "--project", project, *words],
            env=clean,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = outcome.stdout + outcome.stderr
        assert outcome.returncode == 1
        assert "cubes/orders.yml:3:5: unknown_key" in said
        assert "did you mean sql_table?" in said
        assert "Traceback" not in said
