"""Granularities: the built-in ones, and how long the periods of custom ones are."""

from __future__ import annotations

import re
from typing import Final

from semantic.catalog.catalog import Dimension

GRANULARITIES: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
"""From fine to coarse."""

_SECONDS: Final = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 2_629_746,  # a twelfth of a mean Gregorian year
    "quarter": 3 * 2_629_746,
    "year": 12 * 2_629_746,
}
_PART: Final = re.compile(r"(-?\d{1,9})\s+([a-z]+?)s?(?=\s|$)")


def list_granularities(dimension: Dimension) -> tuple[str, ...]:
    """Return the names that cut a time dimension: built-in ones, then its own."""
    own = (item.name for item in dimension.granularities if item.name not in GRANULARITIES)
    return (*GRANULARITIES, *own)


def measure_period(dimension: Dimension, granularity: str) -> float:
    """Return about how many seconds a period lasts; infinity where only its SQL knows.

    Enough to say which of two granularities is finer.
    """
    for item in dimension.granularities:
        if item.name == granularity and item.interval is not None:
            return sum(
                int(amount) * _SECONDS.get(unit, 0) for amount, unit in _PART.findall(item.interval)
            )
    return _SECONDS.get(granularity, float("inf"))
