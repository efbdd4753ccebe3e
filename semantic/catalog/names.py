"""Titles out of names, as Cube makes them: `total_amount` is "Total Amount"."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from semantic.spec.reader import to_snake_case

_SMALL: Final = frozenset(
    [
        "and",
        "or",
        "nor",
        "a",
        "an",
        "the",
        "so",
        "but",
        "to",
        "of",
        "at",
        "by",
        "from",
        "into",
        "on",
        "onto",
        "off",
        "out",
        "in",
        "over",
        "with",
        "for",
    ]
)


@lru_cache(maxsize=65_536)
def humanise(name: str) -> str:
    """Return a title for a name.

    >>> humanise("average_delay_of_arrivals")
    'Average Delay of Arrivals'
    """
    words = [word for word in to_snake_case(name).split("_") if word]
    return " ".join(
        word if word in _SMALL and position else word.capitalize()
        for position, word in enumerate(words)
    )
