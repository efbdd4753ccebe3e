"""Random queries over a world: mostly about cubes that joins connect, with every operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain, pairwise
from random import Random
from typing import Final

from tests.property.make_compared import with_compared
from tests.property.make_schema import KINDS, LABELS, make_day, make_moment
from tests.property.model import (
    Cube,
    Dimension,
    DimensionType,
    Measure,
    Place,
    Segment,
    Switch,
    World,
)
from tests.property.queries import Asked, Compares, Filter, Nested, Timed, members_in
from tests.property.times import GRANULARITIES
from tests.property.trees import simple_paths

LONG: Final = ("day", "week", "month", "quarter", "year")
ZONES: Final = ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo")
_DATES: Final = (
    "inDateRange", "notInDateRange", "onTheDate", "beforeDate", "beforeOrOnDate", "afterDate",
    "afterOrOnDate",
)  # fmt: skip
_SIGNS: Final = ("gt", "gte", "lt", "lte")
_EQUALS: Final = ("equals", "notEquals", "in", "notIn")
_TEXTS: Final = (
    "contains", "notContains", "startsWith", "notStartsWith", "endsWith", "notEndsWith",
)  # fmt: skip
Pool = dict[str, Place]


def make_query(random: Random, world: World) -> Asked:
    """Return a query that has at least one column."""
    while True:
        asked = _make(random, world, _pool(random, world))
        if asked.meaningful:
            return asked


def _pool(random: Random, world: World) -> Pool:
    """Return the members that the query chooses from."""
    if world.views and random.random() < 0.3:
        return {name: place for name, place in world.places.items() if name.startswith("sight.")}
    root = max(random.sample(world.every, min(2, len(world.every))), key=_reach).name
    cubes = [root]
    for cube in cubes:
        cubes += [join.target for join in world.cube[cube].joins if join.target not in cubes]
    if random.random() < 0.1:
        cubes = [cube.name for cube in world.every]
    return {
        name: place
        for name, place in world.places.items()
        if place.cube in cubes and not name.startswith("sight.")
    }


def _reach(cube: Cube) -> int:
    return len(cube.joins)


def _make(random: Random, world: World, pool: Pool) -> Asked:
    dimensions = [name for name, place in pool.items() if isinstance(place.item, Dimension)]
    timed = [name for name in dimensions if _type(pool[name]) == "time"]
    measures = [name for name, place in pool.items() if isinstance(place.item, Measure)]
    segments = [name for name, place in pool.items() if isinstance(place.item, Segment)]
    ungrouped = random.random() < 0.06
    if ungrouped:
        measures = [name for name in measures if _plain(pool[name])]
    elif random.random() < 0.5:
        chosen = pool[random.choice(measures)].cube if measures else ""
        measures = [name for name in measures if pool[name].cube == chosen]
    asked = Asked(
        measures=_sample(random, measures, (2, 5, 3, 2)),
        dimensions=_sample(random, _coarse(random, dimensions), (3, 5, 3, 1)),
        times=tuple(_make_time(random, name) for name in _sample(random, timed, (9, 3, 1))),
        segments=_sample(random, segments, (9, 1)),
        filters=_make_filters(random, pool, dimensions, [] if ungrouped else measures),
        timezone=random.choice(ZONES) if random.random() < 0.25 else "UTC",
        ungrouped=ungrouped,
    )
    if random.random() < 0.4:
        # Without conditions, so that there is more to count.
        cut = tuple(Timed(item.member, random.choice(LONG)) for item in asked.times)
        asked = dataclasses.replace(asked, filters=(), segments=(), times=cut)
    asked = _with_masked(random, world, pool, asked)
    days = [name for name in timed if world.cube[pool[name].cube].calendar]
    by_calendar = bool(days) and random.random() < 0.4
    if by_calendar:
        asked = dataclasses.replace(asked, times=(_make_time(random, days[0], LONG),))
    found = _with_order(random, _suit_stages(random, pool, asked))
    found = dataclasses.replace(
        found,
        times=tuple(_customise(random, pool, found, item) for item in found.times),
        total=random.random() < 0.15,
        hints=_make_hints(random, world, found) if random.random() < 0.08 else (),
    )
    if found.limit is None and not found.offset and random.random() < 0.12:
        found = dataclasses.replace(found, pages=random.choice((1, 2, 3)))
    if (
        found.measures
        and found.times
        and not ungrouped
        and random.random() < (0.6 if by_calendar else 0.25)
    ):
        return with_compared(random, world, found)
    return found


def _with_masked(random: Random, world: World, pool: Pool, asked: Asked) -> Asked:
    """Ask for a masked dimension, too, or compare with it, where there is one."""
    masked = [
        name
        for name, place in pool.items()
        if isinstance(place.item, Dimension) and world.cube[place.cube].masks(place.item.name)
    ]
    if not masked or random.random() < 0.5:
        return asked
    name = random.choice(masked)
    if random.random() < 0.25:
        added = make_filter(random, name, _type(pool[name]))
        return dataclasses.replace(asked, filters=(*asked.filters, added))
    return dataclasses.replace(asked, dimensions=tuple(dict.fromkeys((*asked.dimensions, name))))


def _make_hints(random: Random, world: World, asked: Asked) -> tuple[tuple[str, ...], ...]:
    """Return a way between two cubes of the query, whole or in pairs; of a view, none."""
    names = (*asked.measures, *asked.dimensions, *(item.member for item in asked.times))
    cubes = list(dict.fromkeys(world.places[name].cube for name in names))
    if len(cubes) < 2 or any("." in name for name in cubes):
        return ()
    if any(len(world.places[name].path) > 1 for name in names):
        return ()
    joins = {
        cube.name: {join.target: join for join in cube.joins if not join.base}
        for cube in world.cubes
    }
    ways = [
        way
        for source in cubes
        for target in cubes
        if source != target
        for way in simple_paths(joins, source, target)
    ]
    if not ways:
        return ()
    way = random.choice(ways)
    return (way,) if random.random() < 0.5 else tuple(pairwise(way))


def _customise(random: Random, pool: Pool, asked: Asked, item: Timed) -> Timed:
    """Cut by a granularity of the model in place of a built-in one, where nothing is ordered by it."""
    found = pool[item.member].item
    assert isinstance(found, Dimension)
    ordered = any(name.startswith(item.member) for name, _ in asked.order or ())
    if item.granularity is None or not found.granularities or ordered or random.random() < 0.4:
        return item
    return dataclasses.replace(item, granularity=random.choice(found.granularities).name)


def _coarse(random: Random, dimensions: list[str]) -> list[str]:
    """Return, mostly, the dimensions whose groups hold several rows."""
    if random.random() < 0.3:
        return dimensions
    few = ("kind", "flag", "label", "d0", "d1", "band", "turn", "turned")
    return [name for name in dimensions if name.endswith(few)] or dimensions


def _suit_stages(random: Random, pool: Pool, asked: Asked) -> Asked:
    """Ask what staged measures are about: their groups, and one time with few periods."""
    times = asked.times
    dimensions = list(asked.dimensions)
    named = chain(asked.measures, *map(members_in, asked.filters))
    for name in named:
        item = pool[name].item
        if not isinstance(item, Measure):
            continue
        if (
            item.spined
            or item.window is not None
            or (item.stage is not None and item.stage.shift is not None)
        ):
            found = [timed.member for timed in times] or [_time_of(random, pool, pool[name])]
            timed = _make_time(random, found[0], LONG)
            times = (timed,) if timed.granularity is not None else ()
        if isinstance(item.sql, Switch) and random.random() < 0.8:
            by = f"{item.sql.by.cube}.{item.sql.by.name}"
            dimensions += [by] if by in pool else []
        if item.stage is not None and random.random() < 0.7:
            listed = (*(item.stage.group_by or ()), *item.stage.reduce_by, *item.stage.excludes)
            listed += item.stage.keeps or ()
            path = {f"{place.cube}.{place.item.name}": other for other, place in pool.items()}
            dimensions += [path[other] for other in listed if other in path]
    return dataclasses.replace(asked, times=times, dimensions=tuple(dict.fromkeys(dimensions)))


def _time_of(random: Random, pool: Pool, place: Place) -> str:
    """Return a time dimension, mostly of the measure's own cube."""
    times = [
        (name, other.cube)
        for name, other in pool.items()
        if isinstance(other.item, Dimension) and other.item.type == "time"
    ]
    own = [name for name, cube in times if cube == place.cube]
    return random.choice(own if own and random.random() < 0.8 else [name for name, _ in times])


