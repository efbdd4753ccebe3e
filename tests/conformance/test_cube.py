"""Cube's own planner cases give Cube's rows on both databases, but for what gaps.yml declares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.cases import CUBE, ENGINES, Case, CaseSet, EngineName, read_gaps, read_sets
from tests.conformance.engines import Engines

SETS = list(read_sets(CUBE))
GAPS = read_gaps()
CASES = [
    pytest.param(engine, found, case, id=f"{engine}-{case.name}")
    for found in SETS
    for engine in ENGINES
    for case in found.cases
    if case.is_checkable
]


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    opened = Engines()
    yield opened
    opened.close()


@pytest.mark.parametrize(("engine", "found", "case"), CASES)
def test_a_case_gives_cubes_rows(
    engine: EngineName, found: CaseSet, case: Case, engines: Engines
) -> None:
    verdict = engines.open(found, engine).check(case)
    gap = find_gap(engine, found, case)
    if gap is None:
        assert verdict.failure is None, f"{verdict.failure}\n{verdict.sql}"
    else:
        assert verdict.failure is not None, f"passes, and is listed as a gap: {gap}"


def find_gap(engine: EngineName, found: CaseSet, case: Case) -> str | None:
    """Return why a case is known to differ on a database; None when it must pass."""
    names = (case.name, found.name, f"{case.name} [{engine}]", f"{found.name} [{engine}]")
    return next((GAPS[name] for name in names if name in GAPS), None)


def test_every_declared_gap_is_a_case() -> None:
    """A gap that names no case is a misspelling that hides nothing."""
    known = {found.name for found in SETS} | {case.name for found in SETS for case in found.cases}
    assert {name.partition(" [")[0] for name in GAPS} <= known


def test_only_what_serves_a_query_is_left_out() -> None:
    """The cases that are not run say nothing of rows: they say which pre-aggregation serves them."""
    for found in SETS:
        for case in found.cases:
            assert case.is_checkable or "used_pre_aggregations" in case.document
