"""What is known of the stored tables: how many rows, and how many values a column has.

A plan may be cheaper with it, never different in its answer: statistics may be old, estimated or
absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from semantic.plan.candidates import NO_ROLLUPS, RollupSet
from semantic.rollups import FoundRollup

_COMPARABLE: Final = ("DATE", "TIMESTAMP", "TIME", "VARCHAR", "BOOLEAN", "UUID", "ENUM", "DECIMAL")
_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
                 "UINTEGER", "UBIGINT")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """A column's type, in the engine's words, and about how many different values it has."""

    type: str
    distinct: int

    @property
    def is_exact(self) -> bool:
        """Whether equal values are the same value, so that one can stand for the other.

        Not so for floating-point numbers (0.0 and -0.0), nor for text in a collation.
        """
        return self.type.startswith((*_COMPARABLE, *_WHOLE))


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """A table's number of rows, and its columns by lower-case name."""

    rows: int
    columns: Mapping[str, ColumnStatistics]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Tables by lower-case name, with and without their schema.

    `eager`: whatever may be planned in another way is, whether it pays or not (tests do so).
    `rollups` are those of the model that were computed ahead from them; `stored` is what the engine
    found of them, and `stored_version` tells one finding from another.
    """

    tables: Mapping[str, TableStatistics] = field(default_factory=lambda: MappingProxyType({}))
    eager: bool = False
    rollups: RollupSet = NO_ROLLUPS
    stored: tuple[FoundRollup, ...] = ()
    stored_version: str = ""

    def table(self, name: str | None) -> TableStatistics | None:
        """Return what is known of a table, by its name as `sql_table` has it."""
        if name is None:
            return None
        return self.tables.get(name.replace('"', "").lower())


UNKNOWN: Final = Statistics()
