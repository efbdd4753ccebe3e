"""Conversions: which events led to which others.

A conversion belongs to the latest base event of the same entity, and of equal constant properties,
that happened at or before it and less than the window earlier; of several at one moment, to the one
with the largest key. One without such an event belongs to none. So each counts once, in the groups
of its event.

Base events are the rows of the base measure's cube that pass the query's conditions and that
measure's filters; conversions are all rows that pass the filters of the conversion measure, whatever
the query's conditions: who came in January may buy in March. Moments are compared as instants, in
UTC, so that no answer depends on the query's time zone but by its groups.

Row filters of access policies hold for both sides, each for the cubes that it reads
(`BoundQuery.apart` has those of conversions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from semantic.catalog.catalog import Catalog, Event, Measure, MemberReference
from semantic.errors import UnsafeAggregationError, UnsupportedError
from semantic.plan.frame import Frame, names_in, unique_keys
from semantic.plan.kinds import key_of, refuse_masked
from semantic.plan.lineage import Item, reach_of
from semantic.plan.nodes import Conversions, Relation, Rows
from semantic.plan.rows import RowFinder, find_beyond
from semantic.query.bound import BoundQuery, Condition

Evaluate = Callable[[Frame, Iterable[Measure]], Relation]


def plan_conversions(
    catalog: Catalog,
    bound: BoundQuery,
    finder: RowFinder,
    evaluate: Evaluate,
    frame: Frame,
    measure: Measure,
) -> Conversions:
    """Return the relation of a conversion measure.

    Raises:
        UnsafeAggregationError: joins would repeat conversions, or give an event several entities.
        UnsupportedError: a mask hides what events are compared by.
    """
    conversion = measure.conversion
    if conversion is None:
        msg = "not a conversion"
        raise ValueError(msg)
    base, converted = conversion.base, conversion.converted
    for event in (base, converted):
        refuse_masked(catalog, bound, measure, _compared(event))
    counted = _measure_of(catalog, base)
    keys = unique_keys([*frame.keys, *(key_of(catalog, item) for item in _compared(base))])
    # Conditions that are about other facts of the query only were told apart with its own keys.
    held = finder.find(counted, frame)[1]
    inner = Frame(
        keys,
        tuple(item for item in frame.ranges if item in held.conditions),
        tuple(item for item in frame.conditions if item in held.conditions),
        frame.shifts,
        tuple(item for item in frame.guards if item.condition in held.guards),
    )
    _, events = finder.find(counted, inner)
    _check_events(catalog, measure, base, events)
    return Conversions(
        base=evaluate(frame, (counted,)),
        events=events,
        converted=_find_converted(catalog, bound, finder, measure, converted),
        keys=frame.keys,
        measure=measure,
    )


def _compared(event: Event) -> tuple[MemberReference, ...]:
    return (event.entity, event.time, *event.properties)


def _measure_of(catalog: Catalog, event: Event) -> Measure:
    return catalog.cubes[event.measure.cube].measures[event.measure.member]


def _find_converted(
    catalog: Catalog, bound: BoundQuery, finder: RowFinder, measure: Measure, event: Event
) -> Rows:
    """Return the rows of all conversions that the caller may see."""
    counted = _measure_of(catalog, event)
    keys = unique_keys(key_of(catalog, item) for item in _compared(event))
    others, paths = finder.others, finder.paths
    finder.others, finder.paths = (), {}  # the query's own members excuse and lead nothing here
    try:
        cubes = set(finder.find(counted, Frame(keys))[1].cubes)
        guards = tuple(_guards(bound, measure, cubes))
        _, rows = finder.find(counted, Frame(keys, conditions=guards))
    finally:
        finder.others, finder.paths = others, paths
    if rows.multiplying or rows.switches:
        raise UnsafeAggregationError(
            f"{measure.cube}.{measure.name} would count conversions of {rows.cube} more than once: "
            "what they are compared by reads joins that repeat its rows",
            suggestion=f"name dimensions of {rows.cube} itself",
        )
    return rows


def _guards(bound: BoundQuery, measure: Measure, cubes: set[str]) -> Iterator[Condition]:
    """Yield the row filters of policies that are about conversions."""
    for guard in bound.apart:
        named = {cube for cube, _ in names_in(guard)}
        if named <= cubes:
            yield guard
        elif named & cubes:
            raise UnsupportedError(
                f"{measure.cube}.{measure.name} reads rows of {', '.join(sorted(cubes))}, and an "
                "access policy filters them together with others",
                suggestion="ask as somebody who may see all rows",
            )


def _check_events(catalog: Catalog, measure: Measure, event: Event, rows: Rows) -> None:
    """Check that each event has one entity, one time and one value of each property."""
    beyond = find_beyond(rows)
    counted = _measure_of(catalog, event)
    items: list[Item] = [counted]
    items += [key_of(catalog, item).dimension for item in _compared(event)]
    repeated = any(cube in beyond for item in items for cube in reach_of(catalog, item).cubes)
    if repeated:
        raise UnsafeAggregationError(
            f"{measure.cube}.{measure.name} compares events of {rows.cube} by what joins repeat",
            suggestion=f"name dimensions of {rows.cube} itself",
        )
