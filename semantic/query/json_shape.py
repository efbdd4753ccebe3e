"""The shapes of JSON values, read strictly: each function returns the value or says what it is not.

`place` is the path of the value in the document. What a caller wrote is shown clipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError, suggest
from semantic.query.members import clip

MAXIMUM_MEMBERS: Final = 200
MAXIMUM_TEXT: Final = 10_000

_MEMBER: Final = re.compile(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+")
_CUBES_PATTERN: Final = r"/^[a-zA-Z0-9_]+\.[a-zA-Z0-9_]+$/"  # as Cube's clients know it


def invalid(text: str, suggestion: str | None = None) -> QuerySyntaxError:
    """Return the error of a document that is no query, in Cube's words."""
    return QuerySyntaxError(f"Invalid query format: {text}", suggestion=suggestion)


def check_keys(raw: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    """Refuse a key that is none, with the nearest one that is."""
    for key in raw:
        if key not in known:
            shown = clip(key)
            path = f"{place}.{shown}" if place else shown
            raise invalid(f'"{path}" is not allowed', suggest(shown, known))


def read_mapping(value: object, place: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, Mapping):
        raise invalid(f'"{place}" must be of type object')
    for key in value:
        if not isinstance(key, str):
            raise invalid(f'"{place}" must have texts as keys')
    return value


def read_list(value: object, place: str, most: int = MAXIMUM_MEMBERS) -> Sequence[object]:
    """Return an array of at most `most` entries; null is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise invalid(f'"{place}" must be an array')
    if len(value) > most:
        raise LimitExceededError(f"{place} has {len(value)} entries, at most {most} are allowed")
    return value


def read_text(value: object, place: str) -> str:
    """Return a text of a length that anything meant can have."""
    if not isinstance(value, str):
        raise invalid(f'"{place}" must be a string')
    if len(value) > MAXIMUM_TEXT:
        raise LimitExceededError(f"{place} is longer than {MAXIMUM_TEXT} characters")
    return value


def read_flag(value: object, place: str) -> bool:
    """Return a boolean; null is False."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid(f'"{place}" must be a boolean')
    return value


def check_choice(value: object, allowed: tuple[str, ...], place: str) -> None:
    """Refuse a value that is not one of the allowed texts; null is none."""
    if value is not None and value not in allowed:
        raise invalid(f'"{place}" must be one of [{", ".join(allowed)}]')


def read_count(value: object, place: str) -> int | None:
    """Return a whole number from 0 on."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f'"{place}" must be a number')
    if value < 0:
        raise invalid(f'"{place}" must be greater than or equal to 0')
    if value >= 2**63:
        raise LimitExceededError(f"{place} is too large")
    return value


def read_member(value: object, place: str) -> str:
    """Return a member's name: two words or more, dots between them."""
    if isinstance(value, Mapping):
        raise UnsupportedError(f"{place} is a member expression, which is not supported")
    text = read_text(value, place)
    if not _MEMBER.fullmatch(text):
        raise invalid(
            f'"{place}" with value "{clip(text)}" fails to match the required pattern: '
            f"{_CUBES_PATTERN}",
            "members are written cube.member",
        )
    return text


def read_members(value: object, place: str) -> tuple[str, ...]:
    """Return a list of members' names."""
    return tuple(
        read_member(item, f"{place}[{index}]") for index, item in enumerate(read_list(value, place))
    )
