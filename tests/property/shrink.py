"""Makes a failing case small: drops parts, one after the other, as long as it still fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from semantic.errors import DucatError
from tests.conformance.cases import EngineName
from tests.property.ask import Outcome, judge, open_world
from tests.property.expressions import Column, Expression, Member, walk
from tests.property.members import expressions_of
from tests.property.model import Cube, Table, World, items_of
from tests.property.queries import Asked, Compares, Filter, Nested, members_in

Case = tuple[World, Asked]
T = TypeVar("T")
_MOST_TRIES = 400


def shrink(world: World, asked: Asked, like: Outcome, engine: EngineName = "duckdb") -> Case:
    """Return a case as small as could be found that fails in the same way."""
    case = (world, asked)
    tries = 0
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case):
            tries += 1
            if tries > _MOST_TRIES:
                return case
            if fails_alike(smaller, like, engine):
                case = smaller
                progress = True
                break
    return case


def fails_alike(case: Case, like: Outcome, engine: EngineName) -> bool:
    """Whether the case fails, and with the same code."""
    world, asked = case
    if not _is_whole(world, asked):
        return False
    try:
        with open_world(world, engine) as session:
            found = judge(session, asked)
    except DucatError:
        return False
    return found.verdict == like.verdict and found.code == like.code


def _smaller(case: Case) -> Iterator[Case]:
    """Yield cases with one part less, the largest parts first."""
    world, asked = case
    for query in _smaller_queries(asked):
        if query.meaningful:
            yield world, query
    for index in range(len(world.views)):
        yield dataclasses.replace(world, views=_without(world.views, index)), asked
    for index, cube in enumerate(world.cubes):
        kept = tuple(
            dataclasses.replace(
                other,
                joins=tuple(
                    join for join in other.joins if cube.name not in {join.target, join.base}
                ),
            )
            for other in _without(world.cubes, index)
        )
        yield dataclasses.replace(world, cubes=kept), asked
    for index, cube in enumerate(world.cubes):
        for less in _smaller_cubes(cube):
            cubes = (*world.cubes[:index], less, *world.cubes[index + 1 :])
            yield dataclasses.replace(world, cubes=cubes), asked
    used = {cube.table for cube in world.cubes}
    for index, table in enumerate(world.tables):
        if table.name not in used:
            yield dataclasses.replace(world, tables=_without(world.tables, index)), asked
        for smaller in _smaller_tables(table):
            tables = (*world.tables[:index], smaller, *world.tables[index + 1 :])
            yield dataclasses.replace(world, tables=tables), asked


def _without(items: tuple[T, ...], index: int) -> tuple[T, ...]:
    return (*items[:index], *items[index + 1 :])


def _smaller_queries(asked: Asked) -> Iterator[Asked]:
    replace = dataclasses.replace
    yield from (
        less
        for less in (
            replace(asked, limit=None),
            replace(asked, offset=0),
            replace(asked, order=()),
            replace(asked, timezone="UTC"),
            replace(asked, total=False),
            replace(asked, hints=()),
            replace(asked, pages=None),
            replace(asked, shifted=()),
            replace(asked, compared=None),
        )
        if less != asked
    )
    yield from _smaller_conditions(asked)
    for index in range(len(asked.times)):
        yield replace(asked, times=_without(asked.times, index), order=_safe_order(asked))
        if asked.times[index].range is not None and asked.times[index].granularity is not None:
            plain = replace(asked.times[index], range=None)
            kept_times = (*asked.times[:index], plain, *asked.times[index + 1 :])
            yield replace(asked, times=kept_times)
    for index in range(len(asked.dimensions)):
        kept_names = _without(asked.dimensions, index)
        yield replace(asked, dimensions=kept_names, order=_safe_order(asked))
    for index in range(len(asked.measures)):
        kept_names = _without(asked.measures, index)
        made = (item for item in asked.shifted if item.measure in kept_names)
        yield replace(asked, measures=kept_names, order=_safe_order(asked), shifted=tuple(made))


def _smaller_conditions(asked: Asked) -> Iterator[Asked]:
    replace = dataclasses.replace
    for index in range(len(asked.filters)):
        yield replace(asked, filters=_without(asked.filters, index))
        for part in _smaller_filters(asked.filters[index]):
            kept = (*asked.filters[:index], part, *asked.filters[index + 1 :])
            yield replace(asked, filters=kept)
    for index in range(len(asked.segments)):
        yield replace(asked, segments=_without(asked.segments, index))


def _safe_order(asked: Asked) -> tuple[tuple[str, bool], ...] | None:
    return () if asked.order else asked.order


def _smaller_filters(item: Filter) -> Iterator[Filter]:
    match item:
        case Nested():
            yield from item.parts
            if len(item.parts) > 1:
                for index in range(len(item.parts)):
                    yield Nested(item.word, _without(item.parts, index))
        case Compares():
            if len(item.values) > 1 and "Range" not in item.operator:
                for index in range(len(item.values)):
                    yield dataclasses.replace(item, values=_without(item.values, index))


def _smaller_cubes(cube: Cube) -> Iterator[Cube]:
    replace = dataclasses.replace
    if cube.where is not None:
        yield replace(cube, where=None)
    for index, policy in enumerate(cube.policies):
        yield replace(cube, policies=_without(cube.policies, index))
        for number in range(len(policy.masked)):
            less = replace(policy, masked=_without(policy.masked, number))
            found = (*cube.policies[:index], less, *cube.policies[index + 1 :])
            yield replace(cube, policies=found)
    if len(cube.measures) > 1:
        yield replace(cube, measures=())
    plain = tuple(item for item in cube.dimensions if item.primary_key)
    if len(plain) < len(cube.dimensions) - 1:
        yield replace(cube, dimensions=plain)
    for index in range(len(cube.joins)):
        yield replace(cube, joins=_without(cube.joins, index))
    yield from _smaller_members(cube)


def _smaller_members(cube: Cube) -> Iterator[Cube]:
    replace = dataclasses.replace
    for index in range(len(cube.measures)):
        yield replace(cube, measures=_without(cube.measures, index))
        measure = cube.measures[index]
        for number in range(len(measure.filters)):
            less = replace(measure, filters=_without(measure.filters, number))
            kept = (*cube.measures[:index], less, *cube.measures[index + 1 :])
            yield replace(cube, measures=kept)
        for plain in (
            replace(measure, fill=None),
            replace(measure, spined=False),
            replace(measure, semi=None),
        ):
            if plain != measure:
                kept = (*cube.measures[:index], plain, *cube.measures[index + 1 :])
                yield replace(cube, measures=kept)
    for index in range(len(cube.segments)):
        yield replace(cube, segments=_without(cube.segments, index))
    for index in range(len(cube.dimensions)):
        if not cube.dimensions[index].primary_key:
            yield replace(cube, dimensions=_without(cube.dimensions, index))


def _smaller_tables(table: Table) -> Iterator[Table]:
    for index in range(len(table.rows)):
        yield dataclasses.replace(table, rows=_without(table.rows, index))


def _is_whole(world: World, asked: Asked) -> bool:
    """Whether everything that the query and the cubes name is there."""
    if not world.cubes or not all(cube.dimensions or cube.measures for cube in world.cubes):
        return False
    names = set(world.cube)
    for view in world.views:
        for part in view.parts:
            if not set(part.path) <= names:
                return False
    known = world.places
    named = [*asked.measures, *asked.dimensions, *asked.segments]
    named += [item.member for item in asked.times]
    for condition in asked.filters:
        named += members_in(condition)
    policies = (policy for cube in world.cubes for policy in cube.policies)
    for row_filter in chain.from_iterable(policy.filters for policy in policies):
        named += members_in(row_filter)
    named += [
        f"{cube.name}.{name}"
        for cube in world.cubes
        for policy in cube.policies
        for name in policy.masked
    ]
    if not all(name in known for name in named):
        return False
    return all(
        _is_known(part, world)
        for cube in world.cubes
        for expression in (
            *(join.on for join in cube.joins),
            *(found for item in items_of(cube) for found in expressions_of(item)),
        )
        for part in walk(expression)
    )


def _is_known(part: Expression, world: World) -> bool:
    match part:
        case Column():
            return part.cube in world.cube
        case Member():
            return f"{part.cube}.{part.name}" in world.places
        case _:
            return True
