"""Builds the tables of the model's pre-aggregations from the tables in service.

    served file ─ SELECT of the definition ─▶ temporary file ─ rename ─▶ rollups/<name>-<id>.duckdb
                                                                 └─ rollups.json swapped ─ old file deleted

Each rollup is a file of its own, written whole before the manifest names it. A kill at any point leaves
the manifest as it was; what the killed build left behind is swept by the next one. Readers use a rollup
only for the served file that it was made from (`semantic/rollups.py`), so between a publish and the end
of a build they ask the rows. A rollup whose tables did not change is kept, and named for the new file.
"""

# ruff: noqa: S608 - every name in the SQL below is quoted, every value is ours

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import duckdb

from flows.errors import FlowError, LakeError, RollupError
from flows.lake import is_disk_full, lake_errors
from flows.lock import PublishLock
from semantic.compile.rollup import RollupBuild
from semantic.errors import SnapshotError, suggest
from semantic.rollups import (
    FOLDER,
    TABLE,
    SourceTable,
    StoredPartition,
    StoredRollup,
    read_rollups,
    write_rollups,
)
from semantic.snapshot import Snapshot, read_snapshot

Outcome = Literal["built", "kept", "refused", "failed"]
Progress = Callable[[str], None]
_TEMPORARY: Final = ".building-"
_PATIENCE: Final = 600.0  # seconds: another build of the same rollups is waited for
# As the server reads: see `semantic/engine/served.py`.
_DISABLED: Final = "common_subplan,compressed_materialization"
_NARROWEST: Final = 18  # digits of a DECIMAL that takes 64 bits
_AGAIN: Final = 0.05  # seconds between two interrupts: one between two statements stops neither


