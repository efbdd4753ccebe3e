"""Random measures with rolling windows and of several stages."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Final

from tests.property.expressions import Column, Constant, Member, call
from tests.property.model import (
    Case,
    Cube,
    Dimension,
    Measure,
    MeasureType,
    Reach,
    Stage,
    Switch,
    TimeShift,
    Window,
)
from tests.property.queries import Compares, Filter, Nested

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
    if random.random() < 0.25:
        cube = _with_switch(random, cube)
    if random.random() < 0.2:
        made.append(_make_switched(random, cube))
    if random.random() < 0.35:
        made.append(_make_rolling(random, cube.name))
    if random.random() < 0.45:
        made.append(_make_staged(random, cube, "staged"))
    if random.random() < 0.25:
        grown = dataclasses.replace(cube, measures=(*cube.measures, *made, *made))
        made.append(_make_staged(random, grown, "nested"))
    if random.random() < 0.25:
        made.append(_make_rank(random, cube))
    return dataclasses.replace(cube, measures=(*cube.measures, *made))


def _with_switch(random: Random, cube: Cube) -> Cube:
    """Return the cube with a switch, and members that read it."""
    values = ("p", "q", "r")[: random.choice((1, 2, 2, 3))]
    turn = Dimension("turn", "switch", Constant(None), values=values)
    is_first = call("=", Member(cube.name, "turn"), Constant("p"))
    turned = Dimension("turned", "string", Case(((is_first, Column(cube.name, "label")),), "other"))
    when = Measure(
        "when_first",
        random.choice(("count", "count_distinct")),
        Column(cube.name, "qty"),
        (is_first,),
    )
    return dataclasses.replace(
        cube,
        dimensions=(*cube.dimensions, turn, turned),
        measures=(*cube.measures, when),
    )


def _make_switched(random: Random, cube: Cube) -> Measure:
    """Return a measure that is one of several, by the value of a dimension."""
    names = [item.name for item in cube.dimensions]
    by = random.choice([name for name in ("turn", "kind", "label") if name in names])
    usable = [
        item.name
        for item in cube.measures
        if item.values == "number" and item.stage is None and item.window is None
    ]
    branches = tuple(
        (value, Member(cube.name, random.choice(usable)))
        for value in random.sample(("p", "q", "x", "y", "a", "b"), 3)
    )
    otherwise = Member(cube.name, random.choice(usable)) if random.random() < 0.6 else None
    kind: MeasureType = random.choice(("number", "sum", "max", "avg"))
    return Measure("switched", kind, Switch(Member(cube.name, by), branches, otherwise))


def _make_rank(random: Random, cube: Cube) -> Measure:
    """Return a rank by what is exact: two averages may be equal but for their last digit."""
    exact = [
        item.name
        for item in cube.measures
        if item.type in {"count", "sum", "min", "max", "count_distinct"} and item.values == "number"
        and not item.name.startswith("over")
    ]  # fmt: skip
    ranks = tuple(
        (Member(cube.name, name), random.random() < 0.6)
        for name in random.sample(exact, min(len(exact), random.choice((1, 1, 2))))
    )
    listed = tuple(f"{cube.name}.{name}" for name in random.sample(_GROUPS, random.choice((1, 2))))
    match random.randrange(4):
        case 0:
            stage = Stage(ranks=ranks, group_by=listed)
        case 1:
            stage = Stage(ranks=ranks, reduce_by=listed, excludes=listed[:1])
        case _:
            stage = Stage(ranks=ranks, reduce_by=listed)
    return Measure("ranked", "rank", None, stage=stage)


def _make_filter(random: Random, cube: str) -> Filter:
    choices: tuple[Filter, ...] = (
        Compares(f"{cube}.flag", "equals", ("true",)),
        Compares(f"{cube}.kind", "equals", (random.choice(("x", "y")),)),
        Compares(f"{cube}.label", "notEquals", (random.choice(("a", "b")),)),
        Compares(f"{cube}.qty", "gt", (random.choice(("0", "1", "2")),)),
        Compares(f"{cube}.seen", "afterDate", ("2024-01-01",)),
    )
    if random.random() < 0.3:
        return Nested(random.choice(("and", "or")), tuple(random.sample(choices, 2)))
    return random.choice(choices)


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


def _make_staged(random: Random, cube: Cube, name: str) -> Measure:
    usable = [
        item.name
        for item in cube.measures
        if item.values == "number"
        and (name == "nested" or item.stage is None)
        and item.window is None
    ]
    if name == "nested":
        usable = usable[-3:]  # mostly what is staged itself
    sql = Member(cube.name, random.choice(usable))
    listed = tuple(
        f"{cube.name}.{name}" for name in random.sample(_GROUPS, random.choice((1, 1, 2)))
    )
    outer: MeasureType = random.choice(("number", "sum", "max", "count", "avg"))
    fixed = name == "nested" and random.random() < 0.5
    match random.randrange(8):
        case 0:
            return Measure(name, outer, sql, stage=Stage(reduce_by=listed))
        case 1:
            return Measure(name, outer, sql, stage=Stage(group_by=listed))
        case 2:
            finer: MeasureType = random.choice(("sum", "avg", "min", "max"))
            return Measure(name, finer, sql, stage=Stage(add_group_by=listed))
        case 3:
            return Measure(name, outer, sql, stage=Stage(excludes=listed, fixed=fixed))
        case 4:
            return Measure(name, outer, sql, stage=Stage(keeps=listed, fixed=fixed))
        case 5:
            added = (_make_filter(random, cube.name),)
            return Measure(name, outer, sql, stage=Stage(includes=added, fixed=fixed))
        case 6:
            added = (_make_filter(random, cube.name),)
            stage = Stage(excludes=listed, includes=added, reduce_by=listed[:1])
            return Measure(name, outer, sql, stage=stage)
        case _:
            member = f"{cube.name}.seen" if random.random() < 0.5 else None
            unit = random.choice(("day", "month", "year"))
            shift = TimeShift(member, 1, unit, prior=random.random() < 0.8)
            return Measure(name, outer, sql, stage=Stage(shift=shift))
