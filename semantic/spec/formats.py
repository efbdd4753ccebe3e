"""Which values `format` may have: Cube's names, d3-format specifiers and, for times, strftime."""

from __future__ import annotations

import re
from typing import Final

_NAMED = re.compile(r"(?:number|percent|currency|abbr|accounting)(?:_[0-6])?\Z")
_D3 = re.compile(r"(?:.?[<>=^])?[-+( ]?[$#]?0?[0-9]*,?(?:\.[0-9]+)?~?[bcdefgoprsxX%]?\Z")
_DIMENSION: Final = frozenset({"id", "imageUrl", "image_url", "link"})


def is_number_format(value: str) -> bool:
    """Return whether `value` is a format of numbers."""
    return value == "id" or bool(_NAMED.match(value)) or bool(value and _D3.match(value))


def is_dimension_format(value: str, kind: str) -> bool:
    """Return whether `value` is a format of a dimension of the type `kind`."""
    if kind == "time":
        return "%" in value
    if kind == "number":
        return value in _DIMENSION or is_number_format(value)
    return value in _DIMENSION
