"""Bronze to silver: typed tables with one row per record, of which only touched days are replaced.

Each table's rows, and the versions of the inputs that they were computed from, are one commit. A
kill before it leaves the old version with the old state, a kill after it the new one with the
new; the next run goes on from whichever is there. See `flows/rebuild.py` for what is computed.
"""

# ruff: noqa: S608 - every name in the SQL below is quoted, every value is ours

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from flows.days import NO_DAYS, Days, write_days
from flows.inputs import DAYS_KEY, open_inputs
from flows.lake import Lake, commit_with_retries
from flows.pipeline import Pipeline, TableRun, Transform
from flows.rebuild import Rebuilt, Workspace, open_workspace, rebuild

Progress = Callable[[str], None]


def transform_silver(
    pipeline: Pipeline,
    *,
    lake: Lake,
    now: datetime,
    days: frozenset[date] | None = None,
    progress: Progress | None = None,
) -> tuple[TableRun, ...]:
    """Bring every silver table up to what bronze holds; return what was done to each.

    `days` rebuilds these days as well, whether or not their inputs changed. `progress` is told
    the step ("stg_flights:commit") before it is done.

    Raises:
        TransformError: a transform's rows break what it promises; its table stays as it was.
        PipelineError: a transform reads a table that is not there.
        LakeError: a table cannot be read or written; DiskFullError: no space is left.
        LakeConflictError: another run kept winning.
    """
    forced = Days(days) if days else NO_DAYS
    return tuple(
        commit_with_retries(
            lambda transform=transform: _run(  # type: ignore[misc]
                pipeline, transform, lake=lake, now=now, forced=forced, progress=progress
            ),
            table=transform.name,
        )
        for transform in pipeline.silver
    )


def _run(
    pipeline: Pipeline,
    transform: Transform,
    *,
    lake: Lake,
    now: datetime,
    forced: Days,
    progress: Progress | None,
) -> TableRun:
    started = time.monotonic()
    tell = progress or _tell_nobody
    tell(f"{transform.name}:read")
    existing = lake.open("silver", transform.name)
    inputs = open_inputs(pipeline, transform, lake, of_gold=False)
    with open_workspace() as workspace:
        rebuilt = rebuild(
            workspace, transform, inputs, existing, lake=lake, forced=forced, progress=progress
        )
        tell(f"{transform.name}:commit")
        version, note = _commit(workspace, rebuilt, lake)
        tell(f"{transform.name}:committed")
        written = (
            workspace.scalar(f"SELECT count(*) FROM ({rebuilt.select(ordered=False)})")
            if rebuilt.changed
            else 0
        )
        changed = _list_days(workspace, rebuilt)
    return TableRun(
        table=transform.name,
        version=version,
        rows_in=rebuilt.rows,
        rows_written=int(written),
        days=changed,
        started_at=now,
        seconds=time.monotonic() - started,
        note=note,
    )


def _commit(workspace: Workspace, rebuilt: Rebuilt, lake: Lake) -> tuple[int, str]:
    """Write what changed and what it was made from; return the table's version and a note."""
    transform, existing = rebuilt.transform, rebuilt.existing
    if rebuilt.changed:
        reader = workspace.sql.execute(rebuilt.select()).to_arrow_reader()
        partial = transform.day_column is not None and not rebuilt.whole
        version = lake.commit(
            existing,
            reader,
            "silver",
            transform.name,
            mode="overwrite",
            predicate=rebuilt.days.predicate(transform.day_column or "") if partial else None,
            schema_mode="overwrite" if rebuilt.whole else None,
            transactions=rebuilt.state,
            metadata={DAYS_KEY: write_days(rebuilt.days)},
        )
        return version, ""
    assert existing is not None  # noqa: S101 - a table that is not there changes
    if all(existing.transaction_version(app) == at for app, at in rebuilt.state.items()):
        return existing.version(), "up to date"
    # The rows are the same and newer input was seen: recorded, or every run would look again.
    assert rebuilt.schema is not None  # noqa: S101
    version = lake.commit(
        existing,
        rebuilt.schema.empty_table(),
        "silver",
        transform.name,
        mode="append",
        transactions=rebuilt.state,
        metadata={DAYS_KEY: write_days(NO_DAYS)},
    )
    return version, "no row changed"


def _list_days(workspace: Workspace, rebuilt: Rebuilt) -> tuple[date, ...]:
    column = rebuilt.transform.day_column
    if column is None or not rebuilt.changed:
        return ()
    if not rebuilt.days.every:
        return rebuilt.days.sorted()
    found: list[tuple[Any, ...]] = workspace.sql.execute(
        f'SELECT DISTINCT "{column}" FROM "{rebuilt.relation}" ORDER BY 1'
    ).fetchall()
    return tuple(row[0] for row in found)


def _tell_nobody(_step: str) -> None:
    """Take a step's name and do nothing."""
