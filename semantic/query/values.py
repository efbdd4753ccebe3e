"""Filter values: text as it was sent, to a value of the member's type.

A number stays exact: it becomes an int or a Decimal, so money is never compared as a float. Only
what no DECIMAL can hold (more than 38 digits) becomes one.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import DimensionType, MeasureType
from semantic.errors import QuerySyntaxError
from semantic.query.bound import Value
from semantic.query.dates import parse_instant

DECIMAL_DIGITS: Final = 38
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_LONG: Final = 400
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}
_LARGEST: Final = 2**63


def parse_value(
    text: str, type_: DimensionType | MeasureType, member: str, zone: ZoneInfo
) -> Value:
    """Return the value that `text` means for a member of that type.

    Raises:
        QuerySyntaxError: it is no value of that type.
    """
    match type_:
        case "string" | "geo" | "switch":
            return check_text(text, member)
        case "boolean":
            if text.lower() not in _BOOLEANS:
                raise _mismatch(text, "true or false", member)
            return _BOOLEANS[text.lower()]
        case "time":
            return parse_instant(text, zone=zone)
        case "min" | "max":
            return _parse_extreme(text, member, zone)
        case _:
            return parse_number(text, member)


def parse_number(text: str, member: str) -> int | Decimal | float:
    """Return the number, exactly where DECIMAL(38) can hold it."""
    stripped = text.strip()
    if len(stripped) > _LONG or not _NUMBER.fullmatch(stripped):
        raise _mismatch(text, "a number", member)
    number = Decimal(stripped)
    exponent = number.as_tuple().exponent
    scale = max(0, -exponent) if isinstance(exponent, int) else 0
    if scale <= DECIMAL_DIGITS and number.adjusted() + 1 + scale <= DECIMAL_DIGITS:
        if number == number.to_integral_value() and abs(number) < _LARGEST:
            return int(number)
        return number
    approximate = float(number)
    if not math.isfinite(approximate):
        raise _mismatch(text, "a number that fits", member)
    return approximate


def check_text(text: str, member: str) -> str:
    """Return the text, when a database can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError as invalid:
        raise _mismatch(ascii(text), "valid Unicode text", member) from invalid
    return text


def _parse_extreme(text: str, member: str, zone: ZoneInfo) -> Value:
    """Read a value for min or max, whose type is that of a column: by its form."""
    if _NUMBER.fullmatch(text.strip()):
        return parse_number(text, member)
    try:
        return parse_instant(text, zone=zone)
    except QuerySyntaxError:
        return check_text(text, member)


def _mismatch(text: str, wanted: str, member: str) -> QuerySyntaxError:
    return QuerySyntaxError(
        f"the filter on {member} has the value '{text[:100]}', which is not {wanted}"
    )
