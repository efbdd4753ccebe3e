"""What is kept, how much of it, and by how many at once."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from semantic.compile.plan_cache import PlanCache
from semantic.query.from_json import parse_json
from semantic.query.query import MemberFilter, Query
from semantic.service import SemanticLayer
from tests.bench.planning import load_model, read_queries, renew_values
from tests.golden.queries.layer import open_layer
from tests.unit.semantic.compile.plans.compare import ANYBODY, Pair, watch_plannings

NOW = datetime(2024, 6, 15, tzinfo=UTC)
MODEL = """
cubes:
  - name: people
    sql_table: gold.people
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: name, type: string, sql: name}
    measures: [{name: count, type: count}]
"""
SEED = "CREATE TABLE gold.people AS SELECT i AS id, 'n' || i AS name FROM range(100) t(i)"


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    opened = open_layer(tmp_path_factory.mktemp("plans"), MODEL, SEED)
    yield opened
    opened.close()


def named(*names: str) -> Query:
    return parse_json(
        {
            "measures": ["people.count"],
            "filters": [{"member": "people.name", "operator": "equals", "values": list(names)}],
        }
    )


def test_answers_are_those_of_the_values_that_were_asked(layer: SemanticLayer) -> None:
    """And the answer names the query that was asked, not the one that was planned."""
    for names, count in ((("n1",), 1), (("n2",), 1), (("nobody",), 0), (("n1", "n2"), 2)):
        query = named(*names)
        result = layer.load(query, ANYBODY, now=NOW)
        assert result.table.to_pylist() == [{"people.count": count}]
        assert result.query == query


def test_equal_values_give_what_different_ones_do_not(layer: SemanticLayer) -> None:
    """Two values that are one, after two that were two, and the other way around."""
    for names, count in (
        (("n1", "n2"), 2),
        (("n1", "n1"), 1),
        (("n3", "n4"), 2),
        (("n5", "n5"), 1),
    ):
        result = layer.load(named(*names), ANYBODY, now=NOW)
        assert result.table.to_pylist() == [{"people.count": count}]


def test_a_limit_of_the_caller_is_that_of_the_request(layer: SemanticLayer) -> None:
    """The default limit, one of the caller, and an offset, of one shape or two."""
    query = parse_json({"dimensions": ["people.id"], "order": [["people.id", "asc"]]})
    for limit, offset, ids in (
        (3, 0, [0, 1, 2]),
        (2, 0, [0, 1]),
        (2, 5, [5, 6]),
        (3, 97, [97, 98, 99]),
    ):
        asked = dataclasses.replace(query, limit=limit, offset=offset)
        rows = layer.load(asked, ANYBODY, now=NOW).table.to_pylist()
        assert [row["people.id"] for row in rows] == ids
    assert layer.load(query, ANYBODY, now=NOW).table.num_rows == 100


def test_a_reload_forgets_the_plans_of_the_model_before(
    layer: SemanticLayer, tmp_path: Path
) -> None:
    """The same query is planned by the new model."""
    own = open_layer(tmp_path, MODEL, SEED)
    try:
        before = own.compile(named("n1"), ANYBODY, now=NOW)
        file = tmp_path / "semantic" / "model" / "model.yml"
        file.write_text(MODEL.replace("sql: name", "sql: lower(name)"), encoding="utf-8")
        assert own.reload()
        after = own.compile(named("n1"), ANYBODY, now=NOW)
    finally:
        own.close()
    assert before.sql == layer.compile(named("n1"), ANYBODY, now=NOW).sql
    assert "lower(" in after.sql


def test_explain_plans_anew(layer: SemanticLayer) -> None:
    """It shows the values that were asked, whatever was planned before."""
    layer.compile(named("n1"), ANYBODY, now=NOW)
    assert layer.explain(named("n2"), ANYBODY, now=NOW)["values"] == ["n2"]


def test_as_many_shapes_are_kept_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shapes that were not asked for the longest time make room."""
    pair = Pair(load_model(10), size=8)
    queries = [parse_json(document) for document in read_queries().values()]
    for _ in range(3):
        for query in queries:
            pair.kept.compile(queries[0], ANYBODY, NOW)
            pair.check(query, NOW)
            assert len(pair.kept) <= 8
    plannings = watch_plannings(monkeypatch)
    pair.kept.compile(queries[0], ANYBODY, NOW)
    assert not plannings


def test_without_a_size_nothing_is_kept() -> None:
    """Every query is planned."""
    pair = Pair(load_model(10), size=0)
    for document in read_queries().values():
        pair.kept.compile(parse_json(document), ANYBODY, NOW)
    assert len(pair.kept) == 0


@pytest.mark.parametrize("values", [tuple(map(str, range(5_000))), ("x" * 20_000,)])
def test_queries_of_very_many_or_long_values_are_not_kept(values: tuple[str, ...]) -> None:
    """They are answered all the same."""
    pair = Pair(load_model(10))
    base = parse_json(next(iter(read_queries().values())))
    filters = (MemberFilter("lineitem.l_shipmode", "equals", values),)
    assert pair.check(dataclasses.replace(base, filters=filters), NOW)
    assert len(pair.kept) == 0


def test_many_threads_get_what_one_gets() -> None:
    """While the cache is too small for all shapes and makes room all the time."""
    pair = Pair(load_model(10), size=6)
    random = Random(5)
    queries = [parse_json(document) for document in read_queries().values()]
    work = [renew_values(random, random.choice(queries)) for _ in range(300)]
    expected = [pair.anew.compile(query, ANYBODY, NOW) for query in work]
    found: list[bool] = []

    def run(cache: PlanCache, seed: int) -> None:
        order = list(range(len(work)))
        Random(seed).shuffle(order)
        found.extend(cache.compile(work[i], ANYBODY, NOW) == expected[i] for i in order)

    threads = [threading.Thread(target=run, args=(pair.kept, seed)) for seed in range(6)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(found) == 1800
    assert all(found)
