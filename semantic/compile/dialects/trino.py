"""Trino's SQL. Written and checked by sqlglot; never run by the tests of Ducat."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

_MILLISECOND: Final = timedelta(milliseconds=1)
_NUMBERED: Final = re.compile(r"\?/\*([0-9]+)\*/")


@dataclass(frozen=True, slots=True)
class Trino(Standard):
    """Writes Trino's SQL; types of columns are known before it runs, so `typeof` is free."""

    name: str = "trino"
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
        stored = self.cast_timestamp(time)
        if zone == "UTC":
            return stored
        instant = f"with_timezone({stored}, 'UTC')"
        local = self.cast_timestamp(f"{instant} AT TIME ZONE {self.quote_text(zone)}")
        return f"CASE WHEN typeof({time}) = 'date' THEN {stored} ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN typeof({member}) = 'date' THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            name, count = ("month", MONTHS[unit]) if unit in MONTHS else (unit, 1)
            time = f"date_add('{name}', {amount * sign * count}, {time})"
        return time

    def bin(self, local: str, interval: Parts, origin: str) -> str:
        """Return the begin of the period from an origin that a time lies in."""
        return _bin(local, measure_period(interval), read_origin(origin))

    def bin_with_offset(self, local: str, interval: Parts, offset: Parts) -> str:
        """Return the begin of an evenly dividing period that a time lies in."""
        origin, moved = place_offset(interval, offset)
        if not moved:
            return _bin(local, measure_period(interval), origin)
        length = moved // _MILLISECOND
        earlier = f"date_add('millisecond', {-length}, {local})"
        return (
            f"date_add('millisecond', {length}, {_bin(earlier, measure_period(interval), origin)})"
        )

    def lateral(self, source: str, series: str) -> str:
        """Return the FROM items of a source and of a series."""
        return f"{source} CROSS JOIN {series}"

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return a FROM item with times from start to end."""
        months, rest = split(interval)
        if months:  # one more than there can be; what lies after the end is taken out
            steps = f"date_diff('month', {start}, {end}) / {months} + 1"
            moved = f"date_add('month', i * {months}, {start})"
        else:
            steps = f"date_diff('millisecond', {start}, {end}) / {rest // _MILLISECOND}"
            moved = start
        if rest:
            moved = f"date_add('millisecond', i * {rest // _MILLISECOND}, {moved})"
        counted = f"CASE WHEN {start} <= {end} THEN sequence(0, {steps}) END"
        times = f"filter(transform({counted}, i -> {moved}), t -> t <= {end})"
        return f"UNNEST({times}) AS {alias}({column})"

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null."""
        return f"any_value({value})"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"CAST({value} AS VARCHAR)"

    def cast_timestamp(self, value: str) -> str:
        """Return a value as a TIMESTAMP; an instant's wall clock in its own zone, UTC as stored."""
        return f"CAST({value} AS TIMESTAMP(6))"

    def cast_double(self, value: str) -> str:
        """Return a number as a DOUBLE."""
        return f"CAST({value} AS DOUBLE)"

    def average(self, value: str) -> str:
        """Return the mean: Trino's own of decimals has no more digits than they."""
        return f"avg(CAST({value} AS DOUBLE))"

    def ratio(self, total: str, count: str) -> str:
        """Return a total over a count as a double."""
        return f"{self.cast_double(total)} / nullif({count}, 0)"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = self.cast_timestamp(local)
        if following:
            moment += " + INTERVAL '1' DAY - INTERVAL '0.000001' SECOND"
        return f"CAST({moment} AS DATE)"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        """Return a test of text against a pattern."""
        folded = f"lower({self.cast_text(text)})"
        return f"{folded} {'NOT ' * negated}LIKE lower({pattern}) ESCAPE '\\'"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for a bound value: Trino's have no names, so a comment says which."""
        match value:
            case datetime():
                return f"CAST(?/*{number}*/ AS TIMESTAMP(6))"
            case Decimal() | str() | bool() | int() | float():
                return f"?/*{number}*/"


def order_values(sql: str, values: Sequence[Parameter]) -> list[Parameter]:
    """Return the values as the placeholders of Trino's SQL follow each other."""
    return [values[int(number) - 1] for number in _NUMBERED.findall(sql)]


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = f"TIMESTAMP '{origin.isoformat(sep=' ', timespec='microseconds')}'"
    if isinstance(period, timedelta):
        length = period // _MILLISECOND
        whole = f"date_trunc('millisecond', {local})"
        count = f"floor(date_diff('millisecond', {begin}, {whole}) / {length}e0)"
        return f"date_add('millisecond', CAST({count} AS BIGINT) * {length}, {begin})"
    between = f"((year({local}) - {origin.year}) * 12 + month({local}) - {origin.month})"
    count = f"CAST(floor({between} / {period}e0) AS BIGINT) * {period}"
    start = f"date_add('month', {count}, {begin})"
    if not starts_month(origin):
        earlier = f"date_add('month', {count} - {period}, {begin})"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return start


TRINO = Trino()
