"""A rollup that says something else than the rows is found out, and read no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from semantic.rollups import FOLDER, read_rollups
from semantic.service import SemanticLayer
from semantic.shadow import are_equal
from tests.golden.queries.layer import publish, write_project
from tests.unit.semantic.rollups.build import build_rollups
from tests.unit.semantic.rollups.test_service import MODEL, SEED, ask, expect


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[SemanticLayer]:
    publish(tmp_path / "serving", SEED.format(rows=100))
    project = write_project(tmp_path, MODEL)
    found = SemanticLayer.open(project, serving=tmp_path / "serving", shadow=1.0)
    build_rollups(found, tmp_path / "serving")
    yield found
    found.close()


def test_answers_from_rollups_are_compared(layer: SemanticLayer) -> None:
    assert ask(layer) == (expect(100), True)
    layer.shadow.finish()
    assert dataclasses.astuple(layer.shadow.tally) == (1, 0, 0)
    assert ask(layer) == (expect(100), True)
    layer.shadow.finish()
    assert dataclasses.astuple(layer.shadow.tally) == (2, 0, 0)


def test_a_wrong_rollup_is_read_no_more(layer: SemanticLayer, tmp_path: Path) -> None:
    """Its file is changed as no builder would."""
    serving = tmp_path / "serving"
    build_rollups(layer, serving, run="b")
    [stored] = read_rollups(serving)
    with duckdb.connect(str(serving / FOLDER / stored.file)) as connection:
        connection.execute("UPDATE rollup SET _v0 = _v0 + 1 WHERE _k0 = 'Rome' AND _k1 = 'one'")
    before = layer.stamp()
    wrong, used = ask(layer)
    assert (wrong != expect(100), used) == (True, True)
    layer.shadow.finish()
    assert (layer.shadow.tally.compared, layer.shadow.tally.different) == (1, 1)
    assert layer.stamp() != before  # bytes that were kept say it no more
    assert ask(layer) == (expect(100), False)
    build_rollups(layer, serving, run="c")
    assert ask(layer) == (expect(100), True)


def test_no_share_compares_nothing(tmp_path: Path) -> None:
    publish(tmp_path / "serving", SEED.format(rows=10))
    with_none = SemanticLayer.open(write_project(tmp_path, MODEL), serving=tmp_path / "serving")
    build_rollups(with_none, tmp_path / "serving")
    assert ask(with_none)[1]
    with_none.shadow.finish()
    assert with_none.shadow.tally.compared == 0
    with_none.close()


def test_equal_is_to_nine_digits_and_in_any_order() -> None:
    one = pa.table({"a": [1, 2, None], "b": [0.1 + 0.2, 1e300, -0.0]})
    assert are_equal(one, pa.table({"a": [None, 2, 1], "b": [0.0, 1e300, 0.3]}))
    assert not are_equal(one, pa.table({"a": [None, 2, 1], "b": [0.0, 1e300, 0.300001]}))
    assert not are_equal(one, one.slice(1))
    assert not are_equal(pa.table({"a": ["1"]}), pa.table({"a": [1]}))
