"""A small feed of files, and bronze as it stands after it was read. Run as a program: ingest it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from flows import ingest as ingesting
from flows.lake import Lake
from flows.pipeline import Source, TableRun
from flows.sources.files import DroppedFiles

VARIABLE = "DELIVERIES_URL"
SCHEMA = pa.schema([("day", pa.int64()), ("number", pa.int64()), ("name", pa.string())])
SOURCE = Source(
    "orders", "files", SCHEMA, ("day", "number"), DroppedFiles(VARIABLE, SCHEMA).extract
)
NOW = datetime(2013, 2, 1, tzinfo=UTC)
METADATA = {"_source", "_batch_id", "_batch_number", "_loaded_at", "_schema_version"}

Row = tuple[object, ...]


def rows_of(day: int, count: int = 3) -> list[Row]:
    """What is delivered for a day, said independently of any reader."""
    return [(day, number, f"order {day}/{number}") for number in range(count)]


def deliver(folder: Path, name: str, rows: Sequence[Row], header: str = "day,number,name") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def deliver_parquet(folder: Path, name: str, columns: dict[str, pa.Array]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def ingest(lake: Path | str) -> TableRun:
    return ingesting.ingest(SOURCE, pipeline="shop", lake=Lake.at(str(lake)), now=NOW)


def bronze(lake: Path | str) -> list[Row]:
    """Return bronze without its load metadata, sorted."""
    uri = Lake.at(str(lake)).uri("bronze", "shop", "orders")
    if not DeltaTable.is_deltatable(uri):
        return []
    rows = DeltaTable(uri).to_pyarrow_table()
    kept = [name for name in rows.column_names if name not in METADATA]
    found = [tuple(row[name] for name in kept) for row in rows.to_pylist()]
    return sorted(found, key=repr)


def metadata(lake: Path) -> list[tuple[str, int, int]]:
    """Return batch, number and schema version of each batch in bronze, in order of arrival."""
    rows = DeltaTable(Lake.at(str(lake)).uri("bronze", "shop", "orders")).to_pyarrow_table()
    found = {
        (row["_batch_id"].partition("@")[0], row["_batch_number"], row["_schema_version"])
        for row in rows.to_pylist()
    }
    return sorted(found, key=lambda item: item[1])


def main() -> None:
    """Ingest in groups of one batch and say what is being done, for a test that kills us."""
    lake = Lake.at(sys.argv[1])
    ingesting.GROUP_ROWS = 1  # type: ignore[misc]
    ingesting.ingest(
        SOURCE,
        pipeline="shop",
        lake=lake,
        now=NOW,
        progress=lambda line: print(line, flush=True),  # noqa: T201  (the parent reads it)
    )


if __name__ == "__main__":
    main()
