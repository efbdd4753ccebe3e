"""Gold that is not in service yet: a DuckDB file beside the served one, for the gate to look at.

Silver's changes decide which days of which gold tables are computed again; the other days come
from the gold Delta tables. Nothing that anyone reads is changed here. `flows/serving.py` puts
the file in service, or throws it away.

The served file says of each table which pipeline made it and which version of which Delta table it
holds (as the table's comment). That is how a run after a kill between the Delta commits and the
manifest knows that the file in service is behind, and how a file survives that another
pipeline's tables live in as well: they are carried over as they are.
"""

# ruff: noqa: S608 - every name in the SQL below is quoted, every value is ours

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from deltalake import DeltaTable

from flows.days import Days, quote
from flows.errors import LakeError
from flows.inputs import Input, open_inputs
from flows.lake import Lake, lake_errors, read_dataset
from flows.lock import PublishLock
from flows.pipeline import Pipeline, TableRun, Transform
from flows.rebuild import Rebuilt, Workspace, open_workspace, order_by, rebuild
from semantic.errors import SnapshotError
from semantic.snapshot import Snapshot, TableSnapshot, read_snapshot

Progress = Callable[[str], None]

SCHEMA: Final = "gold"
TEMPORARY: Final = ".candidate-"


@dataclass(frozen=True, slots=True)
class GoldChange:
    """What promoting does to one gold Delta table: from `base` to the rows of the candidate."""

    transform: Transform
    base: DeltaTable | None
    changed: bool
    whole: bool
    days: Days
    state: dict[str, int]
    rows: int
    data_until: datetime | None
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """Gold tables ready to be checked.

    `database` is the DuckDB file; it is the served file itself when `changed` is False.
    `runs` says what was done to each table. Holds the publisher's lock until it is promoted or
    discarded.
    """

    pipeline: str
    database: Path
    changed: bool
    tables: tuple[GoldChange, ...]
    carried: tuple[TableSnapshot, ...]
    current: Snapshot | None
    built_at: datetime
    runs: tuple[TableRun, ...]
    lock: PublishLock


def build_candidate(
    pipeline: Pipeline,
    *,
    lake: Lake,
    serving: Path,
    now: datetime,
    days: frozenset[date] | None = None,
    progress: Progress | None = None,
) -> Candidate:
    """Compute gold from silver into a new file in the serving folder; nothing else changes.

    `days` computes these days as well, whether or not silver changed.

    Raises:
        LakeConflictError: another run is publishing into this folder.
        TransformError: a transform's rows break what it promises.
        LakeError: a silver table is missing; DiskFullError: no space is left.
    """
    lock = PublishLock.take(serving)
    try:
        remove_leftovers(serving)
        with open_workspace() as workspace, lake_errors(f"{serving}/gold"):
            return _build(
                workspace, pipeline, lake, serving, now, Days(days or frozenset()), progress, lock
            )
    except BaseException:
        remove_leftovers(serving)
        lock.release()
        raise


def describe_origin(pipeline: str, table: DeltaTable) -> str:
    """Return the comment that a served table carries: what it is a copy of."""
    return json.dumps(
        {"pipeline": pipeline, "delta": str(table.metadata().id), "version": table.version()}
    )


