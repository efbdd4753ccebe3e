"""The state of an answer as every door shows it: Ducat's own addition to Cube's shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from semantic.catalog.catalog import Catalog, Cube, View
from semantic.engine.result import AnswerState, Result
from semantic.snapshot import QualityState, TableSnapshot


def find_guarded(catalog: Catalog) -> frozenset[str]:
    """Return the tables of which some callers see only some rows; how many there are is hidden.

    `catalog` is the whole one. A guarded view guards the tables of the cubes behind it.
    """
    found = _found.get(catalog.version)
    if found is None:
        cubes = {cube.name for cube in catalog.cubes.values() if _guards_rows(cube)}
        for view in catalog.views.values():
            if _guards_rows(view):
                cubes |= {member.cube for member in view.members.values()}
        tables = [table for name in cubes for table in catalog.cubes[name].tables]
        found = frozenset(part for table in tables for part in (table, _shorten(table)))
        if len(_found) >= _KEPT:
            _found.clear()
        _found[catalog.version] = found
    return found


def list_tables(visible: Catalog, whole: Catalog) -> tuple[str, ...] | None:
    """Return the tables behind what a caller may see; None, all of them, where nothing is guarded."""
    owners: tuple[Cube | View, ...] = (*whole.cubes.values(), *whole.views.values())
    if not any(owner.policies for owner in owners):
        return None
    cubes = {cube.name for cube in visible.cubes.values() if cube.public}
    for view in visible.views.values():
        cubes |= {member.cube for member in view.members.values()}
    found = (table for name in cubes for table in whole.cubes[name].tables)
    return tuple(sorted(dict.fromkeys(found)))


_KEPT: Final = 16
_found: Final[dict[str, frozenset[str]]] = {}


def _shorten(table: str) -> str:
    """Return a table's name without its schema, as the manifest may have it."""
    return table.replace('"', "").rpartition(".")[2]


def _guards_rows(owner: Cube | View) -> bool:
    return any(policy.rows is not None for policy in owner.policies)


def describe_answer(result: Result, whole: Catalog) -> dict[str, Any]:
    """Return the `ducat` key of an answer: what it was computed from, and whether it is whole."""
    return describe_state(result.state, whole) | {
        "truncated": result.truncated,
        "seconds": round(result.seconds, 6),
        "cache": result.cache,
        "preAggregations": list(result.rollups),
    }


def describe_state(state: AnswerState, whole: Catalog) -> dict[str, Any]:
    """Return the snapshot in service, how fresh its tables are, and what their checks said."""
    guarded = find_guarded(whole)
    return {
        "snapshot": state.snapshot,
        "builtAt": format_instant(state.built_at),
        "quality": state.quality.state,
        "tables": [_describe_table(table, guarded) for table in state.tables],
        "newestCheck": [
            {"table": name, **describe_quality(check)} for name, check in state.newest_check
        ],
    }


def describe_quality(quality: QualityState) -> dict[str, Any]:
    """Return a check's outcome."""
    return {
        "quality": quality.state,
        "checkedAt": format_instant(quality.checked_at) if quality.checked_at else None,
        "failures": list(quality.failures),
    }


def format_instant(instant: datetime) -> str:
    """Return an instant in UTC with milliseconds and `Z`; one without zone is UTC already."""
    aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return f"{aware.isoformat(timespec='milliseconds')[:-6]}Z"


def _describe_table(table: TableSnapshot, guarded: frozenset[str]) -> dict[str, Any]:
    return {
        "name": table.name,
        "version": table.version,
        "rows": None if table.name in guarded else table.rows,
        "dataUntil": format_instant(table.data_until) if table.data_until else None,
        "loadedAt": format_instant(table.loaded_at),
        "quality": table.quality.state,
    }
