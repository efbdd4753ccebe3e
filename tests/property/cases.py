"""The cases by number: the same number is always the same world and query."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from tests.conformance.cases import EngineName
from tests.property.ask import Outcome, Session, judge, open_world
from tests.property.make_model import make_world
from tests.property.make_query import make_query
from tests.property.model import World
from tests.property.queries import Asked

SEED: Final = "1"
PER_WORLD: Final = 20


def make_case_world(number: int, seed: str = SEED) -> World:
    """Return the world of a case."""
    return make_world(Random(f"{seed}/{number // PER_WORLD}"))


def make_case_query(number: int, world: World, seed: str = SEED) -> Asked:
    """Return the query of a case."""
    return make_query(Random(f"{seed}/{number}/query"), world)


def open_cases(
    first: int, count: int, seed: str = SEED, engine: EngineName = "duckdb"
) -> Iterator[tuple[int, Session, Asked]]:
    """Yield each case with a session on its world, which is open until the next one."""
    for start in range(first, first + count, PER_WORLD):
        world = make_case_world(start, seed)
        with open_world(world, engine) as session:
            for number in range(start, min(start + PER_WORLD, first + count)):
                yield number, session, make_case_query(number, world, seed)


def judge_cases(
    first: int, count: int, seed: str = SEED, engine: EngineName = "duckdb"
) -> Iterator[tuple[int, World, Asked, Outcome]]:
    """Yield what came of each case."""
    for number, session, asked in open_cases(first, count, seed, engine):
        yield number, session.world, asked, judge(session, asked)