def _plain(place: Place) -> bool:
    assert isinstance(place.item, Measure)
    return place.item.type in {"count", "sum", "avg", "min", "max", "count_distinct"}


def _type(place: Place) -> DimensionType:
    assert isinstance(place.item, Dimension)
    return place.item.type


def _sample(random: Random, names: list[str], weights: tuple[int, ...]) -> tuple[str, ...]:
    count = random.choices(range(len(weights)), weights)[0]
    return tuple(random.sample(names, min(count, len(names))))


def _make_time(random: Random, name: str, units: Sequence[str] = GRANULARITIES) -> Timed:
    granularity = random.choice(units) if random.random() < 0.75 else None
    if granularity is not None and random.random() < 0.5:
        return Timed(name, granularity)
    return Timed(name, granularity, _make_range(random))


def _make_range(random: Random) -> tuple[str, str]:
    if random.random() < 0.5:
        return "2023-12-31", "2024-03-31"
    first, second = sorted([make_day(random).isoformat(), make_day(random).isoformat()])
    if random.random() < 0.2:
        start, end = sorted([make_moment(random), make_moment(random)])
        return start.isoformat(), end.isoformat(timespec="milliseconds")
    return first, second


def _make_filters(
    random: Random, pool: Pool, dimensions: list[str], measures: list[str]
) -> tuple[Filter, ...]:
    found: list[Filter] = []
    for _ in range(random.choices((0, 1, 2, 3), (10, 7, 2, 1))[0]):
        found.append(_nest(random, pool, dimensions, 2))  # noqa: PERF401 -- each is drawn anew
    usable = [name for name in measures if _comparable(pool[name])]
    if usable and random.random() < 0.15:
        found.append(_nest(random, pool, usable, 1))
    random.shuffle(found)
    return tuple(found)


