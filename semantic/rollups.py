"""Which pre-aggregations are built: one manifest, `rollups.json`, beside the snapshot's.

Each built rollup is one DuckDB file in the folder `rollups` of the serving folder, with one table,
`rollup`. The flows write a file whole and under a new name, then replace the manifest atomically: a
reader sees the old rollup or the new one, never a mix, also after a `kill -9` of the builder.

A rollup says what the raw rows say only while the tables that it was made from are the ones in
service, and while the model still defines it so. Both are checked before it is used: `served` is the
file that was read, with the time at which it was built (a lake that is made anew counts its versions
from 0 again, so versions alone tell nothing), `definition` is a digest of the SELECT that made it.
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
class SourceTable:
    """A table that a rollup was made from."""

    name: str
    version: int
    origin: str = ""


@dataclass(frozen=True, slots=True)
class StoredRollup:
    """A built rollup. `name` is `cube.rollup`; `file` lies in the folder `rollups`.

    It is right for the served file `served` that was built at `served_at`. `tables` are the versions
    of the tables that it reads, and where each came from, as the served file says; equal ones that
    are not empty are the same rows. `seconds` is how long its build took, `bytes` the file's size.
    """

    name: str
    timezone: str
    definition: str
    file: str
    rows: int
    bytes: int
    tables: tuple[SourceTable, ...]
    served: str
    served_at: datetime
    built_at: datetime
    seconds: float
    partitions: tuple[StoredPartition, ...] = ()

    @property
    def alias(self) -> str:
        """Under which name its file is attached: another for each build."""
        return "r_" + hashlib.sha256(self.file.encode()).hexdigest()[:16]

    def find_change(self, snapshot: Snapshot) -> str | None:
        """Return which tables are no longer those that it was made from; None: all still are."""
        if (self.served, self.served_at) == (snapshot.file, snapshot.built_at):
            return None
        changed = []
        for table in self.tables:
            found = snapshot.find(table.name)
            if found is None or found.version != table.version:
                changed.append(table.name)
        return ", ".join(changed) or "the tables in service"


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
        "tables": {
            table.name: {"version": table.version, "origin": table.origin} for table in item.tables
        },
        "served": item.served,
        "served_at": item.served_at.isoformat(),
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
        tables=tuple(
            SourceTable(name, int(table["version"]), str(table["origin"]))
            for name, table in raw["tables"].items()
        ),
        served=raw["served"],
        served_at=datetime.fromisoformat(raw["served_at"]),
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
