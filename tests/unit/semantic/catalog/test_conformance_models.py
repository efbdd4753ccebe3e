"""Every model of the conformance cases loads, in the dialect of each engine that runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from semantic.catalog.load import load_catalog_from_text

CASES = Path(__file__).parents[3] / "conformance" / "cube"
SETS = sorted(CASES.rglob("*.json"))


def test_the_sets_are_there() -> None:
    assert len(SETS) > 40


@pytest.mark.parametrize("path", SETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_real_model_loads_for_both_engines(path: Path) -> None:
    case = json.loads(path.read_text())
    for dialect, model in (
        ("postgres", case["model"]),
        ("duckdb", case.get("model_duckdb", case["model"])),
    ):
        catalog = load_catalog_from_text({"model.yml": model}, dialect=dialect)
        assert catalog.cubes
