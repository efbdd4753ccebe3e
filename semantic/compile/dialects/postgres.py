"""PostgreSQL's SQL, from version 16 on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

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

_LONGEST_NAME: Final = 63
_BIGINT: Final = 2**63


@dataclass(frozen=True, slots=True)
class Postgres(Standard):
    """Writes PostgreSQL's SQL."""

    name: str = "postgres"
    shares_texts: bool = False  # each gets its type from where it stands

    def quote_name(self, name: str) -> str:
        """Return an identifier in double quotes.

        PostgreSQL cuts names after 63 bytes, so that two could become one: a long name ends in a
        digest of itself.
        """
        encoded = name.encode()
        if len(encoded) > _LONGEST_NAME:
            digest = hashlib.sha256(encoded).hexdigest()[:12]
            name = f"{encoded[:50].decode(errors='ignore')}_{digest}"
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
            return f"CAST({time} AS timestamp)"
        local = f"timezone({self.quote_text(zone)}, CAST({time} AS timestamptz))"
        return f"CASE WHEN {_is_date(time)} THEN CAST({time} AS timestamp) ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN {_is_date(member)} THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            if unit == "quarter":  # no unit of PostgreSQL's intervals
                time = f"({time} + INTERVAL '{amount * sign * 3} month')"
            else:
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
        return f"generate_series({start}, {end}, {step}) AS {alias}({column})"

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null."""
        return f"any_value({value})"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"CAST({value} AS text)"

    def cast_timestamp(self, value: str) -> str:
        """Return a value as a TIMESTAMP."""
        return f"CAST({value} AS timestamp)"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = f"CAST({local} AS TIMESTAMP)"
        if following:
            moment += " + INTERVAL '1 day' - INTERVAL '1 microsecond'"
        return f"CAST(date_trunc('day', {moment}) AS DATE)"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        """Return a test of text against a pattern; JSON and enums are read as text."""
        return f"{self.cast_text(text)} {'NOT ' * negated}ILIKE {pattern} ESCAPE '\\'"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls.

        IS NOT DISTINCT FROM makes PostgreSQL compare each row with each; arrays, whose nulls are
        equal, are hashed.
        """
        return f"ARRAY[{left}] = ARRAY[{right}]"

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for a bound value.

        A text is left to PostgreSQL, which reads it as what it is compared with: a uuid, an enum.
        """
        match value:
            case str():
                return f"${number}"
            case bool():
                return f"${number}::boolean"
            case int():
                return f"${number}::{'bigint' if -_BIGINT <= value < _BIGINT else 'numeric'}"
            case float():
                return f"${number}::double precision"
            case Decimal():
                return f"${number}::numeric"
            case datetime():
                return f"${number}::timestamp"


def _is_date(time: str) -> str:
    """Return whether a time is a DATE.

    The planner makes a typed null of the CASE, so that no row is looked at: a comparison with what
    follows can use an index.
    """
    return f"pg_typeof(CASE WHEN FALSE THEN {time} END) = 'date'::regtype"


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = write_moment(origin)
    if isinstance(period, timedelta):
        return f"date_bin(INTERVAL '{write_length(period)}', {local}, {begin})"
    # Infinity has no month, so that the sum is null: it stays what it is.
    year, month = f"date_part('year', {local})", f"date_part('month', {local})"
    between = f"(({year} - {origin.year}) * 12 + {month} - {origin.month})"
    count = f"CAST(floor({between} / {period}) * {period} AS integer)"
    start = f"({begin} + make_interval(months => {count}))"
    if not starts_month(origin):
        earlier = f"({begin} + make_interval(months => {count} - {period}))"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return f"coalesce({start}, {local})"


POSTGRES = Postgres()
