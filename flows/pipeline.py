"""What a pipeline is: sources, and plain functions from tables to tables.

A folder below `flows/pipelines/` holds a `pipeline.py` that assigns a `Pipeline` to `PIPELINE`.
It is content: the user owns it, it may import anything public of ours, and it knows nothing of
Prefect, of Delta or of where tables are kept. The engine around it (`ingest`, `transform`,
`publish`, `deployments`) does that for every pipeline alike.

    source ──extract──▶ Batch ──bronze──▶ silver transforms ──▶ gold transforms ──gate──▶ served
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True, slots=True)
class Batch:
    """One delivery of a source, as it came: rows, and where they came from.

    `id` identifies the delivery's content and place (for a file its name and digest, for a
    query its cursor range): the same id twice is the same delivery twice and changes nothing.
    `cursor` is the position to go on from once this batch is in bronze; opaque to the engine.
    """

    id: str
    rows: pa.Table
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """A delivery that cannot be read as what it says it is: its bytes, and why."""

    id: str
    content: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Position:
    """How far a source has been read: the last committed cursor, and the batches that are known.

    `cursor` is None when nothing was read yet, and also when the lake no longer remembers it; then
    a source begins anew and the known batches are left out. `known` are the ids of the batches in
    bronze, and of those that an operator told to skip.
    """

    cursor: str | None = None
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """A table of a source system.

    `schema` is what the source is known to deliver: a new column is added to bronze, a changed
    type or a missing column stops the table. `extract` yields the batches after a position, in the
    order in which they arrived. `key` are the columns that identify a record over deliveries.
    """

    name: str
    system: str
    schema: pa.Schema
    key: tuple[str, ...]
    extract: Callable[[Position], Iterator[Batch | Damaged]]


@dataclass(frozen=True, slots=True)
class Transform:
    """A table made from tables by one function, the same on every engine that Ibis reaches.

    `build` takes the tables named in `inputs` and returns this table's rows. With a `day_column`
    (a date) the table is incremental: `build` sees whole inputs, but only the rows of touched
    days are computed and replaced. `touches` says, for each input with a day of its own, the
    name of that input's day column, or a function of that input that gives the day; an input
    that is not named there rebuilds every day when it changes. Without a `day_column` the table
    is small and replaced whole.
    """

    name: str
    inputs: tuple[str, ...]
    build: Callable[[Mapping[str, ir.Table]], ir.Table]
    key: tuple[str, ...]
    day_column: str | None = None
    touches: Mapping[str, str | Callable[[ir.Table], ir.Value]] | None = None
    event_time: str | None = None  # column with the newest event time (UTC), for freshness


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a flow runs: a cron line in a time zone."""

    cron: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that turns some source systems into gold tables.

    Table names: bronze `<pipeline>.<source>`, silver and gold as the transforms are named.
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    silver: tuple[Transform, ...]
    gold: tuple[Transform, ...]
    schedule: Schedule
    owner: str = "data"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRun:
    """What one step did to one table, for artifacts and the command line."""

    table: str
    version: int | None
    rows_in: int = 0
    rows_written: int = 0
    batches: int = 0
    days: tuple[date, ...] = ()
    started_at: datetime | None = None
    seconds: float = 0.0
    note: str = ""
    details: Mapping[str, Any] | None = None
