"""Filters as tests of one value, with Cube's operators and SQL's nulls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from tests.property.model import DimensionType
from tests.property.queries import Compares, Filter, Nested
from tests.property.times import first_moment, moment_after, place_moment
from tests.property.values import Value, compare, conjunction, disjunction, negation

_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_EQUAL: Final = {"equals": False, "in": False, "notEquals": True, "notIn": True}
_TEXTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
}
Read = Callable[[str], tuple[Value, DimensionType]]


def holds(item: Filter, read: Read, zone: str) -> bool | None:
    """Return whether a filter holds; `read` gives a member's value and type."""
    match item:
        case Nested():
            parts = [holds(part, read, zone) for part in item.parts]
            return conjunction(parts) if item.word == "and" else disjunction(parts)
        case Compares():
            value, type_ = read(item.member)
            return test_value(value, type_, item, zone)


def test_value(value: Value, type_: DimensionType, item: Compares, zone: str) -> bool | None:
    """Return whether one comparison holds for the value."""
    texts = [text for text in item.values if text is not None]
    null = None in item.values
    name = item.operator
    if name in {"set", "notSet"}:
        return (value is None) == (name == "notSet")
    if name in _EQUAL:
        tests = [compare("=", value, _typed(text, type_, value, zone)) for text in texts]
        return _with_null(value, tests, null=null, negated=_EQUAL[name])
    if name in _SIGNS:
        return disjunction(
            compare(_SIGNS[name], value, _typed(text, type_, value, zone)) for text in texts
        )
    positive = {f"not{word[0].upper()}{word[1:]}": word for word in _TEXTS}.get(name, name)
    if positive in _TEXTS:
        shown = None if value is None else str(value).lower()
        tests = [None if shown is None else _TEXTS[positive](shown, text.lower()) for text in texts]
        return _with_null(value, tests, null=null, negated=name != positive)
    return _in_time(value, name, texts, zone)


def _with_null(value: Value, tests: list[bool | None], *, null: bool, negated: bool) -> bool | None:
    """Nulls pass a negated test, unless null is among the values; they pass no other, unless it is."""
    if value is None:
        return null != negated
    found = disjunction(tests) if tests else False
    return negation(found) if negated else found


def _typed(text: str, type_: DimensionType, value: Value, zone: str) -> Value:
    match type_:
        case "string" | "switch":
            return text
        case "number":
            return Decimal(text)
        case "boolean":
            return text == "true"
        case "time":
            return place_moment(first_moment(text), value, zone)


def _in_time(value: Value, name: str, texts: list[str], zone: str) -> bool | None:
    def at(wall: datetime) -> datetime:
        return place_moment(wall, value, zone)

    start, end = at(first_moment(texts[0])), at(moment_after(texts[-1]))
    inside = conjunction([compare(">=", value, start), compare("<", value, end)])
    match name:
        case "inDateRange" | "onTheDate":
            return inside
        case "notInDateRange":
            return value is None or not inside
        case "beforeDate":
            return compare("<", value, start)
        case "beforeOrOnDate":
            return compare("<", value, end)
        case "afterDate":
            return compare(">=", value, end)
        case "afterOrOnDate":
            return compare(">=", value, start)
        case _:
            raise ValueError(name)
