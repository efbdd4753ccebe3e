"""Do the parts of a contract, and the contracts together, agree? Pure; places come from outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime

from quality.promise import Bound, Column, Contract
from semantic.errors import Problem, Span, suggest

Steps = tuple[str | int, ...]
"""The way to a value in a file: keys and indexes from the top."""

Locate = Callable[[Steps], Span]


def check_alone(contract: Contract, locate: Locate) -> Iterator[Problem]:
    """Yield what is wrong inside one contract."""
    yield from _check_columns(contract, locate)
    yield from _check_named_columns(contract, locate)
    freshness = contract.freshness
    if freshness and (freshness.data_within is None) != (freshness.event_time is None):
        message = "data_within and event_time belong together"
        yield Problem("invalid_value", message, locate(("freshness",)))
    for where, limits in ((("rows",), contract.rows), (("rows", "per_day"), contract.rows.per_day)):
        if limits and limits.max is not None and limits.max < limits.min:
            yield Problem("invalid_value", "max is less than min", locate((*where, "max")))


def check_together(read: Sequence[tuple[Contract, Locate]], *, complete: bool) -> Iterator[Problem]:
    """Yield what is wrong between contracts.

    Unless the set is `complete`, a reference to a table that is not in it may be right.
    """
    tables = {contract.table: contract for contract, _ in reversed(read)}
    seen: set[str] = set()
    for contract, locate in read:
        if contract.table in seen:
            message = f"{contract.table} has two contracts"
            yield Problem("duplicate_table", message, locate(("table",)))
        seen.add(contract.table)
        for index, column in enumerate(contract.columns):
            if column.references is None:
                continue
            place = locate(("columns", index, "references"))
            target = tables.get(column.references.table)
            found = target.find(column.references.column) if target else None
            if found is None and (complete or target):
                known = [
                    f"{name}.{other.name}" for name in tables for other in tables[name].columns
                ]
                hint = suggest(str(column.references), known)
                message = f"no column {column.references}"
                yield Problem("unknown_reference", message, place, hint)
            elif found and found.type != column.type:
                message = f"{column.name} is {column.type}, {column.references} is {found.type}"
                yield Problem("invalid_value", message, place)


def _check_columns(contract: Contract, locate: Locate) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, column in enumerate(contract.columns):
        if column.name in seen:
            message = f"column {column.name} is described twice"
            yield Problem("duplicate_column", message, locate(("columns", index, "name")))
        seen.add(column.name)
        for key, message in _check_column(column):
            place = locate(("columns", index, key))
            yield Problem("invalid_value", f"{column.name}: {message}", place)


def _check_named_columns(contract: Contract, locate: Locate) -> Iterator[Problem]:
    for steps, name, types in _name_columns(contract):
        found = contract.find(name)
        if found is None:
            hint = suggest(name, [column.name for column in contract.columns])
            yield Problem("unknown_column", f"no column {name}", locate(steps), hint)
        elif types and found.type not in types:
            message = f"{name} is {found.type}, not {' or '.join(types)}"
            yield Problem("invalid_value", message, locate(steps))
        elif steps[0] == "key" and found.nullable:
            message = f"{name} is part of the key and cannot be nullable"
            yield Problem("invalid_value", message, locate(steps))


def _name_columns(contract: Contract) -> Iterator[tuple[Steps, str, tuple[str, ...]]]:
    for index, name in enumerate(contract.key):
        yield ("key", index), name, ()
    if contract.rows.per_day:
        yield ("rows", "per_day", "column"), contract.rows.per_day.column, ("date",)
    if contract.freshness and contract.freshness.event_time:
        yield ("freshness", "event_time"), contract.freshness.event_time, ("timestamp",)


def _check_column(column: Column) -> Iterator[tuple[str, str]]:
    if column.max_null_rate is not None and not column.nullable:
        yield "max_null_rate", "max_null_rate needs `nullable: true`"
    if column.pattern is not None and not _is_pattern(column.pattern):
        yield "pattern", "not a regular expression"
    for key in ("pattern", "max_length"):
        if getattr(column, key) is not None and column.type != "text":
            yield key, f"{key} is for text, not for {column.type}"
    for value in column.values or ():
        if not _is_value_of(column.type, value):
            yield "values", f"{value!r} is no value of {column.type}"
    bounds = {"min": column.min, "max": column.max}
    wrong = [
        key
        for key, bound in bounds.items()
        if bound is not None and not _is_bound_of(column.type, bound)
    ]
    for key in wrong:
        yield key, f"{bounds[key]} is no bound for {column.type}"
    if wrong or column.min is None or column.max is None:
        return
    if _rank(column.max) < _rank(column.min):
        yield "max", "max is less than min"


def _rank(bound: Bound) -> tuple[float, str]:
    # A day and a time are compared as ISO texts, year first; of one column all are alike.
    return (0.0, bound.isoformat()) if isinstance(bound, date) else (float(bound), "")


def _is_pattern(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _is_bound_of(kind: str, bound: object) -> bool:
    match kind:
        case "integer":
            return isinstance(bound, int)
        case "date":
            return isinstance(bound, date) and not isinstance(bound, datetime)
        case "timestamp":
            return isinstance(bound, date)
        case "text" | "boolean":
            return False
        case _:
            return isinstance(bound, int | float)


def _is_value_of(kind: str, value: object) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "text":
            return isinstance(value, str)
        case _:
            return False
