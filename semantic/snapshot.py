"""What is in service: one manifest that names the served DuckDB file and the state of its tables.

The flows write it, the metrics server reads it. The file `current.json` in the serving folder is
replaced atomically (written beside, synced, renamed), after the DuckDB file that it names is
complete. So a reader sees the old set of tables or the new one, never a mix, also after a `kill
-9` of the writer. `checks.json` beside it holds the newest quality check of each table, also when
that check failed and therefore the tables in service are older ones.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from semantic.errors import SnapshotError

MANIFEST: Final = "current.json"
CHECKS: Final = "checks.json"
FORMAT: Final = 1

QualityName = Literal["passed", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class QualityState:
    """The outcome of a contract's checks on one table."""

    state: QualityName
    checked_at: datetime | None = None
    failures: tuple[str, ...] = ()


UNCHECKED: Final = QualityState("unknown")


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """One served table: the lake version it was built from, and how fresh it is.

    `data_until` is the newest event time in the table (UTC; None for a table without time),
    `loaded_at` the time at which its newest source batch reached bronze (UTC).
    """

    name: str
    version: int
    rows: int
    data_until: datetime | None
    loaded_at: datetime
    quality: QualityState = UNCHECKED


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables in service. `file` is the DuckDB file's name inside the serving folder."""

    id: str
    file: str
    built_at: datetime
    tables: tuple[TableSnapshot, ...]

    def find(self, name: str) -> TableSnapshot | None:
        """Return the table of that name, or None."""
        return next((table for table in self.tables if table.name == name), None)


def identify(tables: tuple[TableSnapshot, ...]) -> str:
    """Return the id of a set of table versions: the same versions always give the same id."""
    text = "\n".join(sorted(f"{table.name}@{table.version}" for table in tables))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_snapshot(serving: Path) -> Snapshot:
    """Return the manifest of a serving folder.

    Raises:
        SnapshotError: nothing was published yet, or the manifest is not one of this format.
    """
    path = serving / MANIFEST
    try:
        document = orjson.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise SnapshotError(
                f"{path} has format {document['format']}, this version reads {FORMAT}",
                suggestion="publish again with `ducat flows run`",
            )
        return Snapshot(
            id=document["id"],
            file=document["file"],
            built_at=datetime.fromisoformat(document["built_at"]),
            tables=tuple(_read_table(table) for table in document["tables"]),
        )
    except FileNotFoundError as missing:
        demo = serving.parent / "demo"
        run = "run the flows first: `ducat flows run`"
        if (demo / serving.name / MANIFEST).is_file():
            run = f"set DUCAT_HOME={demo}, what the demo serves is there; or {run}"
        raise SnapshotError(
            f"no tables are in service: {path} does not exist", suggestion=run
        ) from missing
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as malformed:
        raise SnapshotError(
            f"{path} cannot be read: {malformed}",
            suggestion="publish again with `ducat flows run`",
        ) from malformed


def publish_snapshot(serving: Path, snapshot: Snapshot) -> None:
    """Put a snapshot in service: readers that come after this call see it, whole."""
    if not (serving / snapshot.file).is_file():
        raise SnapshotError(f"{serving / snapshot.file} does not exist and cannot be served")
    document = {
        "format": FORMAT,
        "id": snapshot.id,
        "file": snapshot.file,
        "built_at": snapshot.built_at.isoformat(),
        "tables": [
            {
                "name": table.name,
                "version": table.version,
                "rows": table.rows,
                "data_until": table.data_until.isoformat() if table.data_until else None,
                "loaded_at": table.loaded_at.isoformat(),
                "quality": _write_quality(table.quality),
            }
            for table in snapshot.tables
        ],
    }
    replace_file(serving / MANIFEST, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def read_checks(serving: Path) -> dict[str, QualityState]:
    """Return the newest check of each table by name; empty when none ran yet."""
    path = serving / CHECKS
    try:
        return {name: _read_quality(raw) for name, raw in orjson.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as malformed:
        raise SnapshotError(f"{path} cannot be read: {malformed}") from malformed


def write_checks(serving: Path, checks: dict[str, QualityState]) -> None:
    """Record the newest check of the named tables; the others keep theirs."""
    serving.mkdir(parents=True, exist_ok=True)
    merged = read_checks(serving) | checks
    document = {name: _write_quality(state) for name, state in sorted(merged.items())}
    replace_file(serving / CHECKS, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content so that every reader, and a crash, sees the old or the new whole."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_table(raw: dict[str, Any]) -> TableSnapshot:
    until = raw["data_until"]
    return TableSnapshot(
        name=raw["name"],
        version=raw["version"],
        rows=raw["rows"],
        data_until=datetime.fromisoformat(until) if until else None,
        loaded_at=datetime.fromisoformat(raw["loaded_at"]),
        quality=_read_quality(raw["quality"]),
    )


def _read_quality(raw: dict[str, Any]) -> QualityState:
    checked_at = raw["checked_at"]
    return QualityState(
        state=raw["state"],
        checked_at=datetime.fromisoformat(checked_at) if checked_at else None,
        failures=tuple(raw["failures"]),
    )


def _write_quality(quality: QualityState) -> dict[str, Any]:
    return {
        "state": quality.state,
        "checked_at": quality.checked_at.isoformat() if quality.checked_at else None,
        "failures": list(quality.failures),
    }
