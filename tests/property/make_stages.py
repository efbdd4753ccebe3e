"""Random measures with rolling windows and of several stages."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Final

from tests.property.expressions import Column, Member
from tests.property.model import (
    Cube,
    Measure,
    MeasureType,
    Reach,
    Stage,
    TimeShift,
    Window,
)

_REACHES: Final[tuple[Reach, ...]] = (
    (1, "day"), (2, "day"), (1, "week"), (1, "month"), (1, "year"), "unbounded",
)  # fmt: skip
_AGGREGATES: Final[tuple[MeasureType, ...]] = ("sum", "count", "avg", "min", "max")
_GROUPS: Final = ("label", "kind", "flag")


def with_stages(random: Random, cube: Cube) -> Cube:
    """Return the cube with such measures more, now and then."""
    if not cube.key:
        return cube
    made: list[Measure] = []
    if random.random() < 0.35:
        made.append(_make_rolling(random, cube.name))
    if random.random() < 0.45:
        made.append(_make_staged(random, cube))
    return dataclasses.replace(cube, measures=(*cube.measures, *made))


def _make_rolling(random: Random, own: str) -> Measure:
    kind = random.choice(_AGGREGATES)
    sql = Column(own, random.choice(("qty", "amount")))
    if random.random() < 0.25:
        return Measure(
            "rolled", kind, sql, window=Window(to_date=random.choice(("week", "month", "year")))
        )
    trailing = random.choice((None, *_REACHES, *_REACHES))
    leading = random.choice((None, None, *_REACHES)) if trailing is not None else (1, "day")
    offset = "start" if random.random() < 0.2 else "end"
    window = Window(trailing, leading, "start" if offset == "start" else "end")
    return Measure("rolled", kind, sql, window=window)


def _make_staged(random: Random, cube: Cube) -> Measure:
    usable = [
        item.name
        for item in cube.measures
        if item.values == "number" and item.window is None and item.stage is None
    ]
    sql = Member(cube.name, random.choice(usable))
    listed = tuple(
        f"{cube.name}.{name}" for name in random.sample(_GROUPS, random.choice((1, 1, 2)))
    )
    outer: MeasureType = random.choice(("number", "sum", "max"))
    match random.randrange(5):
        case 0:
            return Measure("staged", outer, sql, stage=Stage(reduce_by=listed))
        case 1:
            return Measure("staged", outer, sql, stage=Stage(group_by=listed))
        case 2:
            finer: MeasureType = random.choice(("sum", "avg", "min", "max"))
            return Measure("staged", finer, sql, stage=Stage(add_group_by=listed))
        case 3:
            return Measure("staged", outer, sql, stage=Stage(excludes=listed))
        case _:
            member = f"{cube.name}.seen" if random.random() < 0.5 else None
            unit = random.choice(("day", "month", "year"))
            shift = TimeShift(member, 1, unit, prior=random.random() < 0.8)
            return Measure("staged", outer, sql, stage=Stage(shift=shift))
