"""What each rule means in SQL.

Every rule that speaks of rows has ONE meaning: its condition, true for exactly the rows that break
it. Its figure (how many) and the sample of failing rows are both made from that. All functions are
pure and return text for DuckDB; `figures.py` runs it. Names are quoted and values written as
literals here, in one place: the text holds nothing of a contract in any other form.
"""

# ruff: noqa: S608

from __future__ import annotations

from datetime import date, datetime
from typing import Final, assert_never

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
    ValueRule,
)
from quality.promise import Allowed, Bound

SCHEMA: Final = "gold"
"""The schema of a served file in which its tables are."""


def write_condition(rule: ValueRule, table: str) -> str:
    """Return the SQL condition that is true for exactly the rows of `table` that break a rule."""
    match rule:
        case NotNull():
            column = quote(rule.column)
            nan = f" OR isnan({column})" if rule.is_double else ""
            return f"({column} IS NULL{nan})"
        case Finite():
            column = quote(rule.column)
            return f"coalesce(NOT isfinite({column}), false)"
        case Unique():
            columns = ", ".join(quote(name) for name in rule.columns)
            there = " AND ".join(f"{quote(name)} IS NOT NULL" for name in rule.columns)
            return (
                f"(({columns}) IN (SELECT ({columns}) FROM {relation(table)} WHERE {there} "
                f"GROUP BY {columns} HAVING count(*) > 1) AND {there})"
            )
        case Between():
            column = quote(rule.column)
            if rule.is_double:
                column = f"nullif({column}, CAST('NaN' AS DOUBLE))"
            low = f"{column} < {literal(rule.low)}" if rule.low is not None else "false"
            high = f"{column} > {literal(rule.high)}" if rule.high is not None else "false"
            return f"coalesce({low} OR {high}, false)"
        case OneOf():
            values = ", ".join(literal(value) for value in rule.values)
            return f"coalesce({quote(rule.column)} NOT IN ({values}), false)"
        case Matches():
            matches = f"regexp_full_match({quote(rule.column)}, {literal(rule.pattern)}, 's')"
            return f"coalesce(NOT {matches}, false)"
        case AtMostLong():
            return f"coalesce(length({quote(rule.column)}) > {rule.length}, false)"
        case Refers():
            column = quote(rule.column)
            found = f"SELECT {quote(rule.target.column)} FROM {relation(rule.target.table)}"
            target = quote(rule.target.column)
            return (
                f"({column} IS NOT NULL AND {column} NOT IN ({found} WHERE {target} IS NOT NULL))"
            )
        case _:
            assert_never(rule)


def count_violations(rule: Rule, table: str) -> str:
    """Return SQL of one number, an item of a SELECT from `table`: the figure that is judged.

    Rows that break the rule; for `RowCount` the rows there are, for `RowsPerDay` the days that
    break it, for `DataWithin` the newest value (a time).
    """
    match rule:
        case Unique() | Refers():
            # A condition with a query in it is counted on its own.
            return f"(SELECT count(*) FROM {relation(table)} WHERE {write_condition(rule, table)})"
        case RowCount():
            return "count(*)"
        case RowsPerDay():
            return f"(SELECT count(*) FROM ({select_days(rule, table)}))"
        case LoadedWithin():
            return "0"
        case DataWithin():
            return f"max({quote(rule.column)})"
        case _:
            return f"count(*) FILTER (WHERE {write_condition(rule, table)})"


def select_violations(rule: Rule, table: str, key: tuple[str, ...], limit: int) -> str | None:
    """Return SQL of the first rows, by key, that break a rule: key and value; None: it has none."""
    match rule:
        case RowCount() | LoadedWithin() | DataWithin():
            return None
        case RowsPerDay():
            return f"{select_days(rule, table)} ORDER BY ALL LIMIT {limit}"
        case _:
            pass
    own = rule.columns if isinstance(rule, Unique) else (rule.column,)
    shown = ", ".join(quote(name) for name in dict.fromkeys((*key, *own)))
    first = ", ".join(quote(name) for name in dict.fromkeys((*own, *key)))
    condition = write_condition(rule, table)
    order = first if isinstance(rule, Unique) else "ALL"
    return f"SELECT {shown} FROM {relation(table)} WHERE {condition} ORDER BY {order} LIMIT {limit}"


def select_days(rule: RowsPerDay, table: str) -> str:
    """Return SQL of the days that have too few or too many rows: day and rows."""
    day = quote(rule.column)
    high = f" OR n > {rule.high}" if rule.high is not None else ""
    return (
        f'SELECT d AS {day}, n AS "rows" FROM ('
        f"SELECT CAST(s.d AS DATE) AS d, count(t.{day}) AS n FROM ("
        f"SELECT unnest(generate_series(min({day}), max({day}), INTERVAL 1 DAY)) AS d "
        f"FROM {relation(table)}) AS s LEFT JOIN {relation(table)} AS t "
        f"ON t.{day} = CAST(s.d AS DATE) GROUP BY s.d) WHERE n < {rule.low}{high}"
    )


def quote(name: str) -> str:
    """Return an identifier of DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def relation(table: str) -> str:
    """Return a table of the served schema."""
    return f"{quote(SCHEMA)}.{quote(table)}"


def literal(value: Bound | Allowed) -> str:
    """Return a value as DuckDB reads it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"CAST('{value!r}' AS DOUBLE)"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            assert_never(value)
