"""The statement while it is written: what all its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from semantic.catalog.catalog import Catalog
from semantic.compile.compiled import Parameters
from semantic.compile.dialect import Dialect
from semantic.plan.nodes import MeasureName, Relation
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
        "dialect",
        "masks",
        "parameters",
        "timezone",
    )

    def __init__(
        self,
        catalog: Catalog,
        dialect: Dialect,
        timezone: str,
        masks: Mapping[tuple[str, str], Condition | None],
        context: SecurityContext,
    ) -> None:
        self.catalog = catalog
        self.dialect = dialect
        self.timezone = timezone
        self.masks = masks
        self.context = context
        self.parameters = Parameters(dialect)
        self.ctes: list[tuple[str, str]] = []
        self._placed: list[tuple[object, Placed]] = []

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
