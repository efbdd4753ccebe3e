"""Makes the tables of rollups as flows do, without flows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from semantic.compile.rollup import RollupBuild
from semantic.engine.served import DISABLED_OPTIMIZERS
from semantic.rollups import FOLDER, SourceTable, StoredRollup, write_rollups
from semantic.service import SemanticLayer
from semantic.snapshot import read_snapshot

_BUILT_AT: Final = datetime(2026, 1, 2, tzinfo=UTC)


def build_rollups(
    layer: SemanticLayer, serving: Path, timezones: Sequence[str] = ("UTC",), *, run: str = "a"
) -> tuple[RollupBuild, ...]:
    """Make the table of every pre-aggregation that can be, and put them in service."""
    snapshot = read_snapshot(serving)
    tables = tuple(SourceTable(table.name, table.version) for table in snapshot.tables)
    (serving / FOLDER).mkdir(exist_ok=True)
    builds = layer.rollup_builds(timezones)
    stored = []
    for number, item in enumerate(builds):
        if item.problem is None:
            file = f"{run}{number}.duckdb"
            rows = _build(serving / snapshot.file, serving / FOLDER / file, item)
            stored.append(
                StoredRollup(item.name, item.timezone, item.definition, file, rows, 0, tables,
                             snapshot.file, snapshot.built_at, _BUILT_AT, 0.0)
            )  # fmt: skip
    write_rollups(serving, tuple(stored))
    return builds


def _build(served: Path, made: Path, item: RollupBuild) -> int:
    with duckdb.connect(config={"disabled_optimizers": DISABLED_OPTIMIZERS}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH '{served}' AS served (READ_ONLY)")
        connection.execute(f"ATTACH '{made}' AS made")
        connection.execute("USE served")
        connection.execute(f"CREATE TABLE made.main.rollup AS {item.sql}")
        _narrow(connection, item.sums)
        row = connection.execute("SELECT count(*) FROM made.main.rollup").fetchone()
    return int(row[0]) if row else 0


def _narrow(connection: duckdb.DuckDBPyConnection, sums: Sequence[str]) -> None:
    """Store sums in 64 bits where all fit."""
    described = connection.execute("DESCRIBE made.main.rollup").fetchall()
    for name, kind in ((str(row[0]), str(row[1])) for row in described):
        narrow = "BIGINT" if kind == "HUGEINT" else kind.replace("DECIMAL(38,", "DECIMAL(18,")
        if name not in sums or narrow == kind:
            continue
        [(fits,)] = connection.execute(
            f"SELECT bool_and({name} IS NULL OR TRY_CAST({name} AS {narrow}) IS NOT NULL) "
            "FROM made.main.rollup"
        ).fetchall()
        if fits:
            connection.execute(f"ALTER TABLE made.main.rollup ALTER {name} TYPE {narrow}")
