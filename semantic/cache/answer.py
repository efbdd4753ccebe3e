"""What is kept of an answer, and what it is kept under.

The key is what runs: SQL, bound values, and the snapshot that was read. All that decides about rows is
in there, the values of access policies too; so two callers share an answer only where both would have
computed it. What describes the answer (titles, formats, freshness, quality) is made anew for each caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import Parameter
from semantic.compile.volatile import is_volatile
from semantic.query.bound import BoundQuery

Outcome = Literal["off", "miss", "hit", "shared"]
"""No cache for this query; computed; found; computed by another request at the same time."""

_ENTRY: Final = 8_000  # measured: what an entry of a handful of rows adds to the process
_COLUMN: Final = 1_000


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What an answer is kept under. Values stand with their types: 1, 1.0 and TRUE are equal."""

    sql: str
    values: tuple[tuple[str, Parameter], ...]
    total: str | None
    limit: int | None
    defaulted: bool
    snapshot: str
    wide: bool = False  # sums of whole numbers as `ResultStream` has them


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of an answer, and what belongs to them."""

    table: pa.Table
    total: int | None
    truncated: bool
    engine: Literal["duckdb", "postgres", "clickhouse", "spark"]

    @property
    def size(self) -> int:
        """About how many bytes it holds, with its key and the objects around its columns."""
        return int(self.table.nbytes) + _ENTRY + _COLUMN * int(self.table.num_columns)


def compact(table: pa.Table) -> pa.Table:
    """Return the rows in buffers of their own size.

    DuckDB gives each column room for more rows than there are: seven rows held sixty thousand bytes, of
    which `nbytes` told a hundred.
    """
    columns = [
        pa.concat_arrays([*column.chunks, pa.array([], field.type)])
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def make_key(
    compiled: CompiledQuery, bound: BoundQuery, snapshot: str, *, wide: bool = False
) -> AnswerKey | None:
    """Return what the answer is kept under; None where it depends on more than that.

    Without a snapshot nothing says whether the tables changed. SQL with a word such as `now` or
    `random` may give something else each time, though the tables are the same.
    """
    if not snapshot or is_volatile(compiled.sql):
        return None
    return AnswerKey(
        sql=compiled.sql,
        values=tuple((type(value).__name__, value) for value in compiled.values),
        total=compiled.total,
        limit=bound.limit,
        defaulted=bound.defaulted,
        snapshot=snapshot,
        wide=wide,
    )
