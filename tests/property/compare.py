"""Whether an answer is the expected one: as a multiset, and ordered as far as the order says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.property.evaluate import Answer
from tests.property.values import Value, alike

Rows = Sequence[Mapping[str, Any]]


def find_difference(expected: Answer, found: Rows, limit: int | None, offset: int) -> str | None:
    """Return what differs, or None. `found` may be any rows that order, limit and offset allow."""
    ordered = sort_rows(expected.rows, expected.order)
    window = ordered[offset:] if limit is None else ordered[offset : offset + limit]
    if len(found) != len(window):
        return f"{len(found)} rows instead of {len(window)}"
    if window and set(window[0]) != set(found[0]):
        return f"columns {sorted(found[0])} instead of {sorted(window[0])}"
    surplus = count_rows(found) - count_rows(expected.rows)
    if surplus:
        return f"{surplus.total()} rows are not among the expected ones"
    for name, _ in expected.order:
        if [show(row[name]) for row in found] != [show(row[name]) for row in window]:
            return f"not in the order of {name}"
    return None


def count_rows(rows: Rows) -> Counter[tuple[tuple[str, str], ...]]:
    """Return how often each row occurs."""
    return Counter(tuple(sorted((key, show(row[key])) for key in row)) for row in rows)


def sort_rows(rows: Rows, order: Sequence[tuple[str, bool]]) -> list[Mapping[str, Any]]:
    """Return the rows sorted; null is larger than every value."""
    found = list(rows)
    for name, down in reversed(order):
        found.sort(key=lambda row: _sort_key(row[name]), reverse=down)
    return found


def _sort_key(value: Value) -> tuple[bool, Any]:
    return (True, 0) if value is None else (False, alike(value))


def show(value: Value) -> str:
    """Return a text that is equal for equal values; quotients to nine digits."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float() | Decimal():
            return "0" if value == 0 else f"{float(value):.9g}"
        case datetime():
            return value.isoformat()
        case date():
            return f"{value.isoformat()}T00:00:00"
        case _:
            return repr(value)
