r"""ClickHouse's SQL, from version 25 on, for a server or chdb.

ClickHouse differs from the standard where nobody looks: a join fills in zeros, an aggregate over no
rows is 0, a cast drops null, an alias hides a column, a sum of 64 bits wraps around. The first four are
settings of the session (`SETTINGS`), without which this SQL is wrong; sums check themselves.

Times are DateTime64(6): those before 1900 or after 2299 do not exist there. Backslashes escape in
texts and in names.
"""

from __future__ import annotations

from collections.abc import Mapping
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

SETTINGS: Final[Mapping[str, str]] = {
    "session_timezone": "UTC",
    "join_use_nulls": "1",
    "aggregate_functions_null_for_empty": "1",
    "data_type_default_nullable": "1",
    "cast_keep_nullable": "1",
    "prefer_column_name_to_alias": "1",
    "enable_extended_results_for_datetime_functions": "1",
    "cast_string_to_date_time_mode": "best_effort",
    "union_default_mode": "ALL",
    "decimal_check_overflow": "1",
    "transform_null_in": "0",
    "joined_subquery_requires_alias": "0",
}
_BIGINT: Final = 2**63
_LARGEST: Final = 9.2e18  # a float of what fits in 64 bits is never larger than this and right
_MICROSECOND: Final = timedelta(microseconds=1)
_DATES: Final = "('Date', 'Date32', 'Nullable(Date)', 'Nullable(Date32)')"


