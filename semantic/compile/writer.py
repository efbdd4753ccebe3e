"""The statement while it is written: what all its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from semantic.catalog.catalog import Catalog, Dimension
from semantic.compile.compiled import Parameters
from semantic.compile.dialect import Dialect
from semantic.plan.nodes import MeasureName, Relation
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.plan.stored import column_of, find_column
from semantic.query.bound import Condition
from semantic.query.context import SecurityContext

KeyName = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Placed:
    """A relation that has been written as a CTE: its name, and what its columns are called."""

    name: str
    keys: Mapping[KeyName, str]
    values: Mapping[MeasureName, str]
    reads: Relation | None = None


class Writer:
    """Collects CTEs and parameters. Each relation is written once."""

    __slots__ = (
        "_placed",
        "catalog",
        "context",
        "ctes",
        "dates",
        "dialect",
        "masks",
        "parameters",
        "reads_rows",
        "statistics",
        "timezone",
    )

    def __init__(
        self,
        catalog: Catalog,
        dialect: Dialect,
        timezone: str,
        masks: Mapping[tuple[str, str], Condition | None],
        context: SecurityContext,
        statistics: Statistics = UNKNOWN,
    ) -> None:
        self.catalog = catalog
        self.statistics = statistics
        self.dialect = dialect
        self.timezone = timezone
        self.masks = masks
        self.context = context
        self.parameters = Parameters(dialect)
        self.ctes: list[tuple[str, str]] = []
        self.dates: dict[tuple[str, str], None] = {}  # columns that the SQL takes for a DATE
        self.reads_rows = False  # whether anything but rollups is read
        self._placed: list[tuple[object, Placed]] = []

    def is_date(self, dimension: Dimension) -> bool:
        """Whether a time is known to be stored as a DATE, and shown as it is stored."""
        if (dimension.cube, dimension.name) in self.masks:
            return False
        known = find_column(self.catalog, self.statistics, dimension)
        column = column_of(dimension.sql)
        if known is None or known.type != "DATE" or column is None:
            return False
        self.dates[self.catalog.cubes[column[0]].sql_table or "", column[1]] = None
        return True

    def find(self, node: object) -> Placed | None:
        """Return where a node was written already."""
        return next((placed for known, placed in self._placed if known is node), None)

    def add(
        self,
        node: object,
        sql: str,
        keys: Mapping[KeyName, str],
        values: Mapping[MeasureName, str],
    ) -> Placed:
        """Write a CTE and remember where its node is."""
        name = f"_{len(self.ctes)}"
        self.ctes.append((name, sql))
        placed = Placed(name, keys, values)
        self._placed.append((node, placed))
        return placed


def key_column(index: int) -> str:
    """Return what a relation calls its key number `index`."""
    return f"_k{index}"


def value_column(index: int) -> str:
    """Return what a relation calls its measure number `index`."""
    return f"_v{index}"
