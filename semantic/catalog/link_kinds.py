"""Semi-additive, spined and conversion measures: from specs to the catalog."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from semantic.catalog.catalog import (
    Conversion,
    Event,
    Measure,
    MemberReference,
    NonAdditive,
)
from semantic.catalog.link_members import link_time
from semantic.catalog.resolve import Resolver
from semantic.errors import Problem
from semantic.spec.cube import ConversionSpec, MeasureSpec, NonAdditiveSpec
from semantic.spec.reader import Text

_DIMENSION: Final = frozenset({"dimension"})
_MEASURE: Final = frozenset({"measure"})


def link_kinds(spec: MeasureSpec, measure: Measure, resolver: Resolver) -> Measure:
    """Return the measure with what makes it special; problems are added to the resolver's."""
    if spec.non_additive is None and spec.conversion is None:
        if spec.fill_nulls_with is None and not spec.join_to_timespine:
            return measure
        non_additive = conversion = None
    else:
        non_additive = _link_non_additive(spec.non_additive, resolver)
        conversion = _link_conversion(spec.conversion, resolver)
    return dataclasses.replace(
        measure,
        non_additive=non_additive,
        fill_nulls_with=spec.fill_nulls_with,
        join_to_timespine=spec.join_to_timespine,
        conversion=conversion,
    )


def _link_non_additive(spec: NonAdditiveSpec | None, resolver: Resolver) -> NonAdditive | None:
    if spec is None:
        return None
    time = link_time(spec.time, resolver)
    found = [resolver.resolve_member(text, _DIMENSION) for text in spec.groupings]
    for text, member in ((spec.time, time), *zip(spec.groupings, found, strict=True)):
        if member is not None and member.cube != resolver.cube:
            _report(resolver, text, f"`{text.value.strip()[:60]}` is of {member.cube}",
                    f"name a dimension of {resolver.cube}")  # fmt: skip
    groupings = tuple(item for item in found if item is not None)
    if time is None or len(groupings) < len(found):
        return None
    return NonAdditive(time, spec.last, groupings)


def _link_conversion(spec: ConversionSpec | None, resolver: Resolver) -> Conversion | None:
    if spec is None:
        return None
    base = _link_event(
        (spec.base_measure, spec.entity.base, spec.time.base),
        (item.base for item in spec.properties),
        resolver,
    )
    converted = _link_event(
        (spec.conversion_measure, spec.entity.conversion, spec.time.conversion),
        (item.conversion for item in spec.properties),
        resolver,
    )
    if base is None or converted is None:
        return None
    return Conversion(base, converted, spec.window, spec.rate)


def _link_event(
    texts: tuple[Text, Text, Text], properties: Iterable[Text], resolver: Resolver
) -> Event | None:
    """Return one side; its dimensions have to be of the cube of its measure."""
    measure = resolver.resolve_member(texts[0], _MEASURE)
    entity, time = resolver.resolve_member(texts[1], _DIMENSION), link_time(texts[2], resolver)
    listed = list(properties)
    found = [resolver.resolve_member(text, _DIMENSION) for text in listed]
    if measure is not None:
        pairs = ((texts[1], entity), (texts[2], time), *zip(listed, found, strict=True))
        for text, member in pairs:
            _check_dimension(text, member, measure, resolver)
    kept = tuple(item for item in found if item is not None)
    if measure is None or entity is None or time is None or len(kept) < len(found):
        return None
    return Event(measure, entity, time, kept)


def _check_dimension(
    text: Text, member: MemberReference | None, measure: MemberReference, resolver: Resolver
) -> None:
    if member is None:
        return
    shown = text.value.strip()[:60]
    if member.cube != measure.cube:
        _report(
            resolver, text, f"`{shown}` is of {member.cube}, and its measure of {measure.cube}",
            f"name a dimension of {measure.cube}",
        )  # fmt: skip
    elif member.granularity is not None:
        _report(
            resolver, text, f"`{shown}` has a granularity: moments are compared", "leave it out"
        )


def _report(resolver: Resolver, text: Text, message: str, suggestion: str) -> None:
    resolver.problems.append(Problem("invalid_reference", message, text.span, suggestion))
