"""One source into bronze: every new batch whole, once, or not at all.

Batches are written in groups, each group one commit, in the order in which they arrived. A batch
that bronze cannot take goes to quarantine with its reason, what came before it is committed, and
the table stops there with an error: later batches might depend on what it holds. A rerun goes on
from what is known, so a kill costs no more than the group that was being written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyarrow as pa

from flows import bronze
from flows.errors import SchemaChangedError, SourceMalformedError
from flows.lake import Lake
from flows.pipeline import Batch, Damaged, Position, Source, TableRun
from flows.quarantine import list_quarantined, quarantine

GROUP_ROWS: Final = 200_000
GROUP_BATCHES: Final = 2_000


def ingest(
    source: Source,
    *,
    pipeline: str,
    lake: Lake,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> TableRun:
    """Load the batches of a source that bronze does not know yet.

    Raises:
        SchemaChangedError: a batch lacks a column or has one of another type; it is in quarantine.
        SourceMalformedError: a batch cannot be read; it is in quarantine.
        SourceMissingError, SourceDownError: the source.
        LakeError, DiskFullError: the lake.
    """
    begun = time.monotonic()
    tell = progress or _tell_nobody
    state = bronze.read_state(lake, pipeline, source)
    skipped = {item.batch for item in list_quarantined(lake, pipeline, source.name) if item.skipped}
    writer = _Writer(lake, pipeline, source, state, now, tell)
    for batch in source.extract(Position(state.cursor, state.known | skipped)):
        if batch.id in skipped or writer.knows(batch.id):
            continue
        try:
            rows = _accept(batch, source, writer.state.schema)
        except (SchemaChangedError, SourceMalformedError) as refused:
            writer.commit()
            quarantine(
                lake,
                pipeline,
                source.name,
                batch.id,
                batch.content if isinstance(batch, Damaged) else batch.rows,
                code=refused.code,
                message=refused.message,
                now=now,
            )
            raise
        if isinstance(batch, Batch):
            writer.add(batch, rows)
    writer.commit()
    return TableRun(
        table=f"{pipeline}.{source.name}",
        version=writer.version,
        rows_in=writer.written,
        rows_written=writer.written,
        batches=writer.count,
        started_at=now,
        seconds=time.monotonic() - begun,
        note="" if writer.count else "nothing new",
    )


@dataclass(slots=True)
class _Writer:
    """Batches on their way into one bronze table, in groups."""

    lake: Lake
    pipeline: str
    source: Source
    state: bronze.BronzeState
    now: datetime
    tell: Callable[[str], None]
    version: int | None = None
    count: int = 0
    written: int = 0
    rows: int = 0
    group: dict[str, tuple[Batch, pa.Table]] = field(default_factory=dict)

    def knows(self, batch: str) -> bool:
        return batch in self.state.known or batch in self.group

    def add(self, batch: Batch, rows: pa.Table) -> None:
        self.count += 1
        if rows.num_rows == 0:
            # Nothing to keep: a delivery without rows is right, and leaves no trace.
            return
        self.group[batch.id] = (batch, rows)
        self.rows += rows.num_rows
        columns = self.state.schema or self.source.schema
        has_new_column = any(name not in columns.names for name in rows.schema.names)
        if has_new_column or self.rows >= GROUP_ROWS or len(self.group) >= GROUP_BATCHES:
            # A new column is committed at once, so that what follows is compared with it.
            self.commit()

    def commit(self) -> None:
        if not self.group:
            return
        self.tell(f"writing {len(self.group)} batches, {self.rows} rows")
        self.version, self.state = bronze.append(
            self.lake,
            self.pipeline,
            self.source,
            tuple(self.group.values()),
            self.state,
            now=self.now,
        )
        self.written += self.rows
        self.rows = 0
        self.group.clear()
        self.tell(f"written, version {self.version}")


def _accept(batch: Batch | Damaged, source: Source, known: pa.Schema | None) -> pa.Table:
    match batch:
        case Damaged():
            raise SourceMalformedError(
                f"{source.system} {source.name}: {batch.reason}",
                suggestion="deliver the file again, whole; it is in quarantine",
            )
        case Batch():
            return bronze.align(batch, source, known)


def _tell_nobody(_line: str) -> None:
    """Take a line and do nothing."""
