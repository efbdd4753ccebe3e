"""`ducat init` writes a project that is valid, runs, holds its contract and answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.cli import run
from flows.candidate import build_candidate
from flows.discovery import load_pipelines
from flows.ingest import ingest
from flows.lake import Lake
from flows.serving import discard, promote
from flows.transform import transform_silver
from quality.contract import load_contracts
from quality.gate import check_candidate
from semantic.project import Project

DUCAT = Path(sys.executable).parent / "ducat"
NOW = datetime(2024, 4, 1, tzinfo=UTC)


def call(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")}
    return subprocess.run(
        [DUCAT, *arguments],
        env=clean | variables, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = call("init", tmp_path / "shop")
    assert made.returncode == 0, made.stderr
    assert "ducat flows run" in made.stderr
    # The pipeline names its sample in the environment, which this process keeps.
    monkeypatch.setenv("SHOP_ORDERS_URL", str(tmp_path / "shop" / "sample"))
    return Project.open(tmp_path / "shop")


def serve_sample(project: Project) -> Mapping[str, str]:
    """Do what `ducat flows run` does, without Prefect; return the state of each table."""
    home = project.root / ".ducat"
    (pipeline,) = load_pipelines(project)
    lake, serving = Lake.at(str(home / "lake")), home / "serving"
    serving.mkdir(parents=True)
    for source in pipeline.sources:
        ingest(source, pipeline=pipeline.name, lake=lake, now=NOW)
    transform_silver(pipeline, lake=lake, now=NOW)
    candidate = build_candidate(pipeline, lake=lake, serving=serving, now=NOW)
    try:
        loaded = {change.transform.name: change.loaded_at for change in candidate.tables}
        result = check_candidate(
            candidate.database,
            load_contracts(project.contracts),
            now=NOW,
            loaded_at=loaded,
            docs=home / "docs",
        )
        promote(candidate, lake=lake, serving=serving, quality=result.states())
    finally:
        discard(candidate)
    return {name: state.state for name, state in result.states().items()}


def test_the_project_is_valid_with_strict_joins_too(project: Project) -> None:
    checked = call("--project", project.root, "validate", "--json", DUCAT_STRICT_JOINS="true")
    assert checked.returncode == 0, checked.stderr
    told = json.loads(checked.stdout)
    assert (told["valid"], told["cubes"], told["views"]) == (True, 1, 1)
    assert told["warnings"] == []


def test_the_sample_goes_into_service_and_is_answered(project: Project) -> None:
    assert serve_sample(project) == {"fct_orders": "passed"}
    query = {
        "measures": ["sales.revenue", "sales.count"],
        "dimensions": ["sales.product"],
        "order": {"sales.product": "asc"},
    }
    asked = call("--project", project.root, "query", "--json", json.dumps(query))
    assert asked.returncode == 0, asked.stderr
    # By hand, from sample/orders.csv.
    assert [
        (row["sales.product"], float(row["sales.revenue"]), row["sales.count"])
        for row in json.loads(asked.stdout)["data"]
    ] == [("chair", 526.75, "3"), ("desk", 810.47, "3"), ("lamp", 424.0, "4")]


def test_nothing_is_overwritten(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in project.root.rglob("*") if file.is_file()}
    assert run(["init", str(project.root)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error[invalid_project]")
    assert "is not empty" in error
    assert {file: file.read_bytes() for file in before} == before
    blocked = project.root / "README.md" / "below"
    assert run(["init", str(blocked)]) == 1
    assert "cannot be written" in capsys.readouterr().err
