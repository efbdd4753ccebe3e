"""What most databases say alike; a dialect says only what its own says otherwise."""

from __future__ import annotations

from collections.abc import Sequence


class Standard:
    """The parts of a skeleton that the SQL standard has a word for."""

    __slots__ = ()

    @property
    def nests_joins(self) -> bool:
        """Whether names are still seen outside a join in brackets."""
        return True

    def lateral(self, source: str, series: str) -> str:
        """Return the FROM items of a source, and of a series that reads its columns."""
        return f"{source}, LATERAL {series}"

    def cast_double(self, value: str) -> str:
        """Return a number as a floating one of 64 bits."""
        return f"CAST({value} AS DOUBLE PRECISION)"

    def number_rows(self) -> str:
        """Return a window function: another number for each row."""
        return "row_number() OVER ()"

    def texts(self, literals: Sequence[str], alias: str) -> str:
        """Return a FROM item with a row for each text literal, in the column `_value`."""
        return f"(VALUES {', '.join(f'({text})' for text in literals)}) AS {alias}(_value)"

    def sum(self, value: str, over: str = "") -> str:
        """Return an aggregate: the sum, exact for whole numbers and decimals, or an error."""
        return f"sum({value}){over}"

    def average(self, value: str) -> str:
        """Return an aggregate: the mean, with at least the digits of a double."""
        return f"avg({value})"

    def ratio(self, total: str, count: str) -> str:
        """Return a total over a count, null where it counts nothing; never a whole division."""
        return f"{total} * 1.0 / nullif({count}, 0)"

    def meeting(self, period: str, time: str) -> str:
        """Return a test that a row has a time, beside which a period is compared with it."""
        del period
        return f"{time} IS NOT NULL"

    def empty(self, column: str, relation: str) -> str:
        """Return a null of the type of a relation's column."""
        return f"(SELECT {column} FROM {relation} WHERE FALSE)"
