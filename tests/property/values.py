"""Values, rows and SQL's logic of three values, for the naive evaluator."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

Value = bool | int | float | Decimal | str | datetime | date | None
Row = Mapping[str, Value]
Joined = Mapping[str, Row | None]
"""A row of joined cubes; None where a cube has no match, so that its columns are null."""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, left: Value, right: Value) -> bool | None:
    """Return a comparison, unknown when a side is null."""
    if left is None or right is None:
        return None
    return _COMPARISONS[sign](alike(left), alike(right))


def alike(value: Value) -> Value:
    """Return a date as the midnight that a timestamp is compared with."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 -- no zone, like the column
    return value


def conjunction(parts: Iterable[bool | None]) -> bool | None:
    """Return AND: false beats unknown beats true."""
    found = list(parts)
    if False in found:
        return False
    return None if None in found else True


def disjunction(parts: Iterable[bool | None]) -> bool | None:
    """Return OR: true beats unknown beats false."""
    found = list(parts)
    if True in found:
        return True
    return None if None in found else False


def negation(part: bool | None) -> bool | None:
    """Return NOT."""
    return None if part is None else not part


def truth(value: Value) -> bool | None:
    """Return a value of a boolean expression."""
    if value is None or isinstance(value, bool):
        return value
    raise TypeError(value)
