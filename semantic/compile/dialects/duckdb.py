"""DuckDB's SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from semantic.compile.dialects.periods import (
    Parameter,
    Parts,
    measure_period,
    place_offset,
    read_origin,
    split,
    starts_month,
    write_length,
    write_moment,
)
from semantic.compile.dialects.standard import Standard


@dataclass(frozen=True, slots=True)
class DuckDB(Standard):
    """Writes DuckDB's SQL. It knows each column's type before it runs: `typeof` costs nothing."""

    name: str = "duckdb"
    shares_texts: bool = True

    def quote_name(self, name: str) -> str:
        """Return an identifier in double quotes."""
        return '"' + name.replace('"', '""') + '"'

    def quote_text(self, text: str) -> str:
        """Return a text literal."""
        return "'" + text.replace("'", "''") + "'"

    def truncate(self, unit: str, time: str) -> str:
        """Return the begin of the period that a time lies in."""
        return f"date_trunc('{unit}', {time})"

    def local_time(self, time: str, zone: str) -> str:
        """Return the wall clock of a zone at a stored time."""
        if zone == "UTC":
            return f"CAST({time} AS TIMESTAMP)"
        local = f"timezone({self.quote_text(zone)}, CAST({time} AS TIMESTAMPTZ))"
        return f"CASE WHEN typeof({time}) = 'DATE' THEN CAST({time} AS TIMESTAMP) ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN typeof({member}) = 'DATE' THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            time = f"({time} + INTERVAL '{amount * sign} {unit}')"
        return time

    def bin(self, local: str, interval: Parts, origin: str) -> str:
        """Return the begin of the period from an origin that a time lies in."""
        return _bin(local, measure_period(interval), read_origin(origin))

    def bin_with_offset(self, local: str, interval: Parts, offset: Parts) -> str:
        """Return the begin of an evenly dividing period that a time lies in."""
        origin, moved = place_offset(interval, offset)
        if not moved:
            return _bin(local, measure_period(interval), origin)
        length = f"INTERVAL '{write_length(moved)}'"
        return f"({_bin(f'({local} - {length})', measure_period(interval), origin)} + {length})"

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return a FROM item with times from start to end."""
        months, rest = split(interval)
        step = f"INTERVAL '{months} months {write_length(rest)}'"
        values = f"unnest(generate_series({start}, {end}, {step}))"
        return f"(SELECT {values} AS {column}) AS {alias}"

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null."""
        return f"any_value({value})"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"CAST({value} AS VARCHAR)"

    def cast_timestamp(self, value: str) -> str:
        """Return a value as a TIMESTAMP."""
        return f"CAST({value} AS TIMESTAMP)"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = f"CAST({local} AS TIMESTAMP)"
        if following:
            moment += " + INTERVAL '1 day' - INTERVAL '1 microsecond'"
        return f"CAST(date_trunc('day', {moment}) AS DATE)"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        """Return a test of text against a pattern; a UUID is read as text."""
        return f"{self.cast_text(text)} {'NOT ' * negated}ILIKE {pattern} ESCAPE '\\'"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality; DuckDB hashes joins by this one too."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def placeholder(self, number: int, value: Parameter) -> str:  # noqa: ARG002 -- typed by itself
        """Return what stands for a bound value."""
        return f"${number}"


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = write_moment(origin)
    if isinstance(period, timedelta):
        return f"time_bucket(INTERVAL '{write_length(period)}', {local}, {begin})"
    # Not time_bucket: it counts months from the first of the origin's month. The months between
    # are whole ones, so the division is exact enough; infinity has none, and stays what it is.
    between = f"date_diff('month', {begin}, {local})"
    count = f"CAST(floor({between} / {period}) AS BIGINT) * {period}"
    start = f"({begin} + to_months({count}))"
    if not starts_month(origin):
        earlier = f"({begin} + to_months({count} - {period}))"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return f"coalesce({start}, {local})"


DUCKDB = DuckDB()
