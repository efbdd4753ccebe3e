"""Random calendars: rows of days, their periods, and which day stands for which a month before."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from random import Random

from tests.property.expressions import Column, Member, call
from tests.property.make_schema import make_day
from tests.property.model import (
    Cube,
    Dimension,
    Granularity,
    Join,
    Measure,
    Moved,
    Table,
    World,
)

NAME = "cal"


def with_calendar(random: Random, world: World) -> World:
    """Return the world with a calendar that one of its cubes is joined to."""
    owner = random.choice(world.cubes)
    if owner.measures and not owner.key:
        return world
    on = call("=", Column(owner.name, "born"), Member(NAME, "day"))
    joined = dataclasses.replace(owner, joins=(*owner.joins, Join(NAME, "many_to_one", on)))
    cubes = tuple(joined if cube is owner else cube for cube in world.cubes)
    return dataclasses.replace(
        world, tables=(*world.tables, _make_table(random)), cubes=(*cubes, _make_cube(random))
    )


def _make_table(random: Random) -> Table:
    begin = date(2023, 12, 1)
    days = {begin + timedelta(days=number) for number in random.sample(range(140), 30)}
    days |= {make_day(random) for _ in range(12)}
    rows = []
    for day in sorted(days):
        fiscal = day.replace(day=1) if day.day < 29 else day.replace(day=29)
        before = day - timedelta(days=random.choice((28, 29, 30, 31)))
        ago = random.choice((before, before, make_day(random), None))
        rows.append((day, fiscal, ago, random.choice((True, False, None))))
    columns = (("day", "DATE"), ("fiscal", "DATE"), ("ago", "DATE"), ("flag", "BOOLEAN"))
    return Table(f"t_{NAME}", columns, tuple(rows))


def _make_cube(random: Random) -> Cube:
    moved = Moved(
        1, random.choice(("month", "day", "year")), random.random() < 0.8, Column(NAME, "ago")
    )
    day = Dimension(
        "day",
        "time",
        Column(NAME, "day"),
        primary_key=True,
        granularities=(Granularity("fiscal", 1, "month", sql=Column(NAME, "fiscal")),),
        moved=(moved,) if random.random() < 0.6 else (),
    )
    return Cube(
        NAME,
        f"t_{NAME}",
        dimensions=(day, Dimension("flag", "boolean", Column(NAME, "flag"))),
        measures=(Measure("count", "count", None),),
        calendar=True,
    )
