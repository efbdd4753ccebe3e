"""The query log: one line of JSON per query, for those who ask later who saw what, and how fast.

A line names the members that were asked and filtered by, never the values: values may be personal.
The file is rotated by size; the newest is the one without a number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from api.state import format_instant
from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter, Query

FaceName = Literal["rest", "graphql", "sql", "mcp", "postgres", "arrow"]
LARGEST_FILE: Final = 64 * 1024 * 1024
FILES_KEPT: Final = 5


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """One query. `seconds` runs from its arrival to its answer, `code` is `ok` or an error's.

    `via` is who asked in the user's name: the service that speaks for others, or an API key's id.
    `size` is the answer's, in bytes, where it is known.
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


@dataclass(slots=True)
class QueryLog:
    """Appends records to a file. Threads may share one."""

    path: Path
    largest: int = LARGEST_FILE
    kept: int = FILES_KEPT
    _handler: RotatingFileHandler | None = field(default=None, init=False)

    def write(self, record: QueryRecord) -> None:
        """Append one line."""
        if self._handler is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = RotatingFileHandler(
                self.path, maxBytes=self.largest, backupCount=self.kept, encoding="utf-8"
            )
        line = orjson.dumps(
            {
                "time": format_instant(record.time),
                "requestId": record.request_id,
                "user": record.user,
                "via": record.via,
                "face": record.face,
                "members": record.members,
                "filteredBy": record.filtered_by,
                "rows": record.rows,
                "bytes": record.size,
                "seconds": round(record.seconds, 6),
                "snapshot": record.snapshot,
                "code": record.code,
            }
        ).decode()
        self._handler.handle(logging.LogRecord("query", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()
            self._handler = None


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
