"""Random models, queries and values: a kept plan is what planning anew gives."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from semantic.catalog.load import load_catalog_from_text
from semantic.compile.dialect import DUCKDB, POSTGRES, Dialect
from semantic.plan.statistics import UNKNOWN, ColumnStatistics, Statistics, TableStatistics
from semantic.query.from_json import parse_json
from semantic.query.query import Query
from tests.bench.planning import load_model, read_queries, renew_values
from tests.property.cases import PER_WORLD, make_case_query, make_case_world
from tests.property.make_schema import NAMES
from tests.property.model_text import write_model
from tests.property.queries import write_query
from tests.unit.semantic.compile.plans.change import RELATIVE, change_values
from tests.unit.semantic.compile.plans.compare import ANYBODY, Pair, watch_plannings

COLUMNS = {"seen": "TIMESTAMP", "born": "DATE", "kind": "VARCHAR", "flag": "BOOLEAN"}
LARGE = Statistics(
    {
        f"t_{name}": TableStatistics(
            1_000_000, {column: ColumnStatistics(kind, 100) for column, kind in COLUMNS.items()}
        )
        for name in NAMES
    },
    eager=True,
)
MIDNIGHT = datetime(2024, 3, 10, 4, 59, 59, tzinfo=UTC)  # of New York, on a day of 23 hours


def _nows(random: Random) -> datetime:
    return MIDNIGHT + timedelta(seconds=random.choice((0, 1, 2, 86_400, 20_000_000)))


def _vary(random: Random, query: Query) -> Query:
    """Sometimes ask for a relative range and for the total, which the generator does not make."""
    times = tuple(
        dataclasses.replace(item, date_range=random.choice(RELATIVE))
        if item.date_range is not None and random.random() < 0.3
        else item
        for item in query.time_dimensions
    )
    return dataclasses.replace(query, time_dimensions=times, total=random.random() < 0.2)


@pytest.mark.parametrize("dialect", [DUCKDB, POSTGRES], ids=["duckdb", "postgres"])
def test_kept_plans_of_random_queries_are_those_made_anew(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of every kind, also wrong ones, at several times; and most take no planning."""
    plannings = watch_plannings(monkeypatch)
    answered = asked = 0
    for world_number in range(25):
        first = world_number * PER_WORLD
        world = make_case_world(first)
        pair = Pair(
            load_catalog_from_text({"m.yml": write_model(world)}, dialect=dialect.name),
            dialect,
            statistics=LARGE if world_number % 2 and dialect is DUCKDB else UNKNOWN,
        )
        for number in range(first, first + 8):
            random = Random(f"{number}/{dialect.name}")
            query = _vary(random, parse_json(write_query(make_case_query(number, world))))
            pair.check(query, _nows(random))
            for _ in range(6):
                asked += 1
                answered += pair.check(change_values(random, query), _nows(random))
    assert answered > 500
    # Each answer was planned anew twice; were none kept, twice more.
    assert len(plannings) < 3 * asked


def test_the_benchmark_s_queries_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """All twelve take new values without planning."""
    pair = Pair(load_model(10))
    queries = [parse_json(document) for document in read_queries().values()]
    random = Random(1)
    changed = [renew_values(random, query) for query in queries for _ in range(10)]
    expected = [pair.anew.compile(query, ANYBODY, MIDNIGHT) for query in changed]
    for query in queries:
        pair.kept.compile(query, ANYBODY, MIDNIGHT)

    plannings = watch_plannings(monkeypatch)
    found = [pair.kept.compile(query, ANYBODY, MIDNIGHT) for query in changed]
    assert found == expected
    assert len({item.values for item in found}) > 40
    assert not plannings
