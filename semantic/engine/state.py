"""The state of the tables behind an answer: how fresh they are, and whether they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from semantic.engine.result import AnswerState
from semantic.snapshot import UNCHECKED, QualityState, Snapshot, TableSnapshot

_BADNESS: Final = {"passed": 0, "unknown": 1, "failed": 2}


def describe(
    snapshot: Snapshot, checks: Mapping[str, QualityState], tables: Sequence[str] | None
) -> AnswerState:
    """Return the state of `tables` (None: of all that are served).

    A table is known by its name with or without its schema. One that the manifest does not describe
    cannot be vouched for: the quality is then at best unknown.
    """
    if tables is None:
        found = list(snapshot.tables)
        undescribed = False
    else:
        described = [_find(snapshot, name) for name in tables]
        found = list({table.name: table for table in described if table is not None}.values())
        undescribed = any(table is None for table in described)
    states = [table.quality for table in found]
    if undescribed or not states:
        states.append(UNCHECKED)
    return AnswerState(
        snapshot=snapshot.id,
        built_at=snapshot.built_at,
        tables=tuple(found),
        quality=max(states, key=lambda state: _BADNESS[state.state]),
        newest_check=tuple(
            (table.name, checks[table.name])
            for table in found
            if table.name in checks and _failed_since(checks[table.name], snapshot.built_at)
        ),
    )


def _find(snapshot: Snapshot, name: str) -> TableSnapshot | None:
    short = name.replace('"', "").rpartition(".")[2]
    return snapshot.find(name) or snapshot.find(short)


def _failed_since(check: QualityState, built_at: datetime) -> bool:
    if check.state != "failed":
        return False
    return check.checked_at is None or _aware(check.checked_at) > _aware(built_at)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
