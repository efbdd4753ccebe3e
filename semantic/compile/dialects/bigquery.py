"""BigQuery's SQL. Written and checked by sqlglot; never run by the tests of Ducat.

Wall clocks are DATETIMEs; a TIMESTAMP is an instant. A DATE is told by its text: BigQuery says no type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from semantic.compile.dialects.periods import (
    LENGTHS,
    MONTHS,
    Parameter,
    Parts,
    measure_period,
    place_offset,
    read_origin,
    split,
    starts_month,
)
from semantic.compile.dialects.standard import Standard

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class BigQuery(Standard):
    """Writes BigQuery's SQL."""

    name: str = "bigquery"
    shares_texts: bool = True

    def quote_name(self, name: str) -> str:
        """Return an identifier in backticks, in which backslashes escape."""
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def quote_text(self, text: str) -> str:
        """Return a text literal."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def truncate(self, unit: str, time: str) -> str:
        """Return the begin of the period that a time lies in."""
        part = "ISOWEEK" if unit == "week" else unit.upper()
        return f"DATETIME_TRUNC({self.cast_timestamp(time)}, {part})"

    def local_time(self, time: str, zone: str) -> str:
        """Return the wall clock of a zone at a stored time."""
        stored = self.cast_timestamp(time)
        if zone == "UTC":
            return stored
        local = f"DATETIME(TIMESTAMP({stored}, 'UTC'), {self.quote_text(zone)})"
        return f"CASE WHEN {_is_date(time)} THEN {stored} ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN {_is_date(member)} THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            if unit in MONTHS:
                moved = f"{amount * sign * MONTHS[unit]} MONTH"
            else:
                moved = f"{amount * sign * (LENGTHS[unit] // _MICROSECOND)} MICROSECOND"
            time = f"DATETIME_ADD({time}, INTERVAL {moved})"
        return time

    def bin(self, local: str, interval: Parts, origin: str) -> str:
        """Return the begin of the period from an origin that a time lies in."""
        return _bin(local, measure_period(interval), read_origin(origin))

    def bin_with_offset(self, local: str, interval: Parts, offset: Parts) -> str:
        """Return the begin of an evenly dividing period that a time lies in."""
        origin, moved = place_offset(interval, offset)
        if not moved:
            return _bin(local, measure_period(interval), origin)
        micros = moved // _MICROSECOND
        earlier = f"DATETIME_ADD({local}, INTERVAL {-micros} MICROSECOND)"
        cut = _bin(earlier, measure_period(interval), origin)
        return f"DATETIME_ADD({cut}, INTERVAL {micros} MICROSECOND)"

    def lateral(self, source: str, series: str) -> str:
        """Return the FROM items of a source and of a series, which sees its columns."""
        return f"{source} CROSS JOIN {series}"

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return a FROM item with times from start to end, as structs."""
        months, rest = split(interval)
        moved = start
        if months:
            steps = f"DIV(DATETIME_DIFF({end}, {start}, MONTH), {months}) + 1"
            moved = f"DATETIME_ADD({moved}, INTERVAL _i * {months} MONTH)"
        else:
            steps = f"DIV(DATETIME_DIFF({end}, {start}, MICROSECOND), {rest // _MICROSECOND})"
        if rest:
            moved = f"DATETIME_ADD({moved}, INTERVAL _i * {rest // _MICROSECOND} MICROSECOND)"
        numbers = f"UNNEST(GENERATE_ARRAY(0, {steps})) AS _i"
        rows = f"SELECT AS STRUCT {moved} AS {column} FROM {numbers} WHERE {moved} <= {end}"
        return f"UNNEST(ARRAY({rows})) AS {alias}"

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null (ANY_VALUE may say null)."""
        return f"MAX({value})"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"CAST({value} AS STRING)"

    def cast_timestamp(self, value: str) -> str:
        """Return a value as a DATETIME."""
        return f"CAST({value} AS DATETIME)"

    def cast_double(self, value: str) -> str:
        """Return a number as a FLOAT64."""
        return f"CAST({value} AS FLOAT64)"

    def texts(self, literals: Sequence[str], alias: str) -> str:
        """Return a FROM item with a row for each text literal."""
        rows = ", ".join(f"STRUCT({text} AS _value)" for text in literals)
        return f"UNNEST([{rows}]) AS {alias}"

    def average(self, value: str) -> str:
        """Return the mean as a FLOAT64."""
        return f"avg(CAST({value} AS FLOAT64))"

    def ratio(self, total: str, count: str) -> str:
        """Return a total over a count as a FLOAT64."""
        return f"{self.cast_double(total)} / nullif({count}, 0)"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = self.cast_timestamp(local)
        if following:
            micros = timedelta(days=1) // _MICROSECOND - 1
            moment = f"DATETIME_ADD({moment}, INTERVAL {micros} MICROSECOND)"
        return f"CAST({moment} AS DATE)"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        r"""Return a test of text against a pattern; `\` escapes without being asked to."""
        return f"LOWER({self.cast_text(text)}) {'NOT ' * negated}LIKE LOWER({pattern})"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for a bound value."""
        match value:
            case datetime():
                return f"CAST(@p{number} AS DATETIME)"
            case Decimal() | str() | bool() | int() | float():
                return f"@p{number}"


def _is_date(time: str) -> str:
    return f"LENGTH(CAST({time} AS STRING)) = 10"


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = f"DATETIME '{origin.isoformat(sep=' ')}'"
    if isinstance(period, timedelta):
        step = period // _MICROSECOND
        past = f"MOD(MOD(DATETIME_DIFF({local}, {begin}, MICROSECOND), {step}) + {step}, {step})"
        return f"DATETIME_SUB({local}, INTERVAL {past} MICROSECOND)"
    between = (
        f"((EXTRACT(YEAR FROM {local}) - {origin.year}) * 12 "
        f"+ EXTRACT(MONTH FROM {local}) - {origin.month})"
    )
    count = f"CAST(FLOOR({between} / {period}) AS INT64) * {period}"
    start = f"DATETIME_ADD({begin}, INTERVAL {count} MONTH)"
    if not starts_month(origin):
        earlier = f"DATETIME_ADD({begin}, INTERVAL {count} - {period} MONTH)"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return start


BIGQUERY = BigQuery()
