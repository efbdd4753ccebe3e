"""What a contract demands, as rules.

    Contract ──demand_rules──▶ Rule …  ──┬─ sql.py     the rows that break it, and their number
                                         └─ demands.py the Great Expectations expectation

Null values break `NotNull` only: all other rules speak of the values that are there. NaN counts
as no value, because an average over it is no number; `Finite` names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import ClassVar, assert_never

from quality.promise import Allowed, Bound, Column, Contract, PerDay, Reference, Rows, Severity


@dataclass(frozen=True, slots=True)
class NotNull:
    """At most `rate` of the values are missing."""

    kind: ClassVar[str] = "not_null"
    column: str
    severity: Severity
    rate: float = 0.0
    is_double: bool = False


@dataclass(frozen=True, slots=True)
class Finite:
    """No value is NaN or infinite."""

    kind: ClassVar[str] = "finite"
    column: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Unique:
    """No value of `columns` together occurs twice; `is_key` when they are the table's key."""

    kind: ClassVar[str] = "unique"
    columns: tuple[str, ...]
    severity: Severity
    is_key: bool


@dataclass(frozen=True, slots=True)
class Between:
    """Every value lies between `low` and `high`, both included."""

    kind: ClassVar[str] = "range"
    column: str
    severity: Severity
    low: Bound | None
    high: Bound | None
    is_double: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """Every value is one of `values`."""

    kind: ClassVar[str] = "values"
    column: str
    severity: Severity
    values: tuple[Allowed, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """Every value as a whole matches the regular expression."""

    kind: ClassVar[str] = "pattern"
    column: str
    severity: Severity
    pattern: str


@dataclass(frozen=True, slots=True)
class AtMostLong:
    """Every value has at most `length` characters."""

    kind: ClassVar[str] = "max_length"
    column: str
    severity: Severity
    length: int


@dataclass(frozen=True, slots=True)
class Refers:
    """Every value is found in a column of another table."""

    kind: ClassVar[str] = "references"
    column: str
    severity: Severity
    target: Reference


@dataclass(frozen=True, slots=True)
class RowCount:
    """The table has so many rows."""

    kind: ClassVar[str] = "row_count"
    severity: Severity
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class RowsPerDay:
    """Each day from the first to the last has so many rows; a day without any has 0."""

    kind: ClassVar[str] = "rows_per_day"
    column: str
    severity: Severity
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class LoadedWithin:
    """The newest source batch is at most this old."""

    kind: ClassVar[str] = "loaded_within"
    severity: Severity
    limit: timedelta


@dataclass(frozen=True, slots=True)
class DataWithin:
    """The newest value of `column` is at most this old."""

    kind: ClassVar[str] = "data_within"
    column: str
    severity: Severity
    limit: timedelta


ValueRule = NotNull | Finite | Unique | Between | OneOf | Matches | AtMostLong | Refers
"""Broken by rows that can be shown."""

Rule = ValueRule | RowCount | RowsPerDay | LoadedWithin | DataWithin


def demand_rules(contract: Contract) -> tuple[Rule, ...]:
    """Return all rules of a contract, table first, then column by column as they are written."""
    return (
        *_of_rows(contract.rows, contract.severity),
        *_of_freshness(contract),
        Unique(contract.key, contract.severity, is_key=True),
        *(
            rule
            for column in contract.columns
            for rule in _of_column(column, column.severity or contract.severity)
        ),
    )


def _of_rows(rows: Rows, severity: Severity) -> Iterator[Rule]:
    own = rows.severity or severity
    yield RowCount(own, rows.min, rows.max)
    day: PerDay | None = rows.per_day
    if day:
        yield RowsPerDay(day.column, day.severity or own, day.min, day.max)


def _of_freshness(contract: Contract) -> Iterator[Rule]:
    promise = contract.freshness
    if promise and promise.loaded_within:
        yield LoadedWithin(promise.severity, promise.loaded_within)
    if promise and promise.data_within and promise.event_time:
        yield DataWithin(promise.event_time, promise.severity, promise.data_within)


def _of_column(column: Column, severity: Severity) -> Iterator[Rule]:
    name = column.name
    rate = column.max_null_rate if column.nullable else 0.0
    if rate is not None:
        yield NotNull(name, severity, rate, column.type == "double")
    if column.type == "double":
        yield Finite(name, severity)
    if column.unique:
        yield Unique((name,), severity, is_key=False)
    if column.min is not None or column.max is not None:
        low, high = _as_bound(column, column.min), _as_bound(column, column.max)
        yield Between(name, severity, low, high, column.type == "double")
    if column.values is not None:
        yield OneOf(name, severity, column.values)
    if column.pattern is not None:
        yield Matches(name, severity, column.pattern)
    if column.max_length is not None:
        yield AtMostLong(name, severity, column.max_length)
    if column.references is not None:
        yield Refers(name, severity, column.references)


def _as_bound(column: Column, bound: Bound | None) -> Bound | None:
    """Return a day that bounds a timestamp as the moment at which it begins."""
    if column.type == "timestamp" and isinstance(bound, date) and not isinstance(bound, datetime):
        return datetime.combine(bound, time())
    return bound


def name_rule(rule: Rule) -> str:
    """Return the stable name of a rule's kind, as outcomes carry it."""
    return "key" if isinstance(rule, Unique) and rule.is_key else rule.kind


def name_column(rule: Rule) -> str | None:
    """Return the one column that a rule speaks of, or None when it is the table."""
    match rule:
        case Unique():
            return None if rule.is_key else rule.columns[0]
        case RowCount() | LoadedWithin():
            return None
        case _:
            return rule.column


def describe_rule(rule: Rule) -> str:  # noqa: C901  a branch per kind
    """Return what a rule expects, in words."""
    match rule:
        case NotNull(rate=0.0):
            return "a value in every row"
        case NotNull():
            return f"no value in at most {rule.rate:.2%} of the rows"
        case Finite():
            return "no NaN and no infinity"
        case Unique():
            return f"{', '.join(rule.columns)} unique"
        case Between() | RowCount():
            return _describe_range(rule.low, rule.high)
        case RowsPerDay():
            return f"each day {_describe_range(rule.low, rule.high)} rows"
        case OneOf():
            return f"one of {', '.join(str(value) for value in rule.values)}"
        case Matches():
            return f"matches {rule.pattern}"
        case AtMostLong():
            return f"at most {rule.length} characters"
        case Refers():
            return f"found in {rule.target}"
        case LoadedWithin():
            return f"loaded at most {rule.limit} ago"
        case DataWithin():
            return f"newest value at most {rule.limit} old"
        case _:
            assert_never(rule)


def _describe_range(low: Bound | None, high: Bound | None) -> str:
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def name_needed(rule: Rule) -> tuple[tuple[str | None, str], ...]:
    """Return the (table, column) pairs that a rule reads; table None is the rule's own."""
    match rule:
        case Unique():
            return tuple((None, name) for name in rule.columns)
        case Refers():
            return (None, rule.column), (rule.target.table, rule.target.column)
        case RowCount() | LoadedWithin():
            return ()
        case _:
            return ((None, rule.column),)
