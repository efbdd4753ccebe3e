"""Our own cases: the rows are what hand-written SQL gives, and both engines give these rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import psycopg
import pytest

from tests.conformance.cases import (
    ENGINES,
    OWN,
    Case,
    CaseSet,
    EngineName,
    Row,
    read_sets,
    same_rows,
)
from tests.conformance.engines import Engines
from tests.conformance.server import start_postgres

SETS = list(read_sets(OWN))
CASES = [
    pytest.param(engine, found, case, id=f"{engine}-{case.name}")
    for found in SETS
    for engine in ENGINES
    for case in found.cases
]


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    opened = Engines()
    yield opened
    opened.close()


@pytest.mark.parametrize(("engine", "found", "case"), CASES)
def test_a_case_gives_the_rows_of_its_sql(
    engine: EngineName, found: CaseSet, case: Case, engines: Engines
) -> None:
    verdict = engines.open(found, engine).check(case)
    assert verdict.failure is None, f"{verdict.failure}\n{verdict.sql}"


@pytest.mark.parametrize("found", [pytest.param(found, id=found.name) for found in SETS])
def test_the_rows_of_a_case_are_what_its_sql_gives_in_duckdb(found: CaseSet) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(found.seed("duckdb"))
        for case in found.cases:
            answer = connection.execute(case.document["sql"])
            names = [item[0] for item in answer.description or ()]
            check_rows(case, [make_row(names, row) for row in answer.fetchall()])


@pytest.mark.parametrize("found", [pytest.param(found, id=found.name) for found in SETS])
def test_the_rows_of_a_case_are_what_its_sql_gives_in_postgresql(found: CaseSet) -> None:
    with psycopg.connect(start_postgres()) as connection:  # rolled back: nothing stays there
        connection.execute("CREATE SCHEMA own_cases")
        connection.execute("SET LOCAL search_path = own_cases")
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        connection.execute(found.seed("postgres").encode())
        for case in found.cases:
            answer = connection.execute(case.document["sql"].encode())
            names = [item.name for item in answer.description or ()]
            check_rows(case, [make_row(names, row) for row in answer.fetchall()])
        connection.rollback()


def make_row(names: list[str], values: tuple[Any, ...]) -> Row:
    return dict(zip(names, values, strict=True))


def check_rows(case: Case, rows: list[Row]) -> None:
    expected = case.document["rows"]
    assert same_rows(rows, expected, ordered=case.document["ordered"]), f"{case.name}: {rows}"
