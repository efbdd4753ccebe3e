"""What loading leaves out to be fast is never seen: which files are read, and which keys are taken."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from semantic.catalog import load
from semantic.catalog.load import ModelLoader
from semantic.spec.cube import CubeSpec
from semantic.spec.document import read_document
from semantic.spec.read_cube import read_cube

MODEL = """
cubes:
  - name: a
    sql_table: t
    dimensions: [{{name: id, type: number, sql: column_{number:03}, primary_key: true}}]
"""


def read_column(loader: ModelLoader) -> object:
    found = loader.load().cubes["a"].dimensions["id"].sql
    return getattr(found, "parts", (None,))[-1]


def test_files_that_change_many_times_in_a_moment_are_read_each_time(tmp_path: Path) -> None:
    path, loader = tmp_path / "a.yml", ModelLoader(tmp_path)
    for number in range(100):
        path.write_text(MODEL.format(number=number))  # of the same size each time
        assert read_column(loader) == f".column_{number:03}"


def test_a_settled_file_is_read_when_it_changes_though_size_and_time_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_SETTLED_NS", -(10**15))
    path, loader = tmp_path / "a.yml", ModelLoader(tmp_path)
    path.write_text(MODEL.format(number=1))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert read_column(loader) == ".column_001"
    time.sleep(0.1)  # file systems tell times by the ticks of the kernel
    path.write_text(MODEL.format(number=2))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert read_column(loader) == ".column_002"
    time.sleep(0.1)
    other = tmp_path / "other"
    other.write_text(MODEL.format(number=3))
    other.replace(path)
    assert read_column(loader) == ".column_003"


def test_a_settled_file_that_is_gone_or_unreadable_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_SETTLED_NS", -(10**15))
    first, second = tmp_path / "a.yml", tmp_path / "b.yml"
    first.write_text(MODEL.format(number=1))
    second.write_text(MODEL.format(number=1).replace("name: a", "name: b"))
    loader = ModelLoader(tmp_path)
    assert set(loader.load().cubes) == {"a", "b"}
    second.unlink()
    assert set(loader.load().cubes) == {"a"}


DIMENSIONS = (
    "name: d, type: string, sql: city",
    "name: d, type: number, sql: 1, title: A, description: 'no'",
    "name: d, type: time, sql: '{CUBE}.at', primary_key: true",
    "name: d, type: boolean, sql: yes, primary_key: false, title: '5'",
    "name: d, type: number, sql: true",
    "name: d, primaryKey: true, type: string, sql: city",
    "name: d, type: string, sql: a, title: null",
    "name: d, type: number, sql: a, primary_key: null",
)
ODD = (
    "name: d, type: string",
    "name: d, sql: city",
    "name: d, type: text, sql: city",
    "name: d, type: string, sql: ''",
    "name: d, type: string, sql: ' '",
    "name: d, type: string, sql: null",
    "name: d, type: string, sql: [a]",
    "name: d, type: [string], sql: a",
    "name: d, type: string, sql: a, title: 5",
    "name: d, type: string, sql: a, description: true",
    "name: d, type: string, sql: a, description: {a: b}",
    "name: d, type: number, sql: a, primary_key: 1",
    "name: d, type: number, sql: a, primary_key: 'true'",
    "name: d, type: number, sql: a, primaryKey: true, primary_key: true",
    "name: 5, type: number, sql: a",
    "type: number, sql: a",
)


def read(dimension: str) -> tuple[CubeSpec | None, list[tuple[str, str]]]:
    text = f"cubes: [{{name: a, sql_table: t, dimensions: [{{{dimension}}}]}}]"
    document = read_document(text, "a.yml")
    problems = list(document.problems)
    cube = read_cube(document.cubes[0][1], problems)
    return cube, [(problem.code, problem.message) for problem in problems]


@pytest.mark.parametrize("written", [*DIMENSIONS, *ODD])
def test_a_dimension_of_few_keys_reads_as_with_another_key_at_its_default(written: str) -> None:
    short, wrong = read(written)
    long, same = read(f"{written}, suggest_filter_values: true")
    assert wrong == same
    assert short is not None
    assert long is not None
    assert repr(short.dimensions) == repr(long.dimensions)
    assert bool(wrong) == (written in ODD)
