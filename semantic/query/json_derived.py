"""`shift` and `compare` of the query JSON: measures that are made by the query, not by the model."""

from __future__ import annotations

import re
from typing import Final, Literal, cast, get_args

from semantic.query.json_shape import (
    check_choice,
    check_keys,
    invalid,
    read_list,
    read_mapping,
    read_member,
    read_members,
    read_text,
)
from semantic.query.members import clip
from semantic.query.query import Compare, Comparison, ShiftedMeasure
from semantic.spec.intervals import parse_interval

PREVIOUS_PERIOD: Final = "previous period"
_SHIFT_KEYS: Final = frozenset({"measure", "shift", "direction", "timeDimension", "as"})
_COMPARE_KEYS: Final = frozenset({"to", "timeDimension", "measures", "show"})
_DAYS: Final = {
    "year": 366, "quarter": 92, "month": 31, "week": 7, "day": 1,
    "hour": 1 / 24, "minute": 1 / 1440, "second": 1 / 86_400,
}  # fmt: skip
_MOST_DAYS: Final = 366_000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def read_measures(value: object) -> tuple[tuple[str, ...], tuple[ShiftedMeasure, ...]]:
    """Return the names of the measures, those that are shifted among them, and the latter."""
    names: list[str] = []
    shifted: list[ShiftedMeasure] = []
    for index, item in enumerate(read_list(value, "measures")):
        place = f"measures[{index}]"
        if isinstance(item, dict) and "shift" in item:
            found = _read_shift(item, place)
            if any(other.name == found.name and other != found for other in shifted):
                raise invalid(f'"{place}" and another measure are both called {clip(found.name)}')
            shifted.append(found)
            names.append(found.name)
        else:
            names.append(read_member(item, place))
    return tuple(names), tuple(dict.fromkeys(shifted))


def read_compare(value: object) -> Compare | None:
    """Return `compare`; null is none."""
    if value is None:
        return None
    raw = read_mapping(value, "compare")
    check_keys(raw, _COMPARE_KEYS, "compare")
    to = " ".join(read_text(raw.get("to"), "compare.to").split())
    if to != PREVIOUS_PERIOD:
        to = _read_interval(to, "compare.to", f'"1 year", "7 day" or "{PREVIOUS_PERIOD}"')
    named = raw.get("timeDimension")
    chosen = raw.get("measures")
    show = read_list(raw.get("show"), "compare.show")
    for index, item in enumerate(show):
        check_choice(item, get_args(Comparison), f"compare.show[{index}]")
    return Compare(
        to=to,
        time_dimension=None if named is None else read_member(named, "compare.timeDimension"),
        measures=None if chosen is None else read_members(chosen, "compare.measures"),
        show=cast("tuple[Comparison, ...]", tuple(dict.fromkeys(show))) or get_args(Comparison),
    )


def _read_shift(item: object, place: str) -> ShiftedMeasure:
    raw = read_mapping(item, place)
    check_keys(raw, _SHIFT_KEYS, place)
    measure = read_member(raw.get("measure"), f"{place}.measure")
    interval = _read_interval(
        read_text(raw["shift"], f"{place}.shift"), f"{place}.shift", '"1 year" or "7 day"'
    )
    check_choice(raw.get("direction"), ("prior", "next"), f"{place}.direction")
    direction: Literal["prior", "next"] = "next" if raw.get("direction") == "next" else "prior"
    owner, _, short = measure.rpartition(".")
    name = raw.get("as")
    if name is None:
        name = f"{short}__{interval.replace(' ', '_')}_{direction}"
    elif not _NAME.fullmatch(read_text(name, f"{place}.as")):
        raise invalid(f'"{place}.as" is a name of letters, digits and _')
    named = raw.get("timeDimension")
    return ShiftedMeasure(
        name=f"{owner}.{name}",
        measure=measure,
        interval=interval,
        direction=direction,
        time_dimension=None if named is None else read_member(named, f"{place}.timeDimension"),
    )


def _read_interval(text: str, place: str, examples: str) -> str:
    """Return an interval in its plain form: "1 year 2 month"."""
    parts = parse_interval(text)
    if parts is None or any(amount <= 0 for amount in parts.values()):
        raise invalid(f'"{place}" with value "{clip(text)}" is no interval', f"write {examples}")
    if sum(amount * _DAYS[unit] for unit, amount in parts.items()) > _MOST_DAYS:
        raise invalid(f'"{place}" with value "{clip(text)}" is longer than a thousand years')
    return " ".join(f"{amount} {unit}" for unit, amount in parts.items())
