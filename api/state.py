"""The state of an answer as every door shows it: Ducat's own addition to Cube's shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from semantic.engine.result import AnswerState, Result
from semantic.snapshot import QualityState, TableSnapshot


def describe_answer(result: Result) -> dict[str, Any]:
    """Return the `ducat` key of an answer: what it was computed from, and whether it is whole."""
    return describe_state(result.state) | {
        "truncated": result.truncated,
        "seconds": round(result.seconds, 6),
        "cache": result.cache,
    }


def describe_state(state: AnswerState) -> dict[str, Any]:
    """Return the snapshot in service, how fresh its tables are, and what their checks said."""
    return {
        "snapshot": state.snapshot,
        "builtAt": format_instant(state.built_at),
        "quality": state.quality.state,
        "tables": [_describe_table(table) for table in state.tables],
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
    return aware.strftime("%Y-%m-%dT%H:%M:%S.") + f"{aware.microsecond // 1000:03d}Z"


def _describe_table(table: TableSnapshot) -> dict[str, Any]:
    return {
        "name": table.name,
        "version": table.version,
        "rows": table.rows,
        "dataUntil": format_instant(table.data_until) if table.data_until else None,
        "loadedAt": format_instant(table.loaded_at),
        "quality": table.quality.state,
    }
