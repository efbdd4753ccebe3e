"""Snowflake's SQL. Written and checked by sqlglot; never run by the tests of Ducat.

The session has TIMEZONE = 'UTC' and WEEK_START = 1. Texts and times are bound by number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from semantic.compile.dialects.periods import (
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
class Snowflake(Standard):
    """Writes Snowflake's SQL."""

    name: str = "snowflake"
    shares_texts: bool = True

    def quote_name(self, name: str) -> str:
        """Return an identifier in double quotes."""
        return '"' + name.replace('"', '""') + '"'

    def quote_text(self, text: str) -> str:
        """Return a text literal."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def truncate(self, unit: str, time: str) -> str:
        """Return the begin of the period that a time lies in."""
        return f"DATE_TRUNC('{unit}', {time})"

    def local_time(self, time: str, zone: str) -> str:
        """Return the wall clock of a zone at a stored time."""
        stored = self.cast_timestamp(time)
        if zone == "UTC":
            return stored
        local = f"CONVERT_TIMEZONE('UTC', {self.quote_text(zone)}, {stored})"
        return f"CASE WHEN {_is_date(time)} THEN {stored} ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN {_is_date(member)} THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            name, count = ("MONTH", MONTHS[unit]) if unit in MONTHS else (unit.upper(), 1)
            time = f"DATEADD({name}, {amount * sign * count}, {time})"
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
        earlier = f"DATEADD(MICROSECOND, {-micros}, {local})"
        return f"DATEADD(MICROSECOND, {micros}, {_bin(earlier, measure_period(interval), origin)})"

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return a FROM item with times from start to end."""
        months, rest = split(interval)
        if months:
            steps = f"FLOOR(DATEDIFF(MONTH, {start}, {end}) / {months}) + 2"
            moved = f"DATEADD(MONTH, _i.value * {months}, {start})"
        else:
            step = rest // _MICROSECOND
            steps = f"FLOOR(DATEDIFF(MICROSECOND, {start}, {end}) / {step}) + 1"
            moved = start
        if rest:
            moved = f"DATEADD(MICROSECOND, _i.value * {rest // _MICROSECOND}, {moved})"
        numbers = f"LATERAL FLATTEN(INPUT => ARRAY_GENERATE_RANGE(0, {steps})) AS _i"
        return f"(SELECT {moved} AS {column} FROM {numbers} WHERE {moved} <= {end}) AS {alias}"

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null (ANY_VALUE may say null)."""
        return f"MAX({value})"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"CAST({value} AS VARCHAR)"

    def cast_timestamp(self, value: str) -> str:
        """Return a value as a TIMESTAMP_NTZ."""
        return f"CAST({value} AS TIMESTAMP_NTZ)"

    def cast_double(self, value: str) -> str:
        """Return a number as a DOUBLE."""
        return f"CAST({value} AS DOUBLE)"

    def number_rows(self) -> str:
        """Return a window function: another number for each row, in no order that matters."""
        return "row_number() OVER (ORDER BY 1)"

    def average(self, value: str) -> str:
        """Return the mean: Snowflake's own of decimals has but six digits more than they."""
        return f"avg(CAST({value} AS DOUBLE))"

    def ratio(self, total: str, count: str) -> str:
        """Return a total over a count as a double."""
        return f"{self.cast_double(total)} / nullif({count}, 0)"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = self.cast_timestamp(local)
        if following:
            moment = f"DATEADD(MICROSECOND, {timedelta(days=1) // _MICROSECOND - 1}, {moment})"
        return f"CAST({moment} AS DATE)"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        """Return a test of text against a pattern."""
        return f"{self.cast_text(text)} {'NOT ' * negated}ILIKE {pattern} ESCAPE '\\\\'"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for a bound value."""
        match value:
            case datetime():
                return f"CAST(:{number} AS TIMESTAMP_NTZ)"
            case Decimal() | str() | bool() | int() | float():
                return f":{number}"


def _is_date(time: str) -> str:
    return f"SYSTEM$TYPEOF({time}) LIKE 'DATE[%'"


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = f"CAST('{origin.isoformat(sep=' ')}' AS TIMESTAMP_NTZ)"
    if isinstance(period, timedelta):
        step = period // _MICROSECOND
        count = f"FLOOR(DATEDIFF(MICROSECOND, {begin}, {local}) / {step}) * {step}"
        return f"DATEADD(MICROSECOND, {count}, {begin})"
    between = f"((YEAR({local}) - {origin.year}) * 12 + MONTH({local}) - {origin.month})"
    count = f"FLOOR({between} / {period}) * {period}"
    start = f"DATEADD(MONTH, {count}, {begin})"
    if not starts_month(origin):
        earlier = f"DATEADD(MONTH, {count} - {period}, {begin})"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return start


SNOWFLAKE = Snowflake()
