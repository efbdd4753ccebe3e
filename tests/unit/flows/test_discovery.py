"""Pipelines are found by path, and what is wrong with one is said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.discovery import load_pipelines
from flows.errors import PipelineError
from semantic.project import Project

PIPELINE = """
from flows.pipeline import Pipeline, Schedule
from .sources import SOURCES
PIPELINE = Pipeline("{name}", "Title", SOURCES, (), (), Schedule("0 * * * *"))
"""


def project(folder: Path, **files: str) -> Project:
    (folder / "semantic" / "model").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / "flows" / "pipelines" / name.replace("__", "/")
        path = path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Project.open(folder)


def test_each_folder_is_loaded_with_its_own_relative_imports(tmp_path: Path) -> None:
    found = load_pipelines(
        project(
            tmp_path,
            a__pipeline=PIPELINE.format(name="first"),
            a__sources="SOURCES = ()",
            b__pipeline=PIPELINE.format(name="second"),
            b__sources="SOURCES = ()",
        )
    )
    assert [pipeline.name for pipeline in found] == ["first", "second"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    load_pipelines(
        project(tmp_path, a__pipeline=PIPELINE.format(name="x"), a__sources="SOURCES = ()")
    )
    changed = project(
        tmp_path, a__pipeline=PIPELINE.format(name="another"), a__sources="SOURCES = ()"
    )
    assert [pipeline.name for pipeline in load_pipelines(changed)] == ["another"]


def test_a_project_without_pipelines_has_none(tmp_path: Path) -> None:
    assert load_pipelines(project(tmp_path)) == ()


def test_an_error_in_an_imported_file_names_that_file_and_line(tmp_path: Path) -> None:
    broken = project(
        tmp_path, a__pipeline=PIPELINE.format(name="x"), a__sources="x = 1\nSOURCES = x.nothing"
    )
    with pytest.raises(PipelineError, match=r"a/sources\.py:2: AttributeError"):
        load_pipelines(broken)


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"a/pipeline\.py:2: SyntaxError"):
        load_pipelines(project(tmp_path, a__pipeline="x = 1\ny = = 2"))


def test_leaving_the_process_is_caught(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"a/pipeline\.py:1: SystemExit"):
        load_pipelines(project(tmp_path, a__pipeline="raise SystemExit(3)"))


@pytest.mark.parametrize(("content", "kind"), [("x = 1", "missing"), ("PIPELINE = 3", "int")])
def test_a_file_that_assigns_no_pipeline_is_refused(
    tmp_path: Path, content: str, kind: str
) -> None:
    with pytest.raises(PipelineError, match=f"PIPELINE is {kind}"):
        load_pipelines(project(tmp_path, a__pipeline=content))


def test_two_pipelines_of_one_name_are_refused(tmp_path: Path) -> None:
    both = project(
        tmp_path,
        a__pipeline=PIPELINE.format(name="same"),
        a__sources="SOURCES = ()",
        b__pipeline=PIPELINE.format(name="same"),
        b__sources="SOURCES = ()",
    )
    with pytest.raises(PipelineError, match="the pipeline same is defined by"):
        load_pipelines(both)


def test_the_pipeline_of_this_project_makes_the_documented_tables_from_its_sources() -> None:
    (flights,) = load_pipelines(Project.open(Path(__file__).parents[3]))
    assert [transform.name for transform in flights.gold] == [
        "fct_flights",
        "fct_weather_hourly",
        "dim_airline",
        "dim_airport",
        "dim_plane",
        "dim_date",
    ]
    sources = {f"flights.{source.name}" for source in flights.sources}
    assert {name for transform in flights.silver for name in transform.inputs} == sources
