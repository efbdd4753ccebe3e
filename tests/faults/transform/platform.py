"""A small platform in a folder, run in this process or in a child that can be killed.

`python -m tests.faults.transform.platform FOLDER [STEP]` brings silver, gold and the served file
up to date and prints each step; at STEP it stops and waits to be killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from flows.candidate import build_candidate
from flows.lake import Lake
from flows.serving import discard, promote
from flows.transform import transform_silver
from semantic.snapshot import Snapshot, read_snapshot
from tests.unit.flows import flights_data as data

FIRST = date(2013, 1, 1)
DAYS = 3


def lake(folder: Path) -> Lake:
    return Lake(str(folder / "lake"))


def serving(folder: Path) -> Path:
    return folder / "serving"


def deliver_first(folder: Path) -> None:
    """Deliver the first days of everything."""
    data.deliver_days(lake(folder), FIRST, FIRST + timedelta(days=DAYS - 1))


def deliver_second(folder: Path) -> None:
    """Deliver a new day, a correction, a repeat, new weather and a new plane."""
    to = lake(folder)
    day = FIRST + timedelta(days=DAYS)
    first = data.days("flights", FIRST, FIRST)
    data.deliver(to, "flights", data.days("flights", day, day), 1)
    data.deliver(to, "flights", data.changed(first.slice(5, 20), arr_delay=333), 2)
    data.deliver(to, "flights", data.days("flights", FIRST, FIRST + timedelta(days=1)).slice(30), 3)
    data.deliver(to, "weather", data.days("weather", day, day), 1)
    plane = data.changed(data.table("planes").slice(0, 1), tailnum="N725MQ", seats=99)
    data.deliver(to, "planes", plane, 1)


def run(folder: Path, tell: Callable[[str], None] | None = None) -> Snapshot:
    """Bring silver, gold and the served file up to what bronze holds."""
    pipeline = data.pipeline()
    transform_silver(pipeline, lake=lake(folder), now=data.NOW, progress=tell)
    candidate = build_candidate(
        pipeline, lake=lake(folder), serving=serving(folder), now=data.NOW, progress=tell
    )
    try:
        return promote(
            candidate, lake=lake(folder), serving=serving(folder), quality={}, progress=tell
        )
    finally:
        discard(candidate)


def served(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables in service, in the order of the file."""
    return data.served_rows(serving(folder) / read_snapshot(serving(folder)).file)


def fingerprint(folder: Path) -> tuple[str, str]:
    """Return the id of what is in service and a digest of its fact tables, as a reader sees it."""
    snapshot = read_snapshot(serving(folder))
    with duckdb.connect(str(serving(folder) / snapshot.file), read_only=True) as connection:
        digests = [
            str(
                connection.execute(
                    f"SELECT count(*), bit_xor(hash(t)) FROM gold.{table.name} AS t"
                ).fetchone()
            )
            for table in snapshot.tables
        ]
        rows = [
            connection.execute(f"SELECT count(*) FROM gold.{table.name}").fetchone()
            for table in snapshot.tables
        ]
    assert [(table.rows,) for table in snapshot.tables] == rows
    return snapshot.id, "|".join(digests)


def main() -> None:
    folder = Path(sys.argv[1])
    stop = sys.argv[2] if len(sys.argv) > 2 else None

    def tell(step: str) -> None:
        print(step, flush=True)  # noqa: T201 - the parent reads it
        if step == stop:
            time.sleep(600)

    run(folder, tell)


if __name__ == "__main__":
    main()
