"""What the engine runs: SQL text, and the values bound to it."""

from __future__ import annotations

from dataclasses import dataclass

from semantic.compile.dialect import Dialect, Parameter
from semantic.compile.trace import Traced, write_plain
from semantic.query.bound import BoundColumn


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """`values[n]` is the value of `$n+1` in `sql`. `columns` are the columns that it returns.

    `total` counts the rows without limit and offset with the same values, when that was asked. The
    SQL is right only where the columns in `dates` (table, lower-case column) are of type DATE, and
    where the built rollups are those of `rollup_set`; `rollups` are the names of those that it reads,
    and `only_rollups` says whether it reads nothing else.
    """

    sql: str
    values: tuple[Parameter, ...]
    columns: tuple[BoundColumn, ...]
    tables: tuple[str, ...]
    total: str | None = None
    dates: tuple[tuple[str, str], ...] = ()
    rollups: tuple[str, ...] = ()
    rollup_set: str = ""
    only_rollups: bool = False


class Parameters:
    """Collects values while SQL is written: equal values share a placeholder where they may."""

    __slots__ = ("_dialect", "_numbers", "_values")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._numbers: dict[tuple[type, Parameter], int] = {}
        self._values: list[Parameter] = []

    def bind(self, value: Parameter) -> str:
        """Return the placeholder that stands for the value."""
        if isinstance(value, Traced):
            return self._bind_traced(value)
        key = (type(value), value)
        number = self._numbers.get(key)
        if number is None or (isinstance(value, str) and not self._dialect.shares_texts):
            self._values.append(value)
            number = self._numbers[key] = len(self._values)
        return self._dialect.placeholder(number, value)

    def _bind_traced(self, value: Parameter) -> str:
        """Do the same for a traced value: what it is compared with is noted in its trace."""
        plain = write_plain(value)
        if self._dialect.shares_texts or not isinstance(plain, str):
            for number, known in enumerate(self._values, start=1):
                if type(write_plain(known)) is type(plain) and known == value:
                    return self._dialect.placeholder(number, plain)
        self._values.append(value)
        return self._dialect.placeholder(len(self._values), plain)

    @property
    def values(self) -> tuple[Parameter, ...]:
        """The values in the order of their numbers."""
        return tuple(self._values)
