"""Provisional."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

Parameter = str | bool | int | float | Decimal | datetime
Parts = tuple[tuple[int, str], ...]


class Dialect(Protocol):
    @property
    def name(self) -> str: ...
    def quote_name(self, name: str) -> str: ...


class Duck:
    name = "duckdb"

    def quote_name(self, n):
        return '"' + n.replace('"', '""') + '"'

    def quote_text(self, t):
        return "'" + t.replace("'", "''") + "'"

    def truncate(self, unit, time):
        return f"date_trunc('{unit}', {time})"

    def local_time(self, time, zone):
        if zone == "UTC":
            return f"CAST({time} AS TIMESTAMP)"
        return f"CASE WHEN typeof({time}) = 'DATE' THEN CAST({time} AS TIMESTAMP) ELSE timezone('{zone}', CAST({time} AS TIMESTAMPTZ)) END"

    def moment(self, local, utc, member):
        return f"CASE WHEN typeof({member}) = 'DATE' THEN {local} ELSE {utc} END"

    def add(self, time, interval, sign):
        for n, unit in interval:
            time = f"({time} {'+' if sign > 0 else '-'} INTERVAL '{n} {unit}')"
        return time

    def bin(self, local, interval, origin):
        [(n, unit)] = interval
        return f"time_bucket(INTERVAL '{n} {unit}', {local}, TIMESTAMP '{origin}')"

    def bin_with_offset(self, local, interval, offset):
        [(n, unit)] = interval
        o = "TIMESTAMP '2000-01-01'" if unit != "week" else "TIMESTAMP '2000-01-03'"
        return f"time_bucket(INTERVAL '{n} {unit}', {local}, {self.add(o, offset, 1)})"

    def series(self, start, end, interval, alias, column):
        parts = " + ".join(f"INTERVAL '{n} {u}'" for n, u in interval)
        return f"(SELECT unnest(generate_series({start}, {end}, {parts})) AS {column}) AS {alias}"

    def any_value(self, x):
        return f"any_value({x})"

    def cast_text(self, x):
        return f"CAST({x} AS VARCHAR)"

    def cast_timestamp(self, x):
        return f"CAST({x} AS TIMESTAMP)"

    def ilike(self, text, pattern, *, negated):
        return f"{text} {'NOT ' * negated}ILIKE {pattern} ESCAPE '\\'"

    def null_safe_equal(self, a, b):
        return f"{a} IS NOT DISTINCT FROM {b}"

    def placeholder(self, number, value):
        return f"${number}"


DUCKDB = Duck()
