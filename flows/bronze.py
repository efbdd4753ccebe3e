"""Bronze: rows as they came, with where they came from, and the rules of a source's schema.

    a column that is new          is added; earlier rows have no value there; schema version + 1
    a declared column is missing  the batch is refused: `schema_changed`
    a declared column's type      is refused when it differs, but for what loses nothing: smaller
                                  integers, integers where doubles are declared, columns without
                                  any value, timestamps in another unit

The batches of one commit, their numbers, the cursor after them and the schema version are one
atomic Delta commit, so what is known and what is there cannot part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from flows.errors import SchemaChangedError
from flows.inputs import BRONZE_COLUMNS
from flows.lake import Lake, commit_with_retries, read_dataset
from flows.pipeline import Batch, Source

CURSOR_KEY: Final = "ducat.cursor"


@dataclass(frozen=True, slots=True)
class BronzeState:
    """What a bronze table knows: its columns, batches, and how far its source was read."""

    schema: pa.Schema | None
    known: frozenset[str]
    newest_number: int
    schema_version: int
    cursor: str | None
    version: int | None = None


def read_state(lake: Lake, pipeline: str, source: Source) -> BronzeState:
    """Return the state of a source's bronze table; an empty one before the first batch."""
    table = lake.open("bronze", pipeline, source.name)
    if table is None:
        return BronzeState(None, frozenset(), 0, 1, None)
    found = read_dataset(table).to_table(columns=["_batch_id", "_batch_number", "_schema_version"])
    data = [field for field in read_dataset(table).schema if field.name not in BRONZE_COLUMNS.names]
    return BronzeState(
        schema=pa.schema(data),
        known=frozenset(pc.unique(found["_batch_id"]).to_pylist()),
        newest_number=pc.max(found["_batch_number"]).as_py() or 0,
        schema_version=pc.max(found["_schema_version"]).as_py() or 1,
        cursor=_read_cursor(table),
        version=table.version(),
    )


def align(batch: Batch, source: Source, known: pa.Schema | None) -> pa.Table:
    """Return a batch's rows with the types of the table: declared columns first, then new ones.

    Raises:
        SchemaChangedError: a declared column is missing or has another type; names every one.
    """
    spelled = {name.lower() for name in [*source.schema.names, *(known.names if known else ())]}
    expected = {field.name: field.type for field in source.schema}
    later = {field.name: field.type for field in known or () if field.name not in expected}
    problems = [
        f"column {name} ({kind}) is missing"
        for name, kind in expected.items()
        if name not in batch.rows.schema.names
    ]
    columns: dict[str, pa.ChunkedArray] = {}
    for name in [*expected, *(name for name in batch.rows.schema.names if name not in expected)]:
        if name not in batch.rows.schema.names:
            continue
        column = batch.rows[name]
        wanted = expected.get(name) or later.get(name)
        if name in BRONZE_COLUMNS.names:
            problems.append(f"column {name} has a name that is bronze's own")
        elif wanted is None and name.lower() in spelled:
            # Delta, DuckDB and most engines do not tell such names apart.
            problems.append(f"column {name} differs from another one only by upper or lower case")
        elif wanted is None:
            spelled.add(name.lower())
            # A new column without any value has no type yet: it waits for its first value.
            if not pa.types.is_null(column.type):
                columns[name] = column
        else:
            aligned = _convert(column, wanted)
            if aligned is None:
                problems.append(f"column {name} is {column.type}, it was {wanted}")
            else:
                columns[name] = aligned
    if problems:
        raise SchemaChangedError(
            f"{source.system} {source.name}: {'; '.join(problems)} (batch {batch.id})",
            suggestion="mend the source, or change its schema in the pipeline; the batch is in quarantine",
        )
    return pa.table(columns)


def append(
    lake: Lake,
    pipeline: str,
    source: Source,
    batches: Sequence[tuple[Batch, pa.Table]],
    state: BronzeState,
    *,
    now: datetime,
) -> tuple[int, BronzeState]:
    """Write whole batches in one commit; return the table's version and its new state.

    A batch that another run has written since `state` was read is left out.

    Raises:
        LakeError, LakeConflictError, DiskFullError: as the lake says; nothing was written.
    """

    def write() -> tuple[int, BronzeState]:
        table = lake.open("bronze", pipeline, source.name)
        current = state
        if table is not None and table.version() != state.version:
            current = read_state(lake, pipeline, source)
        new = [(batch, rows) for batch, rows in batches if batch.id not in current.known]
        if table is not None and not new:
            return table.version(), current
        data, after = _number(new, source, current, now)
        version = lake.commit(
            table,
            data,
            "bronze",
            pipeline,
            source.name,
            mode="append",
            schema_mode="merge" if table is not None else None,
            metadata={CURSOR_KEY: after.cursor} if after.cursor is not None else {},
        )
        return version, replace(after, version=version)

    return commit_with_retries(write, table=f"bronze {pipeline}.{source.name}")


def _number(
    batches: Sequence[tuple[Batch, pa.Table]], source: Source, state: BronzeState, now: datetime
) -> tuple[pa.Table, BronzeState]:
    """Return the rows of batches with their load metadata, and the state after them."""
    version, schema, number = state.schema_version, state.schema, state.newest_number
    tables = []
    for batch, rows in batches:
        number += 1
        if schema is None:
            schema = pa.schema(list(source.schema))
        fresh = [field for field in rows.schema if field.name not in schema.names]
        if fresh:
            version += 1
            schema = pa.schema([*schema, *fresh])
        tables.append(_with_metadata(rows, source, batch, number, version, now))
    cursor = next((batch.cursor for batch, _ in reversed(batches) if batch.cursor), state.cursor)
    known = state.known | {batch.id for batch, _ in batches}
    data = pa.concat_tables(tables, promote_options="default")
    return data, BronzeState(schema, known, number, version, cursor)


def _with_metadata(
    rows: pa.Table, source: Source, batch: Batch, number: int, version: int, now: datetime
) -> pa.Table:
    values = {
        "_source": source.system,
        "_batch_id": batch.id,
        "_batch_number": number,
        "_loaded_at": now,
        "_schema_version": version,
    }
    for name, value in values.items():
        field = BRONZE_COLUMNS.field(name)
        rows = rows.append_column(field, pa.repeat(pa.scalar(value, field.type), rows.num_rows))
    return rows


def _convert(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray | None:
    """Return the column as `wanted` when nothing is lost by it, else None."""
    kind = column.type
    if kind == wanted:
        return column
    harmless = (
        pa.types.is_null(kind)
        or (
            pa.types.is_integer(kind)
            and (pa.types.is_integer(wanted) or pa.types.is_floating(wanted))
        )
        or (pa.types.is_floating(kind) and pa.types.is_floating(wanted))
        or (
            pa.types.is_timestamp(kind)
            and pa.types.is_timestamp(wanted)
            and (kind.tz is None) == (wanted.tz is None)
        )
        or (_is_text(kind) and _is_text(wanted))
    )
    if not harmless:
        return None
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid:
        return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _read_cursor(table: DeltaTable) -> str | None:
    """Return the newest cursor that the log still remembers."""
    for entry in table.history(limit=1000):
        if CURSOR_KEY in entry:
            return str(entry[CURSOR_KEY])
    return None
