"""The query log: one line of JSON per query, for those who ask later who saw what, and how fast.

A line names the members that were asked and filtered by, never the values: values may be personal. Of
what each query asked it has the shape (`shapes.py`).
The file is rotated by size; the newest is the one without a number.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from api.shapes import write_shape
from api.state import format_instant
from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter, Query

FaceName = Literal["rest", "graphql", "sql", "mcp", "postgres", "arrow", "flight"]
LARGEST_FILE: Final = 64 * 1024 * 1024
FILES_KEPT: Final = 5
_PLANNED: Final = ("ok", "query_timeout")


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """One query. `seconds` runs from its arrival to its answer, `code` is `ok` or an error's.

    `via` is who asked in the user's name: the service that speaks for others, or an API key's id.
    `size` is the answer's, in bytes, where it is known. `queries` are what it asked of the model: one,
    or those of a SELECT.
    """

    time: datetime
    request_id: str
    user: str
    face: FaceName
    members: tuple[str, ...] = ()
    filtered_by: tuple[str, ...] = ()
    rows: int | None = None
    seconds: float = 0.0
    snapshot: str | None = None
    code: str = "ok"
    via: str | None = None
    size: int | None = None
    queries: tuple[Query, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return what its line says."""
        return {
            "time": format_instant(self.time),
            "requestId": self.request_id,
            "user": self.user,
            "via": self.via,
            "face": self.face,
            "members": self.members,
            "filteredBy": self.filtered_by,
            "shapes": self._shapes(),
            "rows": self.rows,
            "bytes": self.size,
            "seconds": round(self.seconds, 6),
            "snapshot": self.snapshot,
            "code": self.code,
        }

    def _shapes(self) -> list[dict[str, Any]]:
        """Return what was planned; a query that was refused may be of no shape at all."""
        if self.code not in _PLANNED:
            return []
        return [write_shape(query, self.time) for query in self.queries]


@dataclass(slots=True)
class QueryLog:
    """Appends records to a file. Threads may share one."""

    path: Path
    largest: int = LARGEST_FILE
    kept: int = FILES_KEPT
    _file: int | None = field(default=None, init=False)  # a descriptor, opened to append
    _size: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def write(self, record: QueryRecord) -> None:
        """Append one line, by one call: no line is torn, and none waits in memory.

        Raises:
            OSError: it cannot be written.
        """
        self.append(orjson.dumps(record.describe(), option=orjson.OPT_APPEND_NEWLINE))

    def append(self, line: bytes) -> None:
        """Append a line that is written already.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            if self._file is None or self._size + len(line) > self.largest:
                self._file = self._open(len(line))
            self._size += os.write(self._file, line)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, more: int) -> int:
        """Open the file; a full one becomes number 1, number 1 number 2, and the last is left out."""
        self._close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size + more > self.largest:
            for number in range(self.kept - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self.path.replace(self._numbered(1))
        file = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o640)
        self._size = os.fstat(file).st_size
        return file

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def name_members(query: Query) -> tuple[str, ...]:
    """Return the members that a query shows, in the order of its columns."""
    times = tuple(
        f"{item.dimension}.{item.granularity}"
        for item in query.time_dimensions
        if item.granularity is not None
    )
    return (*query.dimensions, *times, *query.measures)


def name_filters(query: Query) -> tuple[str, ...]:
    """Return the members and segments that limit a query, each once."""
    ranges = (item.dimension for item in query.time_dimensions if item.date_range is not None)
    return tuple(dict.fromkeys([*_walk(query.filters), *ranges, *query.segments]))


def find_actor(claims: Mapping[str, Any]) -> str | None:
    """Return who asked in another's name, or with which API key; None for a person's own token."""
    act = claims.get("act")
    if isinstance(act, Mapping) and isinstance(act.get("sub"), str):
        return str(act["sub"])
    key = claims.get("apiKey")
    return f"key {key}" if isinstance(key, str) else None


def _walk(filters: Iterable[Filter]) -> Iterator[str]:
    for part in filters:
        match part:
            case MemberFilter():
                yield part.member
            case AndFilter() | OrFilter():
                yield from _walk(part.parts)
