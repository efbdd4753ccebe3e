"""A SemanticLayer over tables that a test fills itself: a real project, a real served file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from semantic.catalog.load import ModelLoader
from semantic.engine.execute import Engine
from semantic.plan.statistics import Statistics
from semantic.project import Project
from semantic.service import SemanticLayer
from semantic.snapshot import QualityState, Snapshot, TableSnapshot, identify, publish_snapshot

BUILT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSED = QualityState("passed", BUILT_AT)


def write_project(folder: Path, model: str) -> Project:
    """Write a project whose model is one text."""
    path = folder / "semantic" / "model"
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.yml").write_text(model, encoding="utf-8")
    return Project.open(folder)


def publish(
    serving: Path, seed: str, *, version: int = 1, quality: QualityState = PASSED
) -> Snapshot:
    """Run the seed into a new DuckDB file and put it in service."""
    serving.mkdir(parents=True, exist_ok=True)
    file = serving / f"gold-{version}.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS gold")
        connection.execute(seed)
        listed = connection.execute(
            "SELECT table_name, estimated_size FROM duckdb_tables() ORDER BY table_name"
        ).fetchall()
    tables = tuple(
        TableSnapshot(str(name), version, int(rows), None, BUILT_AT, quality)
        for name, rows in listed
    )
    snapshot = Snapshot(identify(tables), file.name, BUILT_AT, tables)
    publish_snapshot(serving, snapshot)
    return snapshot


class EagerEngine(Engine):
    """DuckDB, with whatever may be planned in another way planned so, whether it pays or not."""

    def statistics(self) -> Statistics:
        """Return what is known of the tables."""
        return dataclasses.replace(super().statistics(), eager=True)


def open_layer(
    folder: Path, model: str, seed: str, *, timeout_seconds: float = 60.0, eager: bool = False
) -> SemanticLayer:
    """Return a layer over the model and the seeded tables. Close it after use."""
    publish(folder / "serving", seed)
    if eager:
        engine = EagerEngine(
            folder / "serving", memory_limit="1GB", timeout_seconds=timeout_seconds
        )
        return SemanticLayer(ModelLoader(write_project(folder, model).model), engine)
    return SemanticLayer.open(
        write_project(folder, model),
        serving=folder / "serving",
        memory_limit="1GB",
        timeout_seconds=timeout_seconds,
    )


def read_rows(folder: Path, sql: str, version: int = 1) -> list[tuple[object, ...]]:
    """Return what hand-written SQL reads from the served file."""
    with duckdb.connect(str(folder / "serving" / f"gold-{version}.duckdb"), read_only=True) as db:
        db.execute("SET TimeZone = 'UTC'")
        return db.execute(sql).fetchall()


def count_by(rows: Iterable[object]) -> dict[object, int]:
    """Return how often each row occurs."""
    found: dict[object, int] = {}
    for row in rows:
        found[row] = found.get(row, 0) + 1
    return found
