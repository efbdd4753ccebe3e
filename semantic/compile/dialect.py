"""What a database's SQL is like where databases differ.

A dialect's methods take SQL text and return SQL text; they are pure and know no member. `time` is a
column as it is stored: a TIMESTAMP without a zone is UTC, a TIMESTAMPTZ is an instant, a DATE is a
calendar day that no time zone moves. The type is not known here, so the SQL asks for it. `local` is
always a TIMESTAMP that shows a wall clock.

The session that runs the SQL must have the time zone UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from semantic.compile.dialects.bigquery import BIGQUERY
from semantic.compile.dialects.clickhouse import CLICKHOUSE
from semantic.compile.dialects.duckdb import DUCKDB
from semantic.compile.dialects.periods import Parameter, Parts
from semantic.compile.dialects.postgres import POSTGRES
from semantic.compile.dialects.snowflake import SNOWFLAKE
from semantic.compile.dialects.spark import DATABRICKS, SPARK
from semantic.compile.dialects.trino import TRINO

__all__ = [
    "BIGQUERY", "CLICKHOUSE", "DATABRICKS", "DUCKDB", "POSTGRES", "SNOWFLAKE", "SPARK", "TRINO",
    "Dialect", "Parameter", "Parts",
]  # fmt: skip


class Dialect(Protocol):
    """Writes SQL for one database."""

    @property
    def name(self) -> str:
        """The name that sqlglot and Ibis know the database by."""
        ...

    @property
    def shares_texts(self) -> bool:
        """Whether one placeholder of a text may stand in two places, whatever their types."""
        ...

    @property
    def nests_joins(self) -> bool:
        """Whether names are still seen outside a join in brackets."""
        ...

    def quote_name(self, name: str) -> str:
        """Return an identifier in double quotes."""
        ...

    def quote_text(self, text: str) -> str:
        """Return a text literal; for texts of the model, not of callers."""
        ...

    def truncate(self, unit: str, time: str) -> str:
        """Return the begin of the built-in period that a time lies in; weeks begin on Monday."""
        ...

    def local_time(self, time: str, zone: str) -> str:
        """Return the wall clock of a zone at a stored time, as a TIMESTAMP."""
        ...

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` when the member is a DATE, else `utc`; for comparison with the member."""
        ...

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval, part after part; a month's last days are clamped."""
        ...

    def bin(self, local: str, interval: Parts, origin: str) -> str:
        """Return the begin of the period that a time lies in; periods are counted from `origin`.

        Months are counted by the calendar: from the 31st, periods begin on the last days of
        shorter months.

        Raises:
            UnsupportedError: the interval has months and days, or the origin has a time zone.
        """
        ...

    def bin_with_offset(self, local: str, interval: Parts, offset: Parts) -> str:
        """Return the begin of a period that divides the calendar evenly, moved by `offset`.

        Several years are counted from the year 2000, weeks from a Monday.

        Raises:
            UnsupportedError: the interval has months and days, or months move days.
        """
        ...

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return a FROM item, for use after LATERAL, with times from start to end, both included.

        It is empty where start or end is null.
        """
        ...

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null."""
        ...

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        ...

    def cast_timestamp(self, value: str) -> str:
        """Return a date, time or text as a TIMESTAMP without a zone."""
        ...

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last midnight, or of its next; one at midnight is its own."""
        ...

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        r"""Return a test of text against a pattern, whatever the case; `\` escapes."""
        ...

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls, and that a join can be hashed by."""
        ...

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for the bound value with that number."""
        ...

    def lateral(self, source: str, series: str) -> str:
        """Return the FROM items of a source, and of a series that reads its columns."""
        ...

    def cast_double(self, value: str) -> str:
        """Return a number as a floating one of 64 bits."""
        ...

    def number_rows(self) -> str:
        """Return a window function: another number for each row."""
        ...

    def texts(self, literals: Sequence[str], alias: str) -> str:
        """Return a FROM item with a row for each text literal, in the column `_value`."""
        ...

    def sum(self, value: str, over: str = "") -> str:
        """Return an aggregate: the sum, exact for whole numbers and decimals, or an error."""
        ...

    def average(self, value: str) -> str:
        """Return an aggregate: the mean, with at least the digits of a double."""
        ...

    def ratio(self, total: str, count: str) -> str:
        """Return a total over a count, null where it counts nothing; never a whole division."""
        ...

    def meeting(self, period: str, time: str) -> str:
        """Return a test that a row has a time, beside which a period is compared with it."""
        ...

    def empty(self, column: str, relation: str) -> str:
        """Return a null of the type of a relation's column."""
        ...