@dataclass(frozen=True, slots=True)
class RollupRun:
    """What became of one rollup. `note` says why it was refused or failed."""

    name: str
    timezone: str
    outcome: Outcome
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What a build may use. `seconds` is the deadline of one rollup."""

    memory: str = "2GB"
    seconds: float = 3_600.0


def build_rollups(
    serving: Path,
    builds: Sequence[RollupBuild],
    *,
    names: Collection[str] = (),
    force: bool = False,
    scheduled: bool = False,
    limits: BuildLimits = BuildLimits(),
    progress: Progress | None = None,
) -> tuple[RollupRun, ...]:
    """Build the rollups (those of `names`, if any), and put them in service one by one.

    Only what changed is built, everything with `force`. One that fails leaves the others alone.
    Rollups that the model no longer declares leave service: `builds` are all that it declares. With
    `scheduled` those that are refreshed by hand only are left as they are.

    Raises:
        SnapshotError: no tables are in service.
        RollupError: the model has no rollup of such a name.
        LakeConflictError: another build did not end in time.
        DiskFullError: no space is left; what is in service is whole.
    """
    for name in names:
        known = {item.name for item in builds}
        if name not in known:
            raise RollupError(
                f"the model has no pre-aggregation {name[:80]!r}",
                suggestion=suggest(name, known) or "`ducat rollups status` lists them all",
            )
    folder = serving / FOLDER
    lock = PublishLock.take(folder, patience=_PATIENCE)
    try:
        with lake_errors(str(folder)):
            return _build_all(
                serving,
                builds,
                {item.name for item in builds if item.scheduled or not scheduled}
                & {item.name for item in builds if not names or item.name in names},
                limits,
                progress or _tell_nobody,
                force=force,
                partly=bool(names),
            )
    finally:
        lock.release()


def drop_rollup(serving: Path, name: str) -> int:
    """Take a rollup out of service and delete its files; return how many there were.

    Raises:
        RollupError: none of that name is built.
    """
    lock = PublishLock.take(serving / FOLDER, patience=_PATIENCE)
    try:
        stored = _read_stored(serving)
        dropped = [item for item in stored if item.name == name]
        if not dropped:
            raise RollupError(
                f"no rollup {name[:80]!r} is built",
                suggestion=suggest(name, {item.name for item in stored})
                or "`ducat rollups status` lists them all",
            )
        write_rollups(serving, tuple(item for item in stored if item.name != name))
        for item in dropped:
            (serving / FOLDER / item.file).unlink(missing_ok=True)
        return len(dropped)
    finally:
        lock.release()


def _build_all(
    serving: Path,
    builds: Sequence[RollupBuild],
    chosen: Collection[str],
    limits: BuildLimits,
    tell: Progress,
    *,
    force: bool,
    partly: bool,
) -> tuple[RollupRun, ...]:
    snapshot = read_snapshot(serving)
    before = _read_stored(serving)
    declared = {(item.name, item.timezone) for item in builds if item.problem is None}
    current = {
        (item.name, item.timezone): item
        for item in before
        if partly or (item.name, item.timezone) in declared
    }
    runs = []
    _sweep(serving, before)
    for item in builds:
        if item.name not in chosen:
            continue
        if item.problem is not None:
            runs.append(RollupRun(item.name, item.timezone, "refused", note=item.problem))
            continue
        tell(f"{item.name} ({item.timezone})")
        key = (item.name, item.timezone)
        try:
            made, run = _renew(serving, snapshot, item, current.get(key), limits, force=force)
        except (FlowError, SnapshotError, duckdb.Error) as failed:
            if is_disk_full(failed):
                raise
            note = str(failed).partition("\n")[0]
            runs.append(RollupRun(item.name, item.timezone, "failed", note=note))
            continue
        runs.append(run)
        if current.get(key) != made:
            current[key] = made
            write_rollups(serving, tuple(current.values()))
    if tuple(current.values()) != _read_stored(serving):
        write_rollups(serving, tuple(current.values()))
    _sweep(serving, (*current.values(), *before))
    return tuple(runs)


def _read_stored(serving: Path) -> tuple[StoredRollup, ...]:
    """Return what is built and still there; a manifest that cannot be read says nothing."""
    try:
        stored = read_rollups(serving)
    except SnapshotError:
        return ()
    return tuple(item for item in stored if (serving / FOLDER / item.file).is_file())


def _renew(
    serving: Path,
    snapshot: Snapshot,
    item: RollupBuild,
    known: StoredRollup | None,
    limits: BuildLimits,
    *,
    force: bool,
) -> tuple[StoredRollup, RollupRun]:
    """Return the rollup for this snapshot: as it is when its tables are the same, else built."""
    started = time.perf_counter()
    with _open(serving, snapshot, limits.memory) as connection:
        tables = tuple(_read_sources(connection, snapshot, item.tables))
        if known is not None and not force and known.definition == item.definition:
            same = known.find_change(snapshot) is None or (
                known.tables == tables and all(table.origin for table in tables)
            )
            if same and _is_whole(serving / FOLDER / known.file, known.rows):
                kept = dataclasses.replace(
                    known, served=snapshot.file, served_at=snapshot.built_at, tables=tables
                )
                run = RollupRun(item.name, item.timezone, "kept", known.rows, known.bytes)
                return kept, run
        made = _build(serving, snapshot, item, tables, connection, limits)
    seconds = time.perf_counter() - started
    made = dataclasses.replace(made, seconds=seconds)
    return made, RollupRun(item.name, item.timezone, "built", made.rows, made.bytes, seconds)


@contextmanager
def _open(serving: Path, snapshot: Snapshot, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Lend a connection whose names are those of the served file.

    What does not fit into memory is written beside the rollups, where the next build sweeps it.
    """
    served = serving / snapshot.file
    if not served.is_file():
        raise SnapshotError(
            f"the served file {served.name} does not exist",
            suggestion="publish again with `ducat flows run`",
        )
    with duckdb.connect(
        config={
            "disabled_optimizers": _DISABLED,
            "memory_limit": memory,
            "temp_directory": str(_name_temporary(serving / FOLDER, "spill")),
        }
    ) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH {_text(str(served))} AS served (READ_ONLY)")
        connection.execute("USE served")
        # The model's SQL may read the served tables, and no file or address beside them.
        connection.execute(f"SET allowed_directories = [{_text(str(serving / FOLDER))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _read_sources(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, names: Sequence[str]
) -> Iterator[SourceTable]:
    """Yield the tables that a rollup reads, with what the served file says of their origin."""
    found = connection.execute(
        "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'served'"
    ).fetchall()
    comments = {str(name): str(comment or "") for name, comment in found}
    for name in names:
        short = name.replace('"', "").rpartition(".")[2]
        table = snapshot.find(short)
        version = -1 if table is None else table.version
        yield SourceTable(short, version, comments.get(short, ""))


