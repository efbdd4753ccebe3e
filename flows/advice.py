"""Rollups proposed from what was asked: reads the query logs, counts over the tables in service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import duckdb

from flows.errors import RollupError
from semantic.advice.advise import DEFAULT_LIMITS, Advice, Advisor, Limits
from semantic.advice.shapes import find_type, read_shapes
from semantic.errors import SnapshotError
from semantic.service import SemanticLayer
from semantic.settings import Settings
from semantic.snapshot import read_snapshot


def find_logs(newest: Path) -> list[Path]:
    """Return the query logs of all workers, the full ones too."""
    return sorted(newest.parent.glob(f"{newest.stem}*{newest.suffix}*"))


def advise(
    settings: Settings,
    logs: list[Path],
    *,
    since: datetime | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Advice, int]:
    """Return which rollups to build, and how many lines of the logs could not be read.

    Raises:
        ModelError, SnapshotError: there is no usable model, or nothing is in service.
        RollupError: a table could not be counted.
    """
    layer = SemanticLayer.of(settings)
    try:
        catalog = layer.catalog

        type_of = partial(find_type, catalog)
        asked, unread = read_shapes(logs, type_of, since)
        with _open(settings.serving_path, settings.memory_limit) as count:
            advice = Advisor(catalog, layer.known(), count).advise(asked, limits, progress)
        return advice, unread
    finally:
        layer.close()


@contextmanager
def _open(serving: Path, memory: str) -> Iterator[Callable[[str], int]]:
    """Lend what counts the rows of a SELECT over the served file, and can do nothing else."""
    snapshot = read_snapshot(serving)
    served = serving / snapshot.file
    if not served.is_file():
        raise SnapshotError(
            f"the served file {served.name} does not exist",
            suggestion="publish again with `ducat flows run`",
        )
    with duckdb.connect(config={"memory_limit": memory}) as connection:
        quoted = str(served).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS served (READ_ONLY)")
        connection.execute("USE served")
        for setting in (
            "TimeZone = 'UTC'",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")

        def count(sql: str) -> int:
            try:
                counting = f"SELECT count(*) FROM ({sql}) AS _r"  # noqa: S608 -- the model's own SQL
                [(rows,)] = connection.execute(counting).fetchall()
            except duckdb.Error as failed:
                why = str(failed).splitlines()[0]
                raise RollupError(f"a rollup could not be counted: {why}") from failed
            return int(rows)

        yield count
