"""A question of the matrix: the query JSON that asks it, and how SQL written by hand says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["string", "number", "boolean", "time"]
Value = str | Decimal | bool | datetime | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and the SELECT that answers it (None: doors are compared with each other only).

    `ordered`: the query says the order of every row, so rows are compared in order.
    """

    name: str
    document: dict[str, Any]
    by_hand: str | None = None
    ordered: bool = False

    @property
    def compared(self) -> tuple[str, Sequence[Any]] | None:
        """The time dimension that compares date ranges, and the ranges."""
        for item in self.document.get("timeDimensions", ()):
            if "compareDateRange" in item:
                return item["dimension"], item["compareDateRange"]
        return None

    @property
    def zone(self) -> str:
        """The time zone that the query names."""
        return str(self.document.get("timezone", "UTC"))

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The queries of one date range each that the question comes to."""
        if self.compared is None:
            return [self.document]
        parts = []
        for chosen in self.compared[1]:
            times = []
            for item in self.document["timeDimensions"]:
                plain = {key: value for key, value in item.items() if key != "compareDateRange"}
                times.append(plain | ({"dateRange": chosen} if plain != item else {}))
            parts.append(self.document | {"timeDimensions": times})
        return parts


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with the columns of the query in its order, and the total where it was asked."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door answered: one part, or one for each date range that is compared."""

    parts: tuple[Part, ...]


_FRACTION = re.compile(r"\.\d+$")


def read_value(value: object, kind: Kind) -> Value:
    """Return a value as what it is, however a door wrote it.

    Raises:
        ValueError: it is not written as a value of its kind.
    """
    match value:
        case None:
            return None
        case bool() if kind == "boolean":
            return value
        case "true" | "false" if kind == "boolean":
            return value == "true"
        case Decimal() | int() | float() if kind == "number" and not isinstance(value, bool):
            return plain_number(Decimal(repr(value) if isinstance(value, float) else value))
        case str() if kind == "number":
            return plain_number(Decimal(value))
        case datetime() if kind == "time":
            return value.replace(tzinfo=None)
        case date() if kind == "time":
            return datetime.combine(value, time())
        case str() if kind == "time":
            return datetime.fromisoformat(value)
        case str() if kind == "string":
            return value
        case _:
            raise ValueError(f"{value!r} is no {kind}")


def plain_number(number: Decimal) -> Decimal:
    """Return a number without the digits that say nothing, all others kept."""
    return Decimal(0) if number == 0 else number


def to_milliseconds(value: Value) -> Value:
    """Return a time as doors of Cube's protocol write it, cut to milliseconds."""
    if not isinstance(value, datetime):
        return value
    return value.replace(microsecond=value.microsecond // 1000 * 1000)
