"""Rules about semi-additive, spined and conversion measures that need the whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from semantic.catalog.catalog import Cube, Event, Expression, Measure, MemberReference
from semantic.errors import Problem

_COUNTED: Final = frozenset({"count", "count_distinct", "count_distinct_approx", "sum"})
_TYPED: Final = _COUNTED | {"avg", "min", "max"}


def find_kind_problems(cubes: Mapping[str, Cube], measure: Measure) -> Iterator[Problem]:
    """Yield what is wrong with one measure."""
    if measure.non_additive is not None:
        for member in (measure.non_additive.time, *measure.non_additive.groupings):
            yield from _find_computed(cubes, measure, member)
    if measure.conversion is not None:
        for event in (measure.conversion.base, measure.conversion.converted):
            yield from _find_event(cubes, measure, event)
        yield from _find_key(cubes, measure, measure.conversion.base)
    if measure.join_to_timespine and _is_calculated(cubes, measure):
        yield Problem(
            "invalid_value",
            f"{measure.cube}.{measure.name} is computed from measures: it has no rows of its own "
            "for `join_to_timespine`",
            measure.span,
            "write it on the measures that it is computed from",
        )


def _find_computed(
    cubes: Mapping[str, Cube], measure: Measure, member: MemberReference
) -> Iterator[Problem]:
    """A dimension computed in stages has another value in each query."""
    cube = cubes.get(member.cube)
    dimension = None if cube is None else cube.dimensions.get(member.member)
    if dimension is not None and dimension.multi_stage is not None:
        yield Problem(
            "invalid_reference",
            f"{member.cube}.{member.member} is computed in stages: {measure.cube}.{measure.name} "
            "needs a dimension of rows",
            measure.span,
        )


def _find_event(cubes: Mapping[str, Cube], measure: Measure, event: Event) -> Iterator[Problem]:
    for member in (event.entity, event.time, *event.properties):
        yield from _find_computed(cubes, measure, member)
    cube = cubes.get(event.measure.cube)
    counted = None if cube is None else cube.measures.get(event.measure.member)
    if counted is None:
        return
    special = (
        counted.rolling_window
        or counted.multi_stage
        or counted.non_additive
        or counted.conversion
        or counted.type not in _COUNTED
    )
    if special:
        yield Problem(
            "invalid_reference",
            f"{measure.cube}.{measure.name} counts events, and {counted.cube}.{counted.name} "
            "is no plain count, count_distinct or sum of rows",
            measure.span,
            "name a measure of type count, count_distinct or sum",
        )


def _find_key(cubes: Mapping[str, Cube], measure: Measure, event: Event) -> Iterator[Problem]:
    """Base events are told apart: of several at one time, one is the last."""
    cube = cubes.get(event.measure.cube)
    if cube is not None and not cube.primary_key:
        yield Problem(
            "missing_primary_key",
            f"{measure.cube}.{measure.name} tells the events of {cube.name} apart, and "
            f"{cube.name} has no primary key",
            cube.span or measure.span,
            "mark the dimensions that identify a row with `primary_key: true`",
        )


def _is_calculated(cubes: Mapping[str, Cube], measure: Measure) -> bool:
    if measure.type in _TYPED or not isinstance(measure.sql, Expression):
        return False
    return any(
        isinstance(part, MemberReference)
        and (cube := cubes.get(part.cube)) is not None
        and part.member in cube.measures
        for part in measure.sql.parts
    )
