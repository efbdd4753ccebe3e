"""MetricFlow's kinds of metrics as keys of measures: from the tree to specs.

`non_additive_dimension` (semi-additive), `fill_nulls_with` and `join_to_timespine` (gap filling) and
`type: conversion` with `conversion`. No other keys of Cube's format are touched by them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from semantic.spec.cube import ConversionSpec, NonAdditiveSpec, PairSpec
from semantic.spec.intervals import parse_interval
from semantic.spec.read_stage import normalise
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, Node, ScalarNode

WINDOW_CHOICES: Final = {"min": "first", "first": "first", "max": "last", "last": "last"}
CALCULATIONS: Final = {
    name: name for name in ("conversion_rate", "conversions")
} | {"conversionRate": "conversion_rate"}  # fmt: skip
_TYPED: Final = frozenset(
    {"count", "count_distinct", "count_distinct_approx", "sum", "avg", "min", "max"}
)
_NOT_NUMBERS: Final = frozenset({"string", "time", "boolean"})
_ROWS: Final = ("sql", "case", "filters", "rolling_window", "multi_stage", "non_additive_dimension")


@dataclass(frozen=True, slots=True)
class Kinds:
    """What the keys of this module say."""

    non_additive: NonAdditiveSpec | None
    fill: int | float | None
    spined: bool
    conversion: ConversionSpec | None


def read_kinds(reader: MappingReader, kind: str | None) -> Kinds:
    """Take the keys; `kind` is the measure's type."""
    kinds = Kinds(
        _read_non_additive(reader, kind),
        _read_fill(reader, kind),
        reader.flag("join_to_timespine") is True,
        _read_conversion(reader, kind),
    )
    if kinds.spined and reader.given("multi_stage") and not reader.given("rolling_window"):
        reader.report(
            "conflicting_keys",
            f"{reader.what} is computed in stages: it has no `join_to_timespine`",
            None,
            "write `join_to_timespine: true` on the measures that it is computed from",
        )
    return kinds


# -- semi-additive ---------------------------------------------------------------------------


