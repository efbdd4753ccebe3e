"""Cube's own planner cases give Cube's rows here, but for the gaps that gaps.yml declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from semantic.errors import (
    AmbiguousJoinPathError,
    DucatError,
    ModelError,
    UnsafeAggregationError,
    UnsupportedError,
)
from semantic.query.context import SecurityContext
from semantic.service import SemanticLayer
from tests.conformance.cases import (
    CaseSet,
    answer_rows,
    read_gaps,
    read_query,
    read_sets,
    same_rows,
)
from tests.golden.queries.layer import open_layer

SETS = list(read_sets())
GAPS = read_gaps()
NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)
CASES = [
    pytest.param(found, case, id=f"{found.name}/{case['name']}")
    for found in SETS
    for case in found.cases
]


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SemanticLayer]]:
    """The layers of the sets, opened when first asked for, by the set's name."""
    opened: dict[str, SemanticLayer] = {}
    yield opened
    for layer in opened.values():
        layer.close()


def open_set(
    layers: dict[str, SemanticLayer], found: CaseSet, factory: pytest.TempPathFactory
) -> SemanticLayer:
    if found.name not in layers:
        folder = factory.mktemp(found.name.replace("/", "-"))
        layers[found.name] = open_layer(folder, found.model, found.seed)
    return layers[found.name]


@pytest.mark.parametrize(("found", "case"), CASES)
def test_case_gives_cubes_rows(
    found: CaseSet,
    case: Mapping[str, Any],
    layers: dict[str, SemanticLayer],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    gap = GAPS.get(f"{found.name}/{case['name']}") or GAPS.get(found.name)
    if gap is not None:
        # A gap refuses. When it answers, it is no gap any more, or it answers wrongly.
        with pytest.raises(
            (UnsupportedError, ModelError, AmbiguousJoinPathError, UnsafeAggregationError)
        ):
            answer(open_set(layers, found, tmp_path_factory), case)
        return
    layer = open_set(layers, found, tmp_path_factory)
    if "error" in case:
        with pytest.raises(DucatError):
            answer(layer, case)
        return
    actual = answer(layer, case)
    assert same_rows(actual, case["rows"], ordered=case["ordered"]), (
        f"expected {case['rows']}\n     got {actual}\n{case.get('note', '')}"
    )


def answer(layer: SemanticLayer, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    return answer_rows(layer.load(read_query(case), SecurityContext(), now=NOW))


def test_every_declared_gap_is_a_case() -> None:
    """A gap that names no case is a misspelling that hides nothing."""
    known = {found.name for found in SETS}
    known |= {f"{found.name}/{case['name']}" for found in SETS for case in found.cases}
    assert set(GAPS) <= known
