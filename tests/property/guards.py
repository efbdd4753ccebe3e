"""Access policies by the rules: hidden rows are taken out of the tables before anything is asked.

What a query reads of a guarded cube, its row filter hides; a row of the query that meets no visible
row of a guarded cube is not shown. What a sub-query reads is apart: hidden there, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from tests.property.expressions import Column, Constant, Member, walk
from tests.property.members import Name, expressions_of
from tests.property.model import Dimension, Measure, Place, Segment, World
from tests.property.queries import Asked, members_in


@dataclass(slots=True)
class Reads:
    """The cubes that members read, by the way to each; those of sub-queries by their dimension."""

    own: dict[tuple[str, tuple[str, ...]], None] = field(default_factory=dict)
    inner: dict[Name, dict[tuple[str, tuple[str, ...]], None]] = field(default_factory=dict)


def find_reads(world: World, places: Sequence[Place]) -> Reads:
    """Return what members read, themselves first."""
    found = Reads()
    for place in places:
        _read(world, found, found.own, place.cube, place.item, place.path)
    return found


def _read(
    world: World,
    found: Reads,
    into: dict[tuple[str, tuple[str, ...]], None],
    cube: str,
    item: Dimension | Measure | Segment,
    path: tuple[str, ...],
) -> None:
    into[cube, path] = None
    if isinstance(item, Dimension) and item.sub_query:
        into = found.inner.setdefault((cube, item.name), {})
    for expression in expressions_of(item):
        for part in walk(expression):
            if not isinstance(part, Column | Member):
                continue
            way = path if part.cube == cube else (part.cube,)
            if isinstance(part, Column):
                into[part.cube, way] = None
            else:
                below = world.item(part.cube, part.name)
                _read(world, found, into, part.cube, below, way)


def places_asked(world: World, asked: Asked) -> list[Place]:
    """Return all members that a query uses, in the order in which they are asked."""
    ordered = (name for name, _ in asked.order or () if name in world.places)
    timed = (item.member for item in asked.times)
    filtered = chain.from_iterable(map(members_in, asked.filters))
    names = chain(asked.measures, asked.dimensions, timed, filtered, asked.segments, ordered)
    return [world.places[name] for name in dict.fromkeys(names)]


def guarded(world: World, reads: dict[tuple[str, tuple[str, ...]], None]) -> Iterator[Place]:
    """Yield the guarded cubes among what is read, as something to mention."""
    for cube, path in reads:
        if world.cube[cube].hides:
            yield Place(cube, Dimension("", "number", Constant(None)), path)
