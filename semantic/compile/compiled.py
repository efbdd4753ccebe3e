"""What the engine runs: SQL text, and the values bound to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from semantic.query.bound import BoundColumn

Parameter = str | bool | int | float | Decimal | datetime


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """`values[n]` is the value of `$n+1` in `sql`. `columns` are the columns that it returns.

    `total` counts the rows without limit and offset with the same values, when that was asked.
    """

    sql: str
    values: tuple[Parameter, ...]
    columns: tuple[BoundColumn, ...]
    tables: tuple[str, ...]
    total: str | None = None


class Parameters:
    """Collects values while SQL is written: equal values share a placeholder."""

    __slots__ = ("_numbers", "_values")

    def __init__(self) -> None:
        self._numbers: dict[tuple[type, Parameter], int] = {}
        self._values: list[Parameter] = []

    def bind(self, value: Parameter) -> str:
        """Return the placeholder that stands for the value."""
        key = (type(value), value)
        if key not in self._numbers:
            self._values.append(value)
            self._numbers[key] = len(self._values)
        return f"${self._numbers[key]}"

    @property
    def values(self) -> tuple[Parameter, ...]:
        """The values in the order of their numbers."""
        return tuple(self._values)
