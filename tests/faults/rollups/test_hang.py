"""A source that hangs, and SQL that reaches for files: an error of that rollup, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.rollups import BuildLimits, RollupRun, build_rollups
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, read_rollups
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer, publish

NOW = datetime(2024, 7, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: slow
    sql_table: gold.slow
    dimensions: [{name: part, type: number, sql: part}]
    measures: [{name: count, type: count}]
    pre_aggregations: [{name: by_part, measures: [count], dimensions: [part]}]
  - name: quick
    sql_table: gold.quick
    dimensions: [{name: part, type: number, sql: part}]
    measures: [{name: count, type: count}]
    pre_aggregations: [{name: by_part, measures: [count], dimensions: [part]}]
  - name: thief
    sql: "SELECT content AS part FROM read_text('SECRET')"
    dimensions: [{name: part, type: string, sql: part}]
    measures: [{name: count, type: count}]
    pre_aggregations: [{name: by_part, measures: [count], dimensions: [part]}]
"""
QUICK = "CREATE TABLE gold.quick AS SELECT i % 3 AS part FROM range(30) r(i);"
HANGS = """
CREATE VIEW gold.slow AS SELECT hash(a.range, b.range) % 7 AS part
FROM range(10000000) a, range(10000000) b;
"""
MENDED = "CREATE TABLE gold.slow AS SELECT i % 7 AS part FROM range(70) r(i);"
BY_PART = {"measures": ["slow.count"], "dimensions": ["slow.part"]}


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[SemanticLayer]:
    secret = tmp_path / "secret"
    secret.write_text("what only the operator may read")
    opened = open_layer(tmp_path, MODEL.replace("SECRET", str(secret)), QUICK + HANGS)
    yield opened
    opened.close()


def build(layer: SemanticLayer, serving: Path) -> dict[str, RollupRun]:
    runs = build_rollups(serving, layer.rollup_builds(("UTC",)), limits=BuildLimits("1GB", 1.0))
    return {run.name: run for run in runs}


def test_a_source_that_hangs_costs_its_deadline_and_recovers_by_itself(
    layer: SemanticLayer, tmp_path: Path
) -> None:
    serving = tmp_path / "serving"
    runs = build(layer, serving)
    assert runs["slow.by_part"].outcome == "failed"
    assert "took longer than 1 seconds" in runs["slow.by_part"].note
    assert runs["quick.by_part"].outcome == "built"
    kept = {path.name for path in (serving / FOLDER).iterdir()} - {".publish.lock"}
    assert kept == {item.file for item in read_rollups(serving)}
    publish(serving, QUICK + MENDED, version=2)
    assert build(layer, serving)["slow.by_part"].outcome == "built"
    found = layer.load(parse_json(BY_PART), SecurityContext(), now=NOW)
    assert found.rollups == ("slow.by_part",)
    assert found.table.column("slow.count").to_pylist() == [10] * 7


def test_sql_of_the_model_reads_no_file_while_a_rollup_is_built(
    layer: SemanticLayer, tmp_path: Path
) -> None:
    run = build(layer, tmp_path / "serving")["thief.by_part"]
    assert run.outcome == "failed"
    assert "disabled" in run.note or "ermission" in run.note
