"""Random measures that are semi-additive, filled, or have all periods."""

from __future__ import annotations

import dataclasses
from random import Random

from tests.property.expressions import Column, Constant, Member, call
from tests.property.model import Cube, Measure, MeasureType, SemiAdditive

_TYPES: tuple[MeasureType, ...] = ("sum", "sum", "count", "avg", "min", "max", "count_distinct")


def with_kinds(random: Random, cube: Cube) -> Cube:
    """Return the cube with such measures, now and then."""
    measures = [_fill(random, item) for item in cube.measures]
    if cube.key and random.random() < 0.3:
        measures.append(_make_semi(random, cube))
    return dataclasses.replace(cube, measures=tuple(measures))


def _fill(random: Random, item: Measure) -> Measure:
    if item.values != "number" or random.random() < 0.9:
        return item
    spined = random.random() < 0.5 and item.type != "number"
    fill = random.choice((None, 0, -1, 7)) if spined else random.choice((0, -1, 7))
    return dataclasses.replace(item, fill=fill, spined=spined)


def _make_semi(random: Random, cube: Cube) -> Measure:
    own = cube.name
    time = random.choice(("seen", "seen", "born"))
    customs = next(item.granularities for item in cube.dimensions if item.name == time)
    periods = (None, None, "day", "month", *(item.name for item in customs))
    groupings = random.sample(("kind", "label", "flag"), random.choice((0, 0, 1, 1, 2)))
    kept = call(">", Column(own, "qty"), Constant(0))
    semi = SemiAdditive(
        Member(own, time),
        random.random() < 0.6,
        random.choice(periods),
        tuple(Member(own, name) for name in groupings),
    )
    kind = random.choice(_TYPES)
    return Measure(
        "balance",
        kind,
        Column(own, random.choice(("qty", "amount"))),
        (kept,) if random.random() < 0.3 else (),
        semi=semi,
        fill=0 if random.random() < 0.2 else None,
        spined=random.random() < 0.2,
    )
