"""Rules as Great Expectations sees them: frames of evidence, and what is expected of them.

Two ways lead from a rule to an expectation, chosen once per table by its size:

* A table of up to `NATIVE_ROWS` rows is handed over as it is. Its expectations are the native ones
  (values not null, unique, between, in set, matching, not longer), so the documents show them as
  everyone who knows Great Expectations reads them.
* From a larger table pandas would copy every value into Python. Its figures (how many rows break
  the rule) come from one aggregate in DuckDB instead, and the expectation is that the figure lies
  in the range that the rule allows.

Rules about more than the values of one table (references, days, ages, types) are figures always.
Both ways give the same verdicts and the same counts; `tests/unit/quality` compares them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, assert_never

from quality.checks import (
    AtMostLong,
    Between,
    DataWithin,
    Finite,
    LoadedWithin,
    Matches,
    NotNull,
    OneOf,
    Refers,
    RowCount,
    RowsPerDay,
    Rule,
    Unique,
    describe_rule,
    name_column,
)
from quality.promise import Severity

if TYPE_CHECKING:
    import pandas as pd

NATIVE_ROWS: Final = 100_000

CLOCK_SKEW_MINUTES: Final = 5
"""How far in the future a load time may lie: clocks of two machines differ."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One expectation: the name of its class, its arguments, and how grave it is to miss it."""

    key: str
    expectation: str
    arguments: Mapping[str, Any]
    severity: Severity
    description: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A frame, and what is demanded of it. `name` is the name of the suite in the documents."""

    name: str
    frame: pd.DataFrame
    demands: tuple[Demand, ...]


def label_rule(rule: Rule) -> str:
    """Return a name for a rule's figure, unique within its table."""
    column = name_column(rule)
    return f"{column}: {describe_rule(rule)}" if column else describe_rule(rule)


def demand_of_values(rule: Rule, key: str) -> Demand | None:
    """Return the native expectation of a rule, or None when it has none."""
    name: str
    arguments: dict[str, Any]
    match rule:
        case NotNull():
            name, arguments = "NotBeNull", {"mostly": 1 - rule.rate}
        case Unique(columns=(column,)):
            name, arguments = "BeUnique", {"column": column}
        case Unique():
            arguments = {"column_list": list(rule.columns)}
            return _demand(rule, key, "ExpectCompoundColumnsToBeUnique", arguments)
        case Between():
            name, arguments = "BeBetween", {"min_value": rule.low, "max_value": rule.high}
        case OneOf():
            name, arguments = "BeInSet", {"value_set": list(rule.values)}
        case Matches():
            name, arguments = "MatchRegex", {"regex": rf"(?s)\A(?:{rule.pattern})\Z"}
        case AtMostLong():
            arguments = {"column": rule.column, "max_value": rule.length}
            return _demand(rule, key, "ExpectColumnValueLengthsToBeBetween", arguments)
        case Finite() | Refers() | RowCount() | RowsPerDay() | LoadedWithin() | DataWithin():
            return None
        case _:
            assert_never(rule)
    return _demand(rule, key, f"ExpectColumnValuesTo{name}", arguments)


def demand_of_figure(rule: Rule, key: str, rows: int) -> Demand:
    """Return the expectation of a rule's figure, for a table of so many rows."""
    low: float | None = 0
    high: float | None = 0
    match rule:
        case NotNull():
            high = math.floor(rule.rate * rows + 1e-9)
        case RowCount():
            low, high = rule.low, rule.high
        case LoadedWithin() | DataWithin():
            low, high = -CLOCK_SKEW_MINUTES / 60, rule.limit.total_seconds() / 3600
        case _:
            pass
    arguments = {"column": label_rule(rule), "min_value": low, "max_value": high}
    return _demand(rule, key, "ExpectColumnValuesToBeBetween", arguments)


def demand_of_state(column: str, expected: str, key: str, severity: Severity) -> Demand:
    """Return the expectation that a column of a one-row frame holds a state, such as a type."""
    arguments = {"column": column, "value_set": [expected]}
    return Demand(key, "ExpectColumnValuesToBeInSet", arguments, severity, f"{column}: {expected}")


def measure_age(moment: datetime | None, now: datetime) -> float:
    """Return the age in hours; infinite when the moment is not known."""
    return (now - moment).total_seconds() / 3600 if moment else math.inf


def _demand(rule: Rule, key: str, expectation: str, arguments: Mapping[str, Any]) -> Demand:
    column = name_column(rule)
    named = {} if "column" in arguments or "column_list" in arguments else {"column": column}
    return Demand(key, expectation, {**named, **arguments}, rule.severity, label_rule(rule))