def remove_leftovers(serving: Path) -> None:
    """Delete candidates that nobody will promote. Only the holder of the lock may call this."""
    for path in serving.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _build(
    workspace: Workspace,
    pipeline: Pipeline,
    lake: Lake,
    serving: Path,
    now: datetime,
    forced: Days,
    progress: Progress | None,
    lock: PublishLock,
) -> Candidate:
    tell = progress or _tell_nobody
    rebuilt: list[Rebuilt] = []
    runs: list[TableRun] = []
    loaded: list[datetime] = []
    for transform in pipeline.gold:
        started = time.monotonic()
        tell(f"{transform.name}:read")
        inputs = _open_silver(pipeline, transform, lake)
        existing = lake.open("gold", transform.name)
        result = rebuild(
            workspace, transform, inputs, existing, lake=lake, forced=forced, progress=progress
        )
        rebuilt.append(result)
        loaded.append(_loaded_at(workspace, pipeline, inputs, lake, now))
        runs.append(_describe(workspace, result, now, time.monotonic() - started))
    current = _current(serving)
    origins = _served_origins(serving, current)
    own = {transform.name for transform in pipeline.gold}
    others = {name for name, origin in origins.items() if origin.get("pipeline") != pipeline.name}
    carried = tuple(
        table
        for table in (current.tables if current else ())
        if table.name in others and table.name not in own
    )
    changed = any(result.changed for result in rebuilt) or not _is_served(
        pipeline, rebuilt, origins, {table.name for table in carried}
    )
    if changed or current is None:
        database = serving / f"{TEMPORARY}{secrets.token_hex(8)}.duckdb"
        tell("candidate:write")
        served = serving / current.file if current and carried else None
        _write_file(workspace, rebuilt, carried, served, database, tell)
        tell("candidate:written")
    else:
        database = serving / current.file
    tables = _measure(database, rebuilt, loaded)
    return Candidate(
        pipeline.name, database, changed, tables, carried, current, now, tuple(runs), lock
    )


def _open_silver(pipeline: Pipeline, transform: Transform, lake: Lake) -> tuple[Input, ...]:
    inputs = open_inputs(pipeline, transform, lake, of_gold=True)
    for each in inputs:
        if each.table is None:
            raise LakeError(
                f"{transform.name} reads {each.name}, which is not in the lake yet",
                suggestion="run the silver step first",
            )
    return inputs


def _write_file(
    workspace: Workspace,
    rebuilt: list[Rebuilt],
    carried: tuple[TableSnapshot, ...],
    served: Path | None,
    database: Path,
    tell: Progress,
) -> None:
    """Write every table, its rows in the order of day and key, into a new file."""
    sql = workspace.sql
    sql.execute(f"ATTACH '{_literal(database)}' AS candidate")
    sql.execute(f"CREATE SCHEMA candidate.{SCHEMA}")
    for result in rebuilt:
        name = result.transform.name
        sql.execute(
            f"CREATE TABLE candidate.{SCHEMA}.{quote(name)} AS "
            f"SELECT * FROM ({_rows_after(workspace, result)}) ORDER BY {order_by(result.transform)}"
        )
        tell(f"candidate:{name}")
    if served is not None:
        sql.execute(f"ATTACH '{_literal(served)}' AS served (READ_ONLY)")
        for table in carried:
            target = f"candidate.{SCHEMA}.{quote(table.name)}"
            source = f"served.{SCHEMA}.{quote(table.name)}"
            sql.execute(f"CREATE TABLE {target} AS SELECT * FROM {source}")
            comment = workspace.scalar(
                "SELECT comment FROM duckdb_tables() WHERE database_name = 'served' "
                f"AND schema_name = '{SCHEMA}' AND table_name = '{table.name.replace(chr(39), '')}'"
            )
            sql.execute(f"COMMENT ON TABLE {target} IS '{str(comment).replace(chr(39), '')}'")
        sql.execute("DETACH served")
    sql.execute("CHECKPOINT candidate")
    sql.execute("DETACH candidate")


def _rows_after(workspace: Workspace, result: Rebuilt) -> str:
    """Return SQL of all rows of a table as they will be."""
    if result.whole or (result.changed and not result.transform.day_column):
        return result.select(ordered=False)
    existing = f"existing_{result.transform.name}"
    if result.existing is not None:
        workspace.sql.register(existing, read_dataset(result.existing))
    kept = f"SELECT * FROM {quote(existing)}"
    if not result.changed:
        return kept
    replaced = result.days.predicate(result.transform.day_column or "")
    return f"{kept} WHERE NOT {replaced} UNION ALL {result.select(ordered=False)}"


