"""Sets of days: which rows of a table may differ, and which have to be replaced."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Days:
    """Some days, or every day there is or will be."""

    some: frozenset[date] = frozenset()
    every: bool = False

    def __or__(self, other: Days) -> Days:
        return EVERY if self.every or other.every else Days(self.some | other.some)

    def __bool__(self) -> bool:
        return self.every or bool(self.some)

    def sorted(self) -> tuple[date, ...]:
        """Return the days in order; empty for every day."""
        return tuple(sorted(self.some))

    def ranges(self) -> list[tuple[date, date]]:
        """Return the days as runs of consecutive days, both ends included."""
        runs: list[tuple[date, date]] = []
        for day in self.sorted():
            if runs and runs[-1][1] + timedelta(days=1) == day:
                runs[-1] = (runs[-1][0], day)
            else:
                runs.append((day, day))
        return runs

    def predicate(self, column: str) -> str:
        """Return the SQL condition that a row's day is one of these, for DuckDB and for Delta."""
        if self.every:
            return "true"
        name = quote(column)
        tests = [f"({name} >= '{a}' AND {name} <= '{b}')" for a, b in self.ranges()]
        return "(" + " OR ".join(tests) + ")" if tests else "false"


NO_DAYS: Final = Days()
EVERY: Final = Days(every=True)


def write_days(days: Days) -> str:
    """Return the days as JSON text for a commit's metadata."""
    return json.dumps("every" if days.every else [f"{a}/{b}" for a, b in days.ranges()])


def read_days(text: str) -> Days:
    """Return what `write_days` wrote; a text that is not of ours means every day."""
    try:
        document: Any = json.loads(text)
        if not isinstance(document, list):
            return EVERY
        return Days(frozenset(_expand(document)))
    except (ValueError, TypeError, AttributeError):
        return EVERY


def quote(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _expand(runs: Iterable[str]) -> Iterable[date]:
    for run in runs:
        first, last = (date.fromisoformat(end) for end in run.split("/"))
        for offset in range((last - first).days + 1):
            yield first + timedelta(days=offset)