def _comparable(place: Place) -> bool:
    assert isinstance(place.item, Measure)
    return place.item.values != "string" or place.item.type == "string"


def _nest(random: Random, pool: Pool, names: list[str], depth: int) -> Filter:
    if depth and random.random() < 0.3:
        parts = tuple(_nest(random, pool, names, depth - 1) for _ in range(random.randrange(1, 4)))
        return Nested(random.choice(("and", "or", "or")), parts)
    name = random.choice(names)
    place = pool[name]
    if isinstance(place.item, Dimension):
        return make_filter(random, name, place.item.type)
    assert isinstance(place.item, Measure)
    return make_filter(random, name, place.item.values)


def make_filter(random: Random, name: str, type_: DimensionType) -> Compares:
    """Return a comparison that suits the type."""
    if random.random() < 0.12:
        return Compares(name, random.choice(("set", "notSet")))
    match type_:
        case "string":
            if random.random() < 0.15:
                return Compares(name, random.choice(_SIGNS), (random.choice(("a", "b", "y")),))
            return Compares(
                name,
                random.choice(_EQUALS + _TEXTS),
                _values(random, ["a", "b", *LABELS, *KINDS, "none", "%", "_", "low"]),
            )
        case "switch":
            return Compares(
                name,
                random.choice(("equals", "equals", "notEquals")),
                _values(random, ["p", "q", "z"]),
            )
        case "number":
            numbers = ["-1", "0", "1", "2", "3", "0.25", "1.25", "5", "2.0"]
            if random.random() < 0.5:
                return Compares(name, random.choice(_SIGNS), (random.choice(numbers),))
            return Compares(name, random.choice(_EQUALS), _values(random, [*numbers, None]))
        case "boolean":
            return Compares(
                name,
                random.choice(("equals", "notEquals")),
                _values(random, ["true", "false", None]),
            )
        case "time":
            return _make_date(random, name)


def _make_date(random: Random, name: str) -> Compares:
    day = make_day(random).isoformat()
    match random.randrange(4):
        case 0:
            return Compares(name, random.choice(_SIGNS), (day,))
        case 1:
            values = (random.choice((day, make_moment(random).isoformat(), None)),)
            return Compares(name, random.choice(_EQUALS), values)
        case _:
            operator = random.choice(_DATES)
            if operator in {"inDateRange", "notInDateRange"}:
                return Compares(name, operator, _make_range(random))
            return Compares(name, operator, (day,))


def _values(random: Random, every: list[str | None]) -> tuple[str | None, ...]:
    every = list(dict.fromkeys(every))
    return tuple(random.sample(every, random.choices((1, 2, 3), (5, 2, 1))[0]))


def _with_order(random: Random, asked: Asked) -> Asked:
    columns = [*asked.measures, *asked.dimensions]
    columns += [
        random.choice((item.member, f"{item.member}.{item.granularity}"))
        for item in asked.times
        if item.granularity is not None
    ]
    order: tuple[tuple[str, bool], ...] | None = None
    if columns and random.random() < 0.5:
        chosen = _sample(random, list(dict.fromkeys(columns)), (1, 3, 2, 1))
        order = tuple((name, random.random() < 0.5) for name in chosen)
    limit = random.choice((0, 1, 2, 2, 3, 3, 5, 5)) if random.random() < 0.25 else None
    offset = random.choice((1, 2)) if random.random() < 0.12 else 0
    return Asked(
        asked.measures, asked.dimensions, asked.times, asked.filters, asked.segments, order,
        limit, offset, asked.timezone, asked.ungrouped,
    )  # fmt: skip
