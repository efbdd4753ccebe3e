"""Names of the GraphQL schema: Cube's, and what to do where two cubes would get the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

NAME: Final = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
NO_ENUM_VALUE: Final = frozenset({"true", "false", "null"})


def is_name(text: str) -> bool:
    """Whether GraphQL allows the text as a name of ours; names with two underscores are its own."""
    return NAME.fullmatch(text) is not None


def name_fields(owners: Iterable[str]) -> dict[str, str]:
    """Return the field of each cube and view: its name with a lower-case first letter.

    Where two would be the same (`Orders` and `orders`), the later one keeps its own spelling.
    """
    fields: dict[str, str] = {}
    for owner in owners:
        lowered = owner[:1].lower() + owner[1:]
        if is_name(owner):
            fields[owner] = owner if lowered in fields.values() else lowered
    return fields


def name_types(owners: Iterable[str]) -> dict[str, str]:
    """Return the prefix of each owner's types: `flight_operations` gives `FlightOperations`."""
    prefixes: dict[str, str] = {}
    for owner in owners:
        words = "".join(word[:1].upper() + word[1:] for word in owner.split("_"))
        prefix = words
        number = 2
        while prefix in prefixes.values() or not is_name(prefix):
            prefix = f"{words or 'Cube'}{number}" if is_name(words) else f"Cube{words}"
            number += 1
        prefixes[owner] = prefix
    return prefixes
