"""Built rollups beside the served file: each attached under a name of its own, or not, and why."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

import duckdb

from semantic.errors import SnapshotError
from semantic.rollups import FOLDER, TABLE, FoundRollup, StoredRollup, read_rollups
from semantic.snapshot import Snapshot

_LOG: Final = logging.getLogger("ducat.rollups")


def attach_rollups(
    connection: duckdb.DuckDBPyConnection,
    serving: Path,
    snapshot: Snapshot,
    distrusted: AbstractSet[str],
) -> tuple[FoundRollup, ...]:
    """Attach the rollups that say what these tables say; return all that are built.

    None of them is needed for an answer, so what is wrong with one is said and logged, not raised.
    """
    try:
        built = read_rollups(serving)
    except SnapshotError as unreadable:
        _LOG.warning("rollups are not used: %s", unreadable)
        return ()
    return tuple(
        FoundRollup(item, _attach(connection, serving, snapshot, item, distrusted))
        for item in built
    )


def _attach(
    connection: duckdb.DuckDBPyConnection,
    serving: Path,
    snapshot: Snapshot,
    item: StoredRollup,
    distrusted: AbstractSet[str],
) -> str:
    """Return why the rollup cannot be read; nothing when it is attached."""
    changed = item.find_change(snapshot)
    if changed is not None:
        return f"rows changed since it was built ({changed}): run `ducat rollups build`"
    if item.file in distrusted:
        return "its file could not be read: run `ducat rollups build --force`"
    path = str(serving / FOLDER / item.file).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{path}' AS \"{item.alias}\" (READ_ONLY)")
        connection.execute(f'SELECT 1 FROM "{item.alias}"."main"."{TABLE}" LIMIT 1')  # noqa: S608
    except duckdb.Error as failed:
        why = str(failed).splitlines()[0]
        _LOG.warning("the rollup %s is not used: %s", item.name, why)
        return "its file could not be opened: run `ducat rollups build --force`"
    return ""
