"""Random access policies: of a cube, the rows for which filters on its own columns hold.

No filter holds of a null: what is joined to no row would else be told from what is joined to none
that may be seen.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Final

from tests.property.make_schema import make_day
from tests.property.model import Cube, World
from tests.property.queries import Compares, Filter, Nested

_SIGNS: Final = ("gt", "gte", "lt", "lte")


def with_policies(random: Random, world: World) -> World:
    """Return the world with some of its cubes guarded."""
    cubes = tuple(_guard(random, cube) if random.random() < 0.5 else cube for cube in world.cubes)
    return dataclasses.replace(world, cubes=cubes)


def _guard(random: Random, cube: Cube) -> Cube:
    count = random.choices((1, 2), (5, 1))[0]
    policies = tuple(
        tuple(_filter(random, cube.name) for _ in range(random.choices((1, 2), (5, 1))[0]))
        for _ in range(count)
    )
    return dataclasses.replace(cube, policies=policies)


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