def _read_non_additive(reader: MappingReader, kind: str | None) -> NonAdditiveSpec | None:
    key = "non_additive_dimension"
    node = reader.take(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report(
            "wrong_type", f"`{key}` must be a mapping", node.span,
            "write `name: day` and `window_choice: max` below it",
        )  # fmt: skip
        return None
    inner = MappingReader(node, f"`{key}` of {reader.what}", reader.problems)
    name, choice = _text(inner, "name"), inner.choice("window_choice", WINDOW_CHOICES)
    groupings = inner.texts("window_groupings") or ()
    inner.finish()
    if name is None and not inner.given("name"):
        inner.report("missing_key", f"{inner.what} has no `name`", None, "name a time dimension")
    if not inner.given("window_choice"):
        inner.report(
            "missing_key", f"{inner.what} has no `window_choice`", None,
            "write `window_choice: max` for the rows of the last time, `min` for the first",
        )  # fmt: skip
    if kind is not None and kind not in _TYPED:
        reader.report(
            "invalid_value",
            f"{reader.what} is a {kind}: `{key}` belongs to measures whose type aggregates",
            node.span,
            f"one of {', '.join(sorted(_TYPED))}",
        )
        return None
    for other in ("rolling_window", "multi_stage"):
        if reader.given(other):
            reader.report("conflicting_keys", f"{reader.what} has `{key}` and `{other}`", node.span)
            return None
    if name is None or choice is None:
        return None
    return NonAdditiveSpec(name, choice == "last", groupings, node.span)


# -- gaps ------------------------------------------------------------------------------------


def _read_fill(reader: MappingReader, kind: str | None) -> int | float | None:
    node = reader.take("fill_nulls_with")
    if node is None:
        return None
    value = node.plain() if isinstance(node, ScalarNode) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        reader.report(
            "wrong_type", "`fill_nulls_with` must be a number", node.span,
            "write `fill_nulls_with: 0`",
        )  # fmt: skip
        return None
    if kind in _NOT_NUMBERS:
        reader.report(
            "invalid_value",
            f"{reader.what} is a {kind}: a number cannot stand for its nulls",
            node.span,
        )
        return None
    return value


# -- conversions -----------------------------------------------------------------------------


def _read_conversion(reader: MappingReader, kind: str | None) -> ConversionSpec | None:
    node = reader.take("conversion")
    if node is None:
        if kind == "conversion":
            reader.report(
                "missing_key", f"{reader.what} is a conversion: it needs `conversion`", None,
                "write base_measure, conversion_measure, entity and time below it",
            )  # fmt: skip
        return None
    if kind is not None and kind != "conversion":
        reader.report(
            "conflicting_keys",
            f"{reader.what} is a {kind}: `conversion` belongs to `type: conversion`",
            node.span,
        )
        return None
    for other in _ROWS:
        if reader.given(other):
            reader.report(
                "conflicting_keys",
                f"{reader.what} is a conversion: it has no `{other}`",
                node.span,
                "put it on the measures that it counts",
            )
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", "`conversion` must be a mapping", node.span)
        return None
    return _read_mapping(MappingReader(node, f"`conversion` of {reader.what}", reader.problems))


def _read_mapping(inner: MappingReader) -> ConversionSpec | None:
    measures = _text(inner, "base_measure"), _text(inner, "conversion_measure")
    entity, time = _read_pair(inner, "entity"), _read_pair(inner, "time")
    window = _read_window(inner)
    calculation = inner.choice("calculation", CALCULATIONS) or "conversion_rate"
    properties = [
        _pair_of(MappingReader(item, f"`constant_properties` of {inner.what}", inner.problems))
        for item in inner.items("constant_properties")
    ]
    inner.finish()
    for key in ("base_measure", "conversion_measure", "entity", "time"):
        if not inner.given(key):
            inner.report("missing_key", f"{inner.what} has no `{key}`")
    base, converted = measures
    if base is None or converted is None or entity is None or time is None or None in properties:
        return None
    pairs = tuple(item for item in properties if item is not None)
    rate = calculation == "conversion_rate"
    return ConversionSpec(base, converted, entity, time, window, rate, pairs, inner.node.span)


def _read_window(inner: MappingReader) -> str | None:
    text = inner.text("window")
    if text is None:
        return None
    parts = parse_interval(text)
    if parts is None or any(amount <= 0 for amount in parts.values()):
        inner.report(
            "invalid_value", f"`window: {text[:60]}` is no interval", None,
            "write 7 day, or leave it out: any conversion after the base event counts",
        )  # fmt: skip
        return None
    return normalise(text)


def _read_pair(inner: MappingReader, key: str) -> PairSpec | None:
    node = inner.take(key)
    if node is None:
        return None
    if isinstance(node, MappingNode):
        return _pair_of(MappingReader(node, f"`{key}` of {inner.what}", inner.problems))
    inner.report(
        "wrong_type", f"`{key}` must be a mapping", node.span,
        "name a dimension of each cube: `base: visits.user_id`, `conversion: buys.user_id`",
    )  # fmt: skip
    return None


def _pair_of(reader: MappingReader) -> PairSpec | None:
    base, converted = _text(reader, "base"), _text(reader, "conversion")
    reader.finish()
    for key in ("base", "conversion"):
        if not reader.given(key):
            reader.report("missing_key", f"{reader.what} has no `{key}`")
    return None if base is None or converted is None else PairSpec(base, converted)


def _text(reader: MappingReader, key: str) -> Text | None:
    """Return a text with its place."""
    node: Node | None = reader.take(key)
    if node is None:
        return None
    if isinstance(node, ScalarNode) and isinstance(node.plain(), str) and node.value.strip():
        return Text(node.value, node)
    reader.report("wrong_type", f"`{key}` must be text", node.span)
    return None
