"""Putting a checked candidate in service, whole, or throwing it away.

    gold Delta tables ──▶ file named ──▶ manifest swapped ──▶ old files deleted
       one commit each      rename         rename

A kill after any of these leaves the old manifest, and the old file that it names, in service. The
next run finds the Delta tables that were already committed up to date, computes what is missing,
sees that the served file is behind and publishes the same tables.
"""

# ruff: noqa: S608 - every name in the SQL below is quoted, every value is ours

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from flows.candidate import SCHEMA, Candidate, GoldChange, describe_origin, remove_leftovers
from flows.days import quote, write_days
from flows.errors import LakeConflictError, LakeError
from flows.inputs import DAYS_KEY
from flows.lake import Lake, lake_errors
from flows.rebuild import order_by
from semantic.snapshot import (
    UNCHECKED,
    QualityState,
    Snapshot,
    TableSnapshot,
    identify,
    publish_snapshot,
)

Progress = Callable[[str], None]

KEPT: Final = 2


def promote(
    candidate: Candidate,
    *,
    lake: Lake,
    serving: Path,
    quality: Mapping[str, QualityState],
    progress: Progress | None = None,
) -> Snapshot:
    """Make the candidate the gold tables and put it in service; return what is in service now.

    When nothing changed the snapshot in service stays, with newer quality states and load times.

    Raises:
        LakeConflictError: the candidate was promoted or discarded already, or someone else wrote a
            gold table since it was built.
        LakeError: a gold table cannot be written; DiskFullError: no space is left. What was in
            service stays, and a new run brings the rest.
    """
    if not candidate.lock.held:
        raise LakeConflictError(
            "this candidate was promoted or discarded already", suggestion="build a new one"
        )
    tell = progress or _tell_nobody
    with lake_errors(str(serving)):
        snapshot = _promote(candidate, lake, serving, quality, tell)
    candidate.lock.release()
    return snapshot


def discard(candidate: Candidate) -> None:
    """Throw a candidate away and let others publish; one that was promoted is left alone."""
    if not candidate.lock.held:
        return
    if candidate.changed:
        candidate.database.unlink(missing_ok=True)
    candidate.lock.release()


def _promote(
    candidate: Candidate,
    lake: Lake,
    serving: Path,
    quality: Mapping[str, QualityState],
    tell: Progress,
) -> Snapshot:
    versions: dict[str, DeltaTable] = {}
    for change in candidate.tables:
        tell(f"gold:{change.transform.name}")
        versions[change.transform.name] = _commit(candidate, change, lake)
    tables = (
        *(
            TableSnapshot(
                name=change.transform.name,
                version=versions[change.transform.name].version(),
                rows=change.rows,
                data_until=change.data_until,
                loaded_at=change.loaded_at,
                quality=quality.get(change.transform.name, UNCHECKED),
            )
            for change in candidate.tables
        ),
        *(
            dataclasses.replace(table, quality=quality.get(table.name, table.quality))
            for table in candidate.carried
        ),
    )
    current = candidate.current
    if not candidate.changed and current is not None:
        if tables == current.tables:
            return current
        snapshot = dataclasses.replace(current, tables=tables)
        publish_snapshot(serving, snapshot)
        return snapshot
    identity = identify(tables)
    if current is not None and current.id == identity:
        # The lake was made anew and its versions count from 0 again: other rows, same versions.
        tables_made = "".join(str(table.metadata().id) for table in versions.values())
        identity = hashlib.sha256((identity + tables_made).encode()).hexdigest()[:16]
    file = serving / f"gold-{identity}.duckdb"
    tell("serving:name")
    _finish(candidate, versions, file)
    snapshot = Snapshot(identity, file.name, candidate.built_at, tables)
    tell("serving:manifest")
    publish_snapshot(serving, snapshot)
    tell("serving:published")
    _prune(serving, file, current)
    return snapshot


def _commit(candidate: Candidate, change: GoldChange, lake: Lake) -> DeltaTable:
    """Replace the changed days of one gold Delta table; return the table as it is then."""
    name = change.transform.name
    now = lake.open("gold", name)
    if (now.version() if now else None) != (change.base.version() if change.base else None):
        raise LakeConflictError(
            f"gold table {name} was written by someone else since the candidate was built",
            suggestion="run again",
        )
    if not change.changed:
        if now is None:
            raise LakeError(f"gold table {name} is gone")
        return now
    day = change.transform.day_column
    partial = day is not None and not change.whole
    predicate = change.days.predicate(day or "") if partial else None
    condition = f" WHERE {predicate}" if predicate else ""
    with duckdb.connect(str(candidate.database), read_only=True) as connection:
        reader = connection.execute(
            f"SELECT * FROM {SCHEMA}.{quote(name)}{condition} ORDER BY {order_by(change.transform)}"
        ).to_arrow_reader()
        try:
            lake.commit(
                now,
                reader,
                "gold",
                name,
                mode="overwrite",
                predicate=predicate,
                schema_mode="overwrite" if change.whole else None,
                transactions=change.state,
                metadata={DAYS_KEY: write_days(change.days)},
            )
        except CommitFailedError as lost:
            raise LakeConflictError(
                f"gold table {name} was written by someone else at the same moment",
                suggestion="run again",
            ) from lost
    written = lake.open("gold", name)
    if written is None:
        raise LakeError(f"gold table {name} is gone")
    return written


def _finish(candidate: Candidate, versions: Mapping[str, DeltaTable], file: Path) -> None:
    """Write each table's origin into the candidate, sync it to the disk and give it its name."""
    with duckdb.connect(str(candidate.database)) as connection:
        for name, table in versions.items():
            origin = describe_origin(candidate.pipeline, table).replace("'", "''")
            connection.execute(f"COMMENT ON TABLE {SCHEMA}.{quote(name)} IS '{origin}'")
        connection.execute("CHECKPOINT")
    descriptor = os.open(candidate.database, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    candidate.database.replace(file)


def _prune(serving: Path, served: Path, previous: Snapshot | None) -> None:
    """Delete files that no manifest names any more; a reader may still open the previous one."""
    keep = {served.name, previous.file if previous else ""}
    files = sorted(
        serving.glob("gold-*.duckdb"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in files:
        if path.name in keep:
            continue
        if len(keep - {""}) < KEPT:
            keep.add(path.name)
            continue
        path.unlink(missing_ok=True)
    remove_leftovers(serving)


def _tell_nobody(_step: str) -> None:
    """Take a step's name and do nothing."""
