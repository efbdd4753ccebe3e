r"""Spark's SQL, from version 4 on, and that of Databricks.

Wall clocks are TIMESTAMP_NTZ; a TIMESTAMP is an instant. The session is in UTC and in ANSI mode, so
that what overflows is an error. Backslashes escape in texts, names stand in backticks, values have
names.
"""

from __future__ import annotations

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
class Spark(Standard):
    """Writes Spark's SQL; types of columns are known before it runs, so `typeof` is free."""

    name: str = "spark"
    shares_texts: bool = True

    def quote_name(self, name: str) -> str:
        """Return an identifier in backticks."""
        return "`" + name.replace("`", "``") + "`"

    def quote_text(self, text: str) -> str:
        """Return a text literal."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def truncate(self, unit: str, time: str) -> str:
        """Return the begin of the period that a time lies in."""
        return self.cast_timestamp(f"date_trunc('{unit}', {time})")

    def local_time(self, time: str, zone: str) -> str:
        """Return the wall clock of a zone at a stored time."""
        stored = self.cast_timestamp(time)
        if zone == "UTC":
            return stored
        local = f"convert_timezone('UTC', {self.quote_text(zone)}, {stored})"
        return f"CASE WHEN typeof({time}) = 'date' THEN {stored} ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN typeof({member}) = 'date' THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            if unit in MONTHS:
                time = f"({time} + INTERVAL '{amount * sign * MONTHS[unit]}' MONTH)"
            elif unit in {"day", "week"}:
                time = f"({time} + INTERVAL '{amount * sign * LENGTHS[unit].days}' DAY)"
            else:
                micros = amount * sign * (LENGTHS[unit] // _MICROSECOND)
                time = f"timestampadd(MICROSECOND, {micros}, {time})"
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
        earlier = f"timestampadd(MICROSECOND, {-micros}, {local})"
        return f"timestampadd(MICROSECOND, {micros}, {_bin(earlier, measure_period(interval), origin)})"

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return a FROM item with times from start to end."""
        months, rest = split(interval)
        parts = [f"{months} MONTH"] if months else []
        if rest or not months:
            parts.append(f"{rest // _MICROSECOND} MICROSECOND")
        times = f"sequence({start}, {end}, INTERVAL {' '.join(parts)})"
        return (
            f"(SELECT explode(CASE WHEN {start} <= {end} THEN {times} END) AS {column}) AS {alias}"
        )

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null."""
        return f"any_value({value}, TRUE)"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"CAST({value} AS STRING)"

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
        """Return the mean: Spark's own of decimals has but four digits more than they."""
        return f"avg(CAST({value} AS DOUBLE))"

    def ratio(self, total: str, count: str) -> str:
        """Return a total over a count; a division of Spark's decimals would lose digits."""
        return f"{self.cast_double(total)} / nullif({count}, 0)"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = self.cast_timestamp(local)
        if following:
            moment += " + INTERVAL '1' DAY - INTERVAL '0.000001' SECOND"
        return f"CAST({moment} AS DATE)"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        """Return a test of text against a pattern."""
        return f"{self.cast_text(text)} {'NOT ' * negated}ILIKE {pattern} ESCAPE '\\\\'"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls."""
        return f"{left} <=> {right}"

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for a bound value; times and long numbers are bound as texts."""
        match value:
            case datetime():
                return f"CAST(:p{number} AS TIMESTAMP_NTZ)"
            case Decimal() | str() | bool() | int() | float():
                return f":p{number}"


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = f"TIMESTAMP_NTZ '{origin.isoformat(sep=' ')}'"
    if isinstance(period, timedelta):
        past = f"pmod(timestampdiff(MICROSECOND, {begin}, {local}), {period // _MICROSECOND})"
        return f"timestampadd(MICROSECOND, -{past}, {local})"
    between = f"((year({local}) - {origin.year}) * 12 + month({local}) - {origin.month})"
    count = f"CAST(floor({between} / {period}) * {period} AS INT)"
    start = f"({begin} + make_ym_interval(0, {count}))"
    if not starts_month(origin):
        earlier = f"({begin} + make_ym_interval(0, {count} - {period}))"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return start


SPARK = Spark()
DATABRICKS = Spark("databricks")
