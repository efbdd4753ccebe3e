"""Which pre-aggregations are built: one manifest, `rollups.json`, beside the snapshot's.

Each built rollup is one DuckDB file in the folder `rollups` of the serving folder, with one table,
`rollup`. The flows write a file whole and under a new name, then replace the manifest atomically: a
reader sees the old rollup or the new one, never a mix, also after a `kill -9` of the builder.

A rollup says what the raw rows say only while the tables that it was made from are the ones in
service, and while the model still defines it so. Both are checked before it is used: `tables` are the
versions that were read, `definition` is a digest of the SELECT that made it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from semantic.errors import SnapshotError
from semantic.snapshot import Snapshot, replace_file

ROLLUPS: Final = "rollups.json"
FOLDER: Final = "rollups"
TABLE: Final = "rollup"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class StoredPartition:
    """One period of a rollup: its first moment on the rollup's wall clock, and its rows.

    `start` is None for rows without a time.
    """

    start: datetime | None
    rows: int


@dataclass(frozen=True, slots=True)
class StoredRollup:
    """A built rollup. `name` is `cube.rollup`; `file` lies in the folder `rollups`.

    `seconds` is how long its build took, `bytes` the size of the file.
    """

    name: str
    timezone: str
    definition: str
    file: str
    rows: int
    bytes: int
    tables: tuple[tuple[str, int], ...]
    built_at: datetime
    seconds: float
    partitions: tuple[StoredPartition, ...] = ()

    @property
    def alias(self) -> str:
        """Under which name its file is attached: another for each build."""
        return "r_" + hashlib.sha256(self.file.encode()).hexdigest()[:16]

    def find_change(self, snapshot: Snapshot) -> str | None:
        """Return which table is no longer the one that it was made from; None: all still are."""
        for name, version in self.tables:
            found = snapshot.find(name)
            if found is None or found.version != version:
                return name
        return None


@dataclass(frozen=True, slots=True)
class FoundRollup:
    """A built rollup as an engine found it. `missing` says why it cannot be read, or nothing."""

    rollup: StoredRollup
    missing: str = ""


def read_rollups(serving: Path) -> tuple[StoredRollup, ...]:
    """Return what is built; nothing when nothing ever was.

    Raises:
        SnapshotError: the manifest is not one of this format.
    """
    path = serving / ROLLUPS
    try:
        document = orjson.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise SnapshotError(
                f"{path} has format {document['format']}, this version reads {FORMAT}",
                suggestion="build again with `ducat rollups build`",
            )
        return tuple(_read(item) for item in document["rollups"])
    except FileNotFoundError:
        return ()
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as malformed:
        raise SnapshotError(
            f"{path} cannot be read: {malformed}",
            suggestion="build again with `ducat rollups build`",
        ) from malformed


def write_rollups(serving: Path, rollups: tuple[StoredRollup, ...]) -> None:
    """Put these rollups in service, and no others.

    Raises:
        SnapshotError: a file is not there.
    """
    for item in rollups:
        if not (serving / FOLDER / item.file).is_file():
            raise SnapshotError(f"{serving / FOLDER / item.file} does not exist: it is not built")
    document = {"format": FORMAT, "rollups": [_write(item) for item in rollups]}
    replace_file(serving / ROLLUPS, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _write(item: StoredRollup) -> dict[str, Any]:
    return {
        "name": item.name,
        "timezone": item.timezone,
        "definition": item.definition,
        "file": item.file,
        "rows": item.rows,
        "bytes": item.bytes,
        "tables": dict(item.tables),
        "built_at": item.built_at.isoformat(),
        "seconds": item.seconds,
        "partitions": [
            {"start": None if part.start is None else part.start.isoformat(), "rows": part.rows}
            for part in item.partitions
        ],
    }


def _read(raw: dict[str, Any]) -> StoredRollup:
    file = raw["file"]
    if not isinstance(file, str) or Path(file).name != file:
        raise ValueError(f"{str(file)[:60]!r} is no file name")
    return StoredRollup(
        name=raw["name"],
        timezone=raw["timezone"],
        definition=raw["definition"],
        file=file,
        rows=raw["rows"],
        bytes=raw["bytes"],
        tables=tuple((name, int(version)) for name, version in raw["tables"].items()),
        built_at=datetime.fromisoformat(raw["built_at"]),
        seconds=raw["seconds"],
        partitions=tuple(
            StoredPartition(
                None if part["start"] is None else datetime.fromisoformat(part["start"]),
                part["rows"],
            )
            for part in raw["partitions"]
        ),
    )
