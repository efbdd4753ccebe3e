"""Random named joins: a cube joined once more, under another name."""

from __future__ import annotations

import dataclasses
from random import Random

from tests.property.expressions import Column, Member, call
from tests.property.model import Cube, Join, Relationship, World
from tests.property.roles import rename_below


def with_named_join(random: Random, world: World) -> World:
    """Return the world with a named join, if two of its cubes can have one."""
    pairs = [
        (own, base)
        for own in world.cubes
        for base in world.cubes
        if own.key
        and base.key
        and not own.calendar
        and not base.calendar
        and _is_tree(world, own.name, base.name)
    ]
    pairs = [(own, base) for own, base in pairs if len(own.key) == 1 or len(base.key) == 1]
    if not pairs:
        return world
    own, base = random.choice(pairs)
    join = _make_join(random, own, base)
    cubes = tuple(
        dataclasses.replace(cube, joins=(*cube.joins, join)) if cube is own else cube
        for cube in world.cubes
    )
    return dataclasses.replace(world, cubes=cubes)


def _make_join(random: Random, own: Cube, base: Cube) -> Join:
    role = f"{own.name}.buyer"
    up = len(base.key) == 1 and (len(own.key) > 1 or random.random() < 0.7)
    kind: Relationship = "many_to_one" if up else "one_to_many"
    mine, theirs = ("qty", "id") if up else ("id", "qty")
    right = Member(role, theirs) if random.random() < 0.4 else Column(role, theirs)
    return Join(role, kind, call("=", Column(own.name, mine), right), base.name)


def _is_tree(world: World, own: str, base: str) -> bool:
    """Whether one way leads from the base to each cube that it leads to, and none to `own`."""
    below = rename_below(world.cube, base, "")
    joins = sum(len(world.cube[name].joins) for name in below)
    return own not in below and joins == len(below) - 1
