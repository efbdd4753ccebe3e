"""Intervals of custom granularities: `1 year 2 months`, and which need an origin."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

UNITS: Final = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
MAXIMUM_PARTS: Final = 8
_PART = re.compile(r"(-?[0-9]{1,9})\s+([a-z]+?)s?\Z")
_PARENT: Final = {"month": 12, "quarter": 4, "week": 1, "day": 1, "hour": 24,
                  "minute": 60, "second": 60}  # fmt: skip


def parse_interval(text: str) -> dict[str, int] | None:
    """Return the amount per unit, or None when `text` is no interval.

    >>> parse_interval("1 year 2 months")
    {'year': 1, 'month': 2}
    """
    words = text.split()
    if not words or len(words) % 2 or len(words) // 2 > MAXIMUM_PARTS:
        return None
    found: dict[str, int] = {}
    for amount, unit in zip(words[::2], words[1::2], strict=True):
        match = _PART.match(f"{amount} {unit}")
        if match is None or match[2] not in UNITS or match[2] in found:
            return None
        found[match[2]] = int(match[1])
    return found


def is_timezone(name: str) -> bool:
    """Return whether `name` is a time zone of the IANA database."""
    return name in _list_timezones()


@lru_cache(maxsize=1)
def _list_timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_granularity(interval: str, offset: str | None, origin: str | None) -> str | None:
    """Return what is wrong with a custom granularity, or None."""
    parts = parse_interval(interval)
    if parts is None or any(amount <= 0 for amount in parts.values()):
        return f"`{interval}` is no interval; write for example `6 months` or `1 week`"
    if offset is not None and parse_interval(offset) is None:
        return f"`{offset}` is no offset; write for example `-2 hours`"
    if offset is not None and origin is not None:
        return "`offset` and `origin` exclude each other"
    if origin is not None:
        try:
            datetime.fromisoformat(origin)
        except ValueError:
            return f"`{origin}` is no origin; write a date or a date and time"
        return None
    if not _divides_parent(parts):
        return f"`{interval}` does not divide a longer unit evenly, so it needs an `origin`"
    return None


def _divides_parent(parts: dict[str, int]) -> bool:
    if len(parts) != 1:
        return False
    [(unit, amount)] = parts.items()
    return unit == "year" or _PARENT[unit] % amount == 0