@dataclass(frozen=True, slots=True)
class ClickHouse(Standard):
    """Writes ClickHouse's SQL; types of columns are known before it runs, so `toTypeName` is free."""

    name: str = "clickhouse"
    shares_texts: bool = True
    nests_joins: bool = False

    def quote_name(self, name: str) -> str:
        """Return an identifier in double quotes."""
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def quote_text(self, text: str) -> str:
        """Return a text literal."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def truncate(self, unit: str, time: str) -> str:
        """Return the begin of the period that a time lies in; a DATE's is a time, too."""
        return self.cast_timestamp(f"dateTrunc('{unit}', {time})")

    def local_time(self, time: str, zone: str) -> str:
        """Return the wall clock of a zone at a stored time."""
        stored = self.cast_timestamp(time)
        if zone == "UTC":
            return stored
        there = f"toTimeZone({stored}, {self.quote_text(zone)})"
        local = f"addSeconds({stored}, timeZoneOffset({there}))"
        return f"CASE WHEN {_is_date(time)} THEN {stored} ELSE {local} END"

    def moment(self, local: str, utc: str, member: str) -> str:
        """Return `local` for a DATE, else `utc`."""
        return f"CASE WHEN {_is_date(member)} THEN {local} ELSE {utc} END"

    def add(self, time: str, interval: Parts, sign: int) -> str:
        """Return a time moved by an interval."""
        for amount, unit in interval:
            if unit in MONTHS:
                time = f"addMonths({time}, {amount * sign * MONTHS[unit]})"
            elif unit in {"day", "week"}:
                time = f"addDays({time}, {amount * sign * LENGTHS[unit].days})"
            else:
                time = f"addMicroseconds({time}, {amount * sign * (LENGTHS[unit] // _MICROSECOND)})"
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
        cut = _bin(f"addMicroseconds({local}, {-micros})", measure_period(interval), origin)
        return f"addMicroseconds({cut}, {micros})"

    def lateral(self, source: str, series: str) -> str:
        """Return the FROM items of a source, and of a series: an array of tuples, row by row."""
        return f"{source} ARRAY JOIN {series}"

    def series(self, start: str, end: str, interval: Parts, alias: str, column: str) -> str:
        """Return an array for ARRAY JOIN with times from start to end."""
        months, rest = split(interval)
        step = rest // _MICROSECOND
        if months:
            # One more than there can be: what lies after the end is taken out.
            count = f"intDiv(dateDiff('month', {start}, {end}), {months}) + 2"
        else:
            count = f"intDiv(dateDiff('microsecond', {start}, {end}), {step}) + 1"
        first = f"assumeNotNull({start})"
        moved = f"addMonths({first}, i * {months})" if months else first
        if step:
            moved = f"addMicroseconds({moved}, i * {step})"
        counted = f"range(toUInt64(greatest(0, assumeNotNull(coalesce({count}, 0)))))"
        times = f"arrayFilter(t -> t <= assumeNotNull({end}), arrayMap(i -> {moved}, {counted}))"
        kind = f"Tuple({column} DateTime64(6, 'UTC'))"
        return f"arrayMap(t -> CAST(tuple(t) AS {kind}), {times}) AS {alias}"

    def any_value(self, value: str) -> str:
        """Return an aggregate: one of the values that are not null."""
        return f"any({value})"

    def cast_text(self, value: str) -> str:
        """Return a value as text."""
        return f"toString({value})"

    def cast_timestamp(self, value: str) -> str:
        """Return a value as a DateTime64 that shows a wall clock."""
        return f"CAST({value} AS Nullable(DateTime64(6, 'UTC')))"

    def cast_double(self, value: str) -> str:
        """Return a number as a Float64."""
        return f"toFloat64({value})"

    def day(self, local: str, *, following: bool) -> str:
        """Return the DATE of a moment's last or next midnight."""
        moment = self.cast_timestamp(local)
        if following:
            moment = f"addMicroseconds({moment}, {timedelta(days=1) // _MICROSECOND - 1})"
        return f"toDate32({moment})"

    def ilike(self, text: str, pattern: str, *, negated: bool) -> str:
        r"""Return a test of text against a pattern; `\` escapes without being asked to."""
        return f"{self.cast_text(text)} {'NOT ' * negated}ILIKE {pattern}"

    def null_safe_equal(self, left: str, right: str) -> str:
        """Return a test for equality that holds for two nulls."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def sum(self, value: str, over: str = "") -> str:
        """Return the sum, or an error: one of whole numbers wraps around after 64 bits.

        A wider type would not do: what the model makes of the sum depends on its type.
        """
        total = f"sum({value}){over}"
        whole = f"toTypeName({total}) LIKE '%Int64%'"
        beyond = f"abs(sum(toFloat64({value})){over}) >= {_LARGEST}"
        message = "a sum of whole numbers is larger than 64 bits"
        return f"({total} + throwIf({whole} AND {beyond}, '{message}'))"

    def meeting(self, period: str, time: str) -> str:
        """Return the test as an equality, without which ClickHouse joins nothing."""
        return f"bitAnd(toYear({period}), 0) = bitAnd(toYear({time}), 0)"

    def placeholder(self, number: int, value: Parameter) -> str:
        """Return what stands for a bound value, which the server reads by the type given here."""
        return f"{{p{number}:{_type(value)}}}"


def _type(value: Parameter) -> str:
    match value:
        case str():
            return "String"
        case bool():
            return "Bool"
        case int():
            return "Int64" if -_BIGINT <= value < _BIGINT else "Int256"
        case float():
            return "Float64"
        case Decimal():
            exponent = value.as_tuple().exponent
            scale = -exponent if isinstance(exponent, int) and exponent < 0 else 0
            return f"Decimal(76, {scale})"
        case datetime():
            return "DateTime64(6, 'UTC')"


def _is_date(time: str) -> str:
    return f"toTypeName({time}) IN {_DATES}"


def _bin(local: str, period: int | timedelta, origin: datetime) -> str:
    begin = f"toDateTime64('{origin.isoformat(sep=' ')}', 6, 'UTC')"
    if isinstance(period, timedelta):
        past = (
            f"positiveModulo(dateDiff('microsecond', {begin}, {local}), {period // _MICROSECOND})"
        )
        return f"addMicroseconds({local}, -toInt64({past}))"
    between = f"((toYear({local}) - {origin.year}) * 12 + toMonth({local}) - {origin.month})"
    count = f"toInt64(floor({between} / {period}) * {period})"
    start = f"addMonths({begin}, {count})"
    if not starts_month(origin):
        earlier = f"addMonths({begin}, {count} - {period})"
        start = f"CASE WHEN {start} > {local} THEN {earlier} ELSE {start} END"
    return start


CLICKHOUSE = ClickHouse()
