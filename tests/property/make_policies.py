"""Random access policies: of a cube, the rows for which filters on its own columns hold.

No filter holds of a null: what is joined to no row would else be told from what is joined to none
that may be seen.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Final

from tests.property.expressions import Column, Constant, Expression, call
from tests.property.make_schema import make_day, make_moment
from tests.property.model import Cube, Dimension, Policy, World
from tests.property.queries import Compares, Filter, Nested

_SIGNS: Final = ("gt", "gte", "lt", "lte")


def with_policies(random: Random, world: World) -> World:
    """Return the world with some of its cubes guarded."""
    cubes = tuple(
        _guard(random, cube) if random.random() < 0.5 and not cube.calendar else cube
        for cube in world.cubes
    )
    return dataclasses.replace(world, cubes=cubes)


def _guard(random: Random, cube: Cube) -> Cube:
    masked = _masked(random, cube) if random.random() < 0.75 else ()
    count = random.choices((1, 2), (5, 2))[0]
    policies = tuple(
        Policy(
            tuple(
                _filter(random, cube.name)
                for _ in range(random.choices((0, 1, 2), (5 if masked else 0, 5, 1))[0])
            ),
            masked if random.random() < 0.7 else (),
        )
        for _ in range(count)
    )
    dimensions = tuple(
        dataclasses.replace(item, mask=_mask(random, item, cube.name))
        if item.name in masked
        else item
        for item in cube.dimensions
    )
    measures = tuple(
        dataclasses.replace(item, mask=random.choice((None, -1, 0)))
        if item.name in masked and item.values == "number"
        else item
        for item in cube.measures
    )
    return dataclasses.replace(cube, policies=policies, dimensions=dimensions, measures=measures)


def _masked(random: Random, cube: Cube) -> tuple[str, ...]:
    """Return members to mask: a key where no sub-query is joined by it, and no switch."""
    sub_query = any(item.sub_query for item in cube.dimensions)
    names = [
        item.name
        for item in cube.dimensions
        if not item.values and not (item.primary_key and sub_query)
    ]
    names += [item.name for item in cube.measures]
    found = random.sample(names, min(len(names), random.choice((1, 2, 3, 6))))
    keys = [item.name for item in cube.key if not sub_query and random.random() < 0.6]
    return tuple(dict.fromkeys([*found, *keys]))


def _mask(random: Random, item: Dimension, own: str) -> Expression:
    column = item.sql.name if isinstance(item.sql, Column) else ""
    choices: tuple[Expression, ...] = (Constant(None),)
    match item.type:
        case "string":
            hashed = call("||", Constant("#"), Column(own, "kind"))
            choices = (Constant(None), Constant("hidden"), Constant("a"), hashed)
        case "number":
            choices = (Constant(None), Constant(-1), call("*", Column(own, "qty"), Constant(0)))
        case "boolean":
            choices = (Constant(None), Constant(value=False))
        case "time" if column == "seen":
            choices = (Constant(None), Constant(make_moment(random)))
        case "time" if column == "born":
            choices = (Constant(None), Constant(make_day(random)))
        case _:
            pass
    return random.choice(choices)


def _filter(random: Random, cube: str) -> Filter:
    if random.random() < 0.2:
        return Nested("or", (_compare(random, cube), _compare(random, cube)))
    return _compare(random, cube)


def _compare(random: Random, cube: str) -> Compares:
    match random.randrange(7):
        case 0:
            return Compares(f"{cube}.flag", "equals", ("true",))
        case 1:
            return Compares(f"{cube}.kind", "equals", (random.choice(("x", "y")),))
        case 2:
            return Compares(f"{cube}.qty", random.choice(_SIGNS), (str(random.randrange(5)),))
        case 3:
            return Compares(f"{cube}.{random.choice(('label', 'amount', 'seen'))}", "set")
        case 4:
            return Compares(f"{cube}.label", "contains", (random.choice(("a", "b", "A")),))
        case _:
            operator = random.choice(("afterOrOnDate", "beforeDate", "afterDate"))
            member = random.choice(("seen", "seen", "born"))
            return Compares(f"{cube}.{member}", operator, (make_day(random).isoformat(),))
