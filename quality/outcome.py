"""What the gate found: check by check, table by table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quality.promise import Severity
from semantic.snapshot import QualityState


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check found.

    `failing_rows` are the first rows that break the rule, as their key and value;
    `failing_count` says how many there are (for `rows_per_day`: days).
    """

    name: str
    column: str | None
    passed: bool
    severity: Severity
    observed: str
    expected: str
    failing_rows: tuple[dict[str, Any], ...] = ()
    failing_count: int = 0

    def __str__(self) -> str:
        place = f"{self.column} " if self.column else ""
        mark = "warning: " if self.severity == "warning" else ""
        return f"{mark}{place}{self.name}: expected {self.expected}, found {self.observed}"


@dataclass(frozen=True, slots=True)
class TableCheck:
    """The outcomes of one table; it passed when no check of severity `error` failed."""

    table: str
    passed: bool
    checks: tuple[CheckOutcome, ...]

    @property
    def failures(self) -> tuple[CheckOutcome, ...]:
        """The checks that failed, warnings included."""
        return tuple(check for check in self.checks if not check.passed)


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on a candidate, table by table."""

    passed: bool
    tables: tuple[TableCheck, ...]
    seconds: float
    checked_at: datetime

    def states(self) -> dict[str, QualityState]:
        """Return the state of each table as `semantic.snapshot` keeps it."""
        return {
            check.table: QualityState(
                "passed" if check.passed else "failed",
                self.checked_at,
                tuple(str(failure) for failure in check.failures),
            )
            for check in self.tables
        }
