"""Changes the values of a query and nothing else of it, so that its shape stays."""

from __future__ import annotations

import dataclasses
import re
from random import Random
from typing import Final

from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter, Query

TEXTS: Final = (
    "a", "b", "Paris", "", " ", "%", "_", "100%", "a_b", "\\", "'; DROP TABLE x; --", '" OR 1=1',
    "$1", "{CUBE}", "żółć", "\U0001d4b3", "a" * 500, "1", "true", "2024-01-01", "2024-01-01 00:00:00", "%a%",
    "1 = 1", "NULL", "\n", "x\x00y", "\ud800",
)  # fmt: skip
NUMBERS: Final = (
    "0", "1", "2", "-1", "1.0", "1.5", "1.50", "0.1", " 7 ", "1e3", "1e-9", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "1" * 38, "1" * 39, "1e300", "1e400", "-0",
    "0." + "5".ljust(41, "0"), "12345678901234567890.123", "x", "",
)  # fmt: skip
BOOLEANS: Final = ("true", "false", "TRUE", "1", "0", "maybe")
DATES: Final = (
    "2024-01-01", "2024-01-31", "2024-02-29", "2024-03-10", "2024-03-31", "2024-11-03",
    "2024-10-27", "2024-06-15T12:30:00", "2024-03-10T02:30:00", "2024-11-03 01:30:00.123456",
    "2024-06-15T12:30:00Z", "2024-06-15T12:30:00+05:30", "0001-01-01", "9999-12-31", "1969-12-31",
    "2024-13-01", "soon",
)  # fmt: skip
RELATIVE: Final = (
    "today", "yesterday", "last 7 days", "this month", "last year", "next 2 weeks", "last 3 hours",
    "from 2024-01-01 to today", "2024-01-01 - 2024-02-01", "3 days ago", "5 January 2024", "soon",
)  # fmt: skip
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}.*")


def change_values(random: Random, query: Query) -> Query:
    """Return the query with other values; some of them are none that its members have."""
    return dataclasses.replace(
        query,
        filters=tuple(_filter(random, item) for item in query.filters),
        time_dimensions=tuple(
            dataclasses.replace(item, date_range=_range(random, item.date_range))
            for item in query.time_dimensions
        ),
        limit=None if query.limit is None else random.choice((1, 7, 500, 50_000, 50_001)),
        offset=query.offset if not random.randrange(4) else random.choice((0, 1, 7, 500)),
    )


def _filter(random: Random, item: Filter) -> Filter:
    match item:
        case AndFilter() | OrFilter():
            return dataclasses.replace(
                item, parts=tuple(_filter(random, part) for part in item.parts)
            )
        case MemberFilter():
            values = tuple(
                None if value is None else _value(random, item.operator, value)
                for value in item.values
            )
            return dataclasses.replace(item, values=values)


def _value(random: Random, operator: str, value: str) -> str:
    if random.random() < 0.25:
        return value
    if random.random() < 0.1:
        return random.choice((*TEXTS, *NUMBERS, *DATES, *RELATIVE))
    if "Date" in operator and not _DATE.fullmatch(value):
        return random.choice(RELATIVE)
    if value in {"true", "false"}:
        return random.choice(BOOLEANS)
    if _NUMBER.fullmatch(value):
        return random.choice(NUMBERS) if random.random() < 0.5 else str(random.randrange(100))
    if _DATE.fullmatch(value):
        return random.choice(DATES[:14]) if random.random() < 0.9 else random.choice(DATES)
    return random.choice(TEXTS)


def _range(random: Random, found: str | tuple[str, str] | None) -> str | tuple[str, str] | None:
    match found:
        case None:
            return None
        case str():
            return random.choice(RELATIVE)
        case _:
            return random.choice(DATES[:13]), random.choice(DATES)
