"""What a transform reads: lake tables pinned at a version, and which of their days changed since.

Everything that a table was computed from is recorded in the commit of its rows, as Delta
transaction ids that survive checkpoints and clean-ups of the log:

    "<input>@<the input table's own id>" → the version of the input that was consumed
    "code"                               → a digest of the SQL that computed the rows

An input that was dropped and made anew has another id, so it counts as never consumed.
A commit of ours carries the days that it replaced as metadata ("ducat.days"), which is what the
tables below it have to look at. Where that is missing (another tool wrote, the log was cleaned)
the files that differ are read instead, and where they are gone every day counts as changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import DeltaTable

from flows.days import NO_DAYS, Days, read_days
from flows.errors import PipelineError
from flows.lake import Lake, read_dataset
from flows.pipeline import Pipeline, Source, Transform

DAYS_KEY: Final = "ducat.days"
CODE_KEY: Final = "code"

# The commits of these operations move rows between files and change none.
_WITHOUT_CHANGES: Final = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END"})

BRONZE_COLUMNS: Final = pa.schema(
    [
        ("_source", pa.string()),
        ("_batch_id", pa.string()),
        ("_batch_number", pa.int64()),
        ("_loaded_at", pa.timestamp("us", tz="UTC")),
        ("_schema_version", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Input:
    """A lake table at a version; `table` is None for a source that delivered nothing yet."""

    name: str
    layer: Literal["bronze", "silver"]
    path: tuple[str, ...]
    table: DeltaTable | None
    day_column: str | None
    empty: pa.Schema | None

    @property
    def view(self) -> str:
        """The name that SQL uses for it."""
        return f"{self.layer}_{'_'.join(self.path)}"

    @property
    def state(self) -> dict[str, int]:
        """What a commit made from this input records of it."""
        return {} if self.table is None else {self.app(self.table): self.table.version()}

    def app(self, table: DeltaTable) -> str:
        """Return the transaction id under which consumers record the version of `table`."""
        return f"{self.name}@{table.metadata().id}"

    def rows(self) -> pads.Dataset | pa.Table:
        """Return the rows, to be streamed."""
        if self.table is not None:
            return read_dataset(self.table)
        return self.empty.empty_table() if self.empty is not None else pa.table({})

    def consumed(self, consumer: DeltaTable | None) -> int | None:
        """Return the version that `consumer`'s rows were computed from, None when it is unknown."""
        if self.table is None or consumer is None:
            return None
        return consumer.transaction_version(self.app(self.table))


def open_inputs(
    pipeline: Pipeline, transform: Transform, lake: Lake, *, of_gold: bool
) -> tuple[Input, ...]:
    """Return the inputs of a transform, each pinned at its newest version.

    Raises:
        PipelineError: an input is no source of the pipeline and no silver table before this one.
        LakeError: a silver table is not there yet, or a table cannot be read.
    """
    return tuple(
        _open(pipeline, transform, name, lake, of_gold=of_gold) for name in transform.inputs
    )


def recorded_days(name: Input, since: int) -> Days | None:
    """Return the days that commits after version `since` replaced; None when not all of them say.

    The days are those of the input's own day column.
    """
    table = name.table
    if table is None or name.layer == "bronze":
        return None
    current = table.version()
    days = NO_DAYS
    seen = 0
    for entry in table.history(limit=current - since):
        if entry.get("version", -1) <= since:
            break
        seen += 1
        if DAYS_KEY in entry:
            days |= read_days(str(entry[DAYS_KEY]))
        elif entry.get("operation") not in _WITHOUT_CHANGES:
            return None
    return days if seen == current - since else None


def _open(
    pipeline: Pipeline, transform: Transform, name: str, lake: Lake, *, of_gold: bool
) -> Input:
    if not of_gold:
        for source in pipeline.sources:
            if name == f"{pipeline.name}.{source.name}":
                path = (pipeline.name, source.name)
                return Input(
                    name, "bronze", path, lake.open("bronze", *path), None, _bronze_schema(source)
                )
    for candidate in pipeline.silver:
        if candidate is transform:
            break
        if candidate.name == name:
            return Input(
                name, "silver", (name,), lake.open("silver", name), candidate.day_column, None
            )
    layer = "silver table" if of_gold else f"source ({pipeline.name}.…) or earlier silver table"
    raise PipelineError(
        f"pipeline {pipeline.name}: {transform.name} reads {name}, which is no {layer} of it",
        suggestion="correct `inputs`, or put the table that is read before the one that reads it",
    )


def _bronze_schema(source: Source) -> pa.Schema:
    return pa.schema([*source.schema, *BRONZE_COLUMNS])
