"""Is what is served as young as its contracts promise?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from quality.contract import Contract
from semantic.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class StaleTable:
    """A table whose newest batch was loaded longer ago than its contract allows."""

    table: str
    owner: str
    age: timedelta
    allowed: timedelta

    def __str__(self) -> str:
        return (
            f"{self.table} was loaded {self.age} ago, its contract allows {self.allowed} "
            f"(owner: {self.owner})"
        )


def find_stale(
    snapshot: Snapshot, contracts: Iterable[Contract], now: datetime
) -> tuple[StaleTable, ...]:
    """Return the served tables that miss their freshness SLA, in the contracts' order."""
    stale = []
    for contract in contracts:
        table = snapshot.find(contract.table)
        allowed = contract.freshness.loaded_within if contract.freshness else None
        if table is None or allowed is None:
            continue
        age = now - table.loaded_at
        if age > allowed:
            stale.append(StaleTable(contract.table, contract.owner, age, allowed))
    return tuple(stale)
