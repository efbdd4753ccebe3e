"""JSON of callers, with the digits that they wrote.

A JSON number of more than 15 digits is more than a float keeps: `12345678901234567890.25` would be
read as another number, and compared with. Such numbers come as `Decimal`, all others as usual. The quick reader reads everything first, so it alone says
what is JSON. A key that an object has twice is refused: readers keep one of them, and would ignore the other.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

import orjson

_LARGEST: Final = 2**63
# Every string of a text that is JSON, and whether it is a key.
_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"(\s*:)?', re.DOTALL)
_LONG: Final = re.compile(rb"[0-9](?:\.?[0-9]){15}")


def read_json(text: bytes | str) -> Any:
    """Return the value that JSON writes.

    Raises:
        ValueError: it is no JSON.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    found = orjson.loads(raw)
    _check_keys(raw)
    if _LONG.search(raw) is None:
        return found
    try:
        return json.loads(raw, parse_float=_read_float, parse_int=_read_int)
    except RecursionError as deep:
        raise ValueError("nested too deeply") from deep


def _check_keys(raw: bytes) -> None:
    """Refuse a key that an object has twice."""
    keys = [key for key, colon in _STRING.findall(raw) if colon]
    if len(set(keys)) == len(keys) and not any(b"\\" in key for key in keys):
        return  # no key is written twice anywhere
    try:
        json.loads(raw, object_pairs_hook=_check_pairs, parse_int=str, parse_float=str)
    except RecursionError as deep:
        raise ValueError("nested too deeply") from deep


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f'"{key[:100]}" stands twice in an object')
        seen.add(key)


def _read_int(text: str) -> int | Decimal:
    exact = Decimal(text)
    return int(text) if -_LARGEST <= exact < _LARGEST else exact


def _read_float(text: str) -> float | Decimal:
    exact, near = Decimal(text), float(text)
    return near if Decimal(repr(near)) == exact else exact