def _measure(
    database: Path, rebuilt: list[Rebuilt], loaded: list[datetime]
) -> tuple[GoldChange, ...]:
    tables = []
    with duckdb.connect(str(database), read_only=True) as connection:
        for result, loaded_at in zip(rebuilt, loaded, strict=True):
            transform = result.transform
            newest = f"max({quote(transform.event_time)})" if transform.event_time else "NULL"
            rows, until = connection.execute(
                f"SELECT count(*), {newest} FROM {SCHEMA}.{quote(transform.name)}"
            ).fetchall()[0]
            tables.append(
                GoldChange(
                    transform=transform,
                    base=result.existing,
                    changed=result.changed,
                    whole=result.whole,
                    days=result.days,
                    state=result.state,
                    rows=rows,
                    data_until=until.replace(tzinfo=UTC) if until else None,
                    loaded_at=loaded_at,
                )
            )
    return tuple(tables)


def _current(serving: Path) -> Snapshot | None:
    """Return what is in service; None when there is nothing that could be carried over."""
    try:
        snapshot = read_snapshot(serving)
    except SnapshotError:
        return None
    return snapshot if (serving / snapshot.file).is_file() else None


def _served_origins(serving: Path, current: Snapshot | None) -> dict[str, dict[str, Any]]:
    """Return where each table of the served file says it comes from."""
    if current is None:
        return {}
    with duckdb.connect(str(serving / current.file), read_only=True) as connection:
        found = connection.execute(
            "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = ?", [SCHEMA]
        ).fetchall()
    origins = {}
    for name, comment in found:
        try:
            origin = json.loads(comment or "{}")
        except ValueError:
            origin = {}
        origins[name] = origin if isinstance(origin, dict) else {}
    return origins


def _is_served(
    pipeline: Pipeline,
    rebuilt: list[Rebuilt],
    origins: dict[str, dict[str, Any]],
    carried: set[str],
) -> bool:
    """Return whether the served file holds the newest gold tables, and no table too many."""
    expected = {
        result.transform.name: json.loads(describe_origin(pipeline.name, result.existing))
        for result in rebuilt
        if result.existing is not None
    }
    return {name: origin for name, origin in origins.items() if name not in carried} == expected


def _loaded_at(
    workspace: Workspace, pipeline: Pipeline, inputs: tuple[Input, ...], lake: Lake, now: datetime
) -> datetime:
    """Return when the newest batch that is in these silver tables reached bronze."""
    newest: list[datetime] = []
    by_name = {transform.name: transform for transform in pipeline.silver}
    for each in inputs:
        for below in open_inputs(pipeline, by_name[each.name], lake, of_gold=False):
            if below.layer == "silver":
                newest.append(_loaded_at(workspace, pipeline, (below,), lake, now))
                continue
            version = below.consumed(each.table)
            table = (
                lake.open_version(version, "bronze", *below.path) if version is not None else None
            )
            if table is None:
                continue
            name = f"loaded_{below.view}"
            workspace.sql.register(name, read_dataset(table))
            loaded = workspace.scalar(f"SELECT epoch_us(max(_loaded_at)) FROM {quote(name)}")
            workspace.sql.unregister(name)
            if loaded is not None:
                newest.append(datetime.fromtimestamp(loaded / 1_000_000, tz=UTC))
    return max(newest, default=now)


def _describe(workspace: Workspace, result: Rebuilt, now: datetime, seconds: float) -> TableRun:
    written = 0
    if result.changed:
        written = int(workspace.scalar(f"SELECT count(*) FROM ({result.select(ordered=False)})"))
    version = result.existing.version() if result.existing is not None else None
    return TableRun(
        table=result.transform.name,
        version=version,
        rows_in=result.rows,
        rows_written=written,
        days=_written_days(workspace, result),
        started_at=now,
        seconds=seconds,
        note="" if result.changed else "up to date",
    )


def _written_days(workspace: Workspace, result: Rebuilt) -> tuple[date, ...]:
    column = result.transform.day_column
    if column is None or not result.changed:
        return ()
    if not result.days.every:
        return result.days.sorted()
    found: list[tuple[Any, ...]] = workspace.sql.execute(
        f"SELECT DISTINCT {quote(column)} FROM {quote(result.relation or '')} ORDER BY 1"
    ).fetchall()
    return tuple(row[0] for row in found)


def _literal(path: Path) -> str:
    return str(path).replace("'", "''")


def _tell_nobody(_step: str) -> None:
    """Take a step's name and do nothing."""