def _is_whole(path: Path, rows: int) -> bool:
    """Whether a built file still has all of its rows, each of its blocks as it was written."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            # Blocks have checksums, checked as they are read; counting alone reads almost none.
            [(found, _)] = connection.execute(
                f"SELECT count(*), bit_xor(hash(stored)) FROM {TABLE} AS stored"
            ).fetchall()
    except duckdb.Error:
        return False
    return bool(found == rows)


def _build(
    serving: Path,
    snapshot: Snapshot,
    item: RollupBuild,
    tables: tuple[SourceTable, ...],
    connection: duckdb.DuckDBPyConnection,
    limits: BuildLimits,
) -> StoredRollup:
    """Write the rollup's file and give it its name.

    Raises:
        RollupError: its SELECT failed, or took too long.
    """
    folder = serving / FOLDER
    temporary = _name_temporary(folder, "duckdb")
    try:
        connection.execute(f"ATTACH {_text(str(temporary))} AS made")
        with _deadline(connection, item.name, limits.seconds):
            keys = ", ".join(_sort_keys(connection, item))
            order = f" ORDER BY {keys}" if keys else ""
            connection.execute(
                f"CREATE TABLE made.main.{TABLE} AS SELECT * FROM ({item.sql}) AS _definition{order}"
            )
            _narrow(connection, item.sums)
        [(rows,)] = connection.execute(f"SELECT count(*) FROM made.main.{TABLE}").fetchall()
        partitions = tuple(_read_partitions(connection, item))
        connection.execute("CHECKPOINT made")
        connection.execute("DETACH made")
        _sync(temporary)
        identity = hashlib.sha256(f"{item.definition} {os.urandom(16).hex()}".encode()).hexdigest()
        slug = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{item.name}-{item.timezone}")
        file = folder / f"{slug}-{identity[:16]}.duckdb"
        size = temporary.stat().st_size
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
        Path(f"{temporary}.wal").unlink(missing_ok=True)
    return StoredRollup(
        name=item.name,
        timezone=item.timezone,
        definition=item.definition,
        file=file.name,
        rows=int(rows),
        bytes=size,
        tables=tables,
        served=snapshot.file,
        served_at=snapshot.built_at,
        built_at=datetime.now(UTC),
        seconds=0.0,
        partitions=partitions,
    )


@contextmanager
def _deadline(connection: duckdb.DuckDBPyConnection, name: str, seconds: float) -> Iterator[None]:
    """Interrupt what runs on the connection when it takes too long.

    Raises:
        RollupError: it did, or the SELECT of the rollup failed.
    """
    done = threading.Event()

    def interrupt() -> None:
        if not done.wait(seconds):
            while not done.wait(_AGAIN):
                connection.interrupt()

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    try:
        yield
    except duckdb.InterruptException as late:
        raise RollupError(
            f"{name} took longer than {seconds:g} seconds to build",
            suggestion="give it fewer dimensions or coarser periods",
        ) from late
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.ConversionException) as failed:
        raise RollupError(
            f"{name}: {str(failed).splitlines()[0]}",
            suggestion="its SELECT is shown by `ducat rollups status --json`",
        ) from failed
    finally:
        done.set()
        watcher.join()  # so that it interrupts nothing that comes after


def _sort_keys(connection: duckdb.DuckDBPyConnection, item: RollupBuild) -> Iterator[str]:
    """Yield the time by which most queries choose, then the other keys."""
    described = connection.execute(f"DESCRIBE {item.sql}").fetchall()
    columns = [str(row[0]) for row in described if str(row[0]).startswith("_k")]
    times = [
        str(row[0]) for row in described if str(row[0]).startswith("_k") if "TIME" in str(row[1])
    ]
    yield from dict.fromkeys((*times, *columns))


def _narrow(connection: duckdb.DuckDBPyConnection, sums: Sequence[str]) -> None:
    """Store sums in 64 bits where all fit: summing them gives the same, in half the time."""
    for row in connection.execute(f"DESCRIBE made.main.{TABLE}").fetchall():
        name, kind = str(row[0]), str(row[1])
        narrow = _find_narrow(kind)
        if name not in sums or narrow is None:
            continue
        [(fits,)] = connection.execute(
            f"SELECT bool_and({name} IS NULL OR TRY_CAST({name} AS {narrow}) IS NOT NULL) "
            f"FROM made.main.{TABLE}"
        ).fetchall()
        if fits:
            connection.execute(f"ALTER TABLE made.main.{TABLE} ALTER {name} TYPE {narrow}")


def _find_narrow(kind: str) -> str | None:
    """Return the type of 64 bits that stands for a sum's; None where there is none."""
    if kind == "HUGEINT":
        return "BIGINT"
    wide = re.fullmatch(r"DECIMAL\(38,(\d+)\)", kind)
    if wide is None or int(wide[1]) > _NARROWEST:
        return None
    return f"DECIMAL({_NARROWEST},{wide[1]})"


def _read_partitions(
    connection: duckdb.DuckDBPyConnection, item: RollupBuild
) -> Iterator[StoredPartition]:
    if item.time is None or item.partition is None:
        return
    found = connection.execute(
        f"SELECT date_trunc('{item.partition}', {item.time}), count(*) FROM made.main.{TABLE} "
        "GROUP BY 1 ORDER BY 1 NULLS FIRST"
    ).fetchall()
    for start, rows in found:
        yield StoredPartition(start, int(rows))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as failed:
        raise LakeError(f"{path.name} cannot be synced: {failed}") from failed
    finally:
        os.close(descriptor)


def _sweep(serving: Path, keep: Sequence[StoredRollup]) -> None:
    """Delete what killed builds left behind, and files that no manifest names."""
    named = {item.file for item in keep}
    for path in (serving / FOLDER).iterdir():
        leftover = path.name.startswith(_TEMPORARY)
        if leftover and path.is_dir():
            shutil.rmtree(path)
        elif leftover or (path.suffix == ".duckdb" and path.name not in named):
            path.unlink(missing_ok=True)


def _name_temporary(folder: Path, kind: str) -> Path:
    """Return a name that a later build takes for a leftover, should this one be killed."""
    return folder / f"{_TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}.{kind}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _tell_nobody(_step: str) -> None:
    """Take a step's name and do nothing."""
