"""Random questions about semi-additive, filled and conversion measures: answers are those of rule 9."""

from __future__ import annotations

import math
import random
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from semantic.catalog.load import ModelLoader
from semantic.engine.postgres import PostgresEngine
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.conformance.cases import EngineName
from tests.conformance.engines import make_database
from tests.golden.queries.layer import open_layer, write_project
from tests.property.kinds import Question, Tables, answer
from tests.property.kinds_cases import (
    make_measures,
    make_question,
    make_tables,
    write_model,
    write_query,
    write_seed,
)

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
WORLDS: dict[EngineName, int] = {"duckdb": 30, "postgres": 6}
QUESTIONS = 12


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_answers_are_those_of_loops_over_rows(engine: EngineName, tmp_path: Path) -> None:
    for number in range(WORLDS[engine]):
        rng = random.Random(number)
        tables, measures = make_tables(rng), make_measures(rng)
        model = write_model(measures)
        with ExitStack() as stack:
            layer = open_world(tmp_path / str(number), model, write_seed(tables), engine)
            stack.callback(layer.close)
            for _ in range(QUESTIONS):
                check(layer, tables, make_question(rng, measures), number)


def open_world(folder: Path, model: str, seed: str, engine: EngineName) -> SemanticLayer:
    folder.mkdir()
    if engine == "duckdb":
        return open_layer(folder, model, seed)
    loader = ModelLoader(write_project(folder, model).model, dialect="postgres")
    address = make_database(f"CREATE SCHEMA gold; {seed}")
    return SemanticLayer(loader, PostgresEngine(address, timeout_seconds=60, connections=1))


def check(layer: SemanticLayer, tables: Tables, asked: Question, number: int) -> None:
    query = parse_json(write_query(asked))
    found = layer.load(query, SecurityContext(), now=NOW).table.to_pylist()
    keys = len(asked.dimensions) + len(asked.granularities)
    rows = [tuple(map(plain, row.values())) for row in found]
    actual = {row[:keys]: row[keys:] for row in rows}
    expected = {
        tuple(map(plain, group)): tuple(map(plain, values))
        for group, values in answer(tables, asked).items()
    }
    shown = f"world {number}: {asked}\nexpected {expected}\n     got {actual}"
    assert len(actual) == len(rows), shown
    assert actual.keys() == expected.keys(), shown
    for group, values in expected.items():
        assert all(map(same, actual[group], values)), f"{group} in {shown}"


def plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=None)
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001
        case None | str() | bool():
            return value
        case _:
            return float(value)


def same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
