"""What was told of alerts, and what is yet to be: one file, replaced whole.

A check writes the incidents that it found and the messages about them in one replacement, before
anything is sent; each message leaves the file after its receiver took it. So a kill loses nothing:
what was not marked as sent is sent by the next check. Only a kill between a receiver's answer and
the mark, some milliseconds, sends a message twice; both carry the same number. Checks of one home
take turns by a lock that the system takes back from the dead.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from flows.errors import AlertError, LakeConflictError
from flows.lock import PublishLock

BOOK: Final = "alerts.json"
FOLDER: Final = "alerts"
FORMAT: Final = 1
PATIENCE: Final = 300.0  # seconds: another check is waited for
_MOST: Final = 5_000  # messages that wait; more say that nobody is there to receive them

Event = Literal["opened", "resolved", "test"]


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of periods worth an alert. Times of periods are local ISO texts, the others UTC."""

    number: str
    kind: str
    first: str
    told: bool


@dataclass(slots=True)
class Watch:
    """What is known of one alert and one combination of its dimensions' values."""

    judged: str | None = None
    incident: Incident | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell one receiver. `points` and the bounds are drawn beside it."""

    number: str
    alert: str
    event: Event
    receiver: str
    title: str
    body: str
    severity: str
    points: tuple[tuple[str, float], ...] = ()
    period: str = ""
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    style: str | None = None  # the measure's format
    attempts: int = 0


@dataclass(slots=True)
class Book:
    """The state of all alerts of a home: watches by `key` and group, messages in order."""

    watches: dict[str, Watch] = field(default_factory=dict)
    outbox: list[Message] = field(default_factory=list)
    checked_at: str | None = None


@contextmanager
def alone(home: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the right to check the alerts of a home.

    Raises:
        AlertError: another check did not end in time.
    """
    try:
        lock = PublishLock.take(home / FOLDER, patience=patience)
    except LakeConflictError as held:
        raise AlertError(
            f"another check of the alerts in {home / FOLDER} does not end",
            suggestion="wait for it, and check again",
        ) from held
    try:
        yield
    finally:
        lock.release()


def read_book(home: Path) -> Book:
    """Return what is known; an empty book when nothing was checked yet.

    Raises:
        AlertError: the file is not one of ours. Nothing is forgotten silently: then all is told again.
    """
    path = home / FOLDER / BOOK
    try:
        document = orjson.loads(path.read_bytes())
        _check_format(document["format"])
        return Book(
            {key: _read_watch(item) for key, item in document["watches"].items()},
            [_read_message(item) for item in document["outbox"]],
            document["checked_at"],
        )
    except FileNotFoundError:
        return Book()
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as malformed:
        raise AlertError(
            f"{path} cannot be read: {malformed}",
            suggestion="move it away; what is amiss now is then told once more",
        ) from malformed


def write_book(home: Path, book: Book) -> None:
    """Replace the file: readers and the next check see the old state or this one, never a mix."""
    if len(book.outbox) > _MOST:
        raise AlertError(
            f"{len(book.outbox)} messages wait for receivers that do not answer",
            suggestion="mend DUCAT_ALERT_RECEIVERS and DUCAT_ALERT_URLS",
        )
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "format": FORMAT,
        "checked_at": book.checked_at,
        "watches": {key: asdict(item) for key, item in sorted(book.watches.items())},
        "outbox": [asdict(item) for item in book.outbox],
    }
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(folder / BOOK)
    finally:
        Path(name).unlink(missing_ok=True)


def parse_time(text: str) -> datetime:
    """Return a time as the book has it."""
    return datetime.fromisoformat(text)


def _check_format(found: object) -> None:
    if found != FORMAT:
        raise ValueError(f"format {found}, this version reads {FORMAT}")


def _read_watch(item: dict[str, Any]) -> Watch:
    incident = None if item["incident"] is None else Incident(**item["incident"])
    for text in (item["judged"], item["ended"], incident.first if incident else None):
        if text is not None:
            parse_time(text)
    return Watch(item["judged"], incident, item["ended"])


def _read_message(item: dict[str, Any]) -> Message:
    points = tuple((str(when), float(value)) for when, value in item["points"])
    return Message(**{**item, "points": points})
