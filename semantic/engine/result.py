"""What came back: an Arrow table, and what its columns mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import pyarrow as pa

from semantic.query.query import Query
from semantic.snapshot import QualityState, TableSnapshot

EngineName = Literal["duckdb", "postgres", "clickhouse", "spark"]


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a result.

    `name` is the column's name in the Arrow table and the key in JSON rows: `cube.member`, or
    `cube.member.granularity` for a time dimension with a granularity. `member` is always
    `cube.member`, as it was asked (a view's member keeps the view's name).
    """

    name: str
    member: str
    kind: Literal["measure", "dimension", "time_dimension"]
    type: Literal["string", "number", "boolean", "time"]
    title: str
    short_title: str
    granularity: str | None = None
    description: str | None = None
    format: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerState:
    """The state of the tables that an answer was computed from.

    `quality` is the worst state among `tables`. `newest_check` holds the tables whose newest
    check failed after the served ones were built: the answer is the last good one.
    """

    snapshot: str
    built_at: datetime
    tables: tuple[TableSnapshot, ...]
    quality: QualityState
    newest_check: tuple[tuple[str, QualityState], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query. `total` counts the rows without limit, when that was asked.

    Times are local to the query's timezone, without a zone. `truncated` is True when a limit
    that the caller did not set itself cut rows off. `rollups` are the names of the pre-aggregations
    that were read in place of rows.
    """

    query: Query
    columns: tuple[ResultColumn, ...]
    table: pa.Table
    state: AnswerState
    total: int | None = None
    truncated: bool = False
    seconds: float = 0.0
    engine: EngineName = "duckdb"  # Cube's `dbType`
    cache: Literal["off", "miss", "hit", "shared"] = "off"  # see `semantic/cache/answer.py`

    rollups: tuple[str, ...] = ()

    def without_rows(self) -> Result:
        """Return the same, with the columns but none of the rows."""
        return replace(self, table=self.table.schema.empty_table())
