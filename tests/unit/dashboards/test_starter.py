"""A first dashboard for any view agrees with the model, says the same each time, and overwrites nobody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dashboards.assets import read_assets, write_yaml
from dashboards.check import check_assets
from dashboards.cli import dashboards
from dashboards.errors import EditedAssetError
from dashboards.generate import generate_datasets
from dashboards.starter import generate_starter
from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import UnknownMemberError
from tests.unit.dashboards.conftest import ROOT

TIMELESS = """
cubes:
  - name: stock
    sql_table: shop.stock
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: place, type: string, sql: place}
      - {name: is_open, type: boolean, sql: is_open}
    measures:
      - {name: pieces, type: sum, sql: pieces}
      - {name: name_of_first, type: string, sql: "min(place)"}
  - name: wide
    sql_table: shop.wide
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: at, type: time, sql: at}
DIMENSIONS
    measures:
MEASURES
views:
  - {name: shelves, cubes: [{join_path: stock, includes: "*"}]}
  - {name: total, cubes: [{join_path: stock, includes: [pieces]}]}
  - {name: words, cubes: [{join_path: stock, includes: [place, name_of_first]}]}
  - {name: everything, cubes: [{join_path: wide, includes: "*"}]}
"""
DIMENSIONS = "\n".join(f"      - {{name: d{n}, type: string, sql: d{n}}}" for n in range(100))
MEASURES = "\n".join(f"      - {{name: m{n}, type: avg, sql: m{n}}}" for n in range(100))


@pytest.fixture(scope="module")
def other() -> Catalog:
    text = TIMELESS.replace("DIMENSIONS", DIMENSIONS).replace("MEASURES", MEASURES)
    return load_catalog_from_text({"other.yml": text})


def write(root: Path, made: dict[str, Any]) -> None:
    for name, content in made.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(write_yaml(content), encoding="utf-8")


def charts(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [content for name, content in made.items() if name.startswith("charts/")]


def check(catalog: Catalog, names: list[str], root: Path) -> None:
    """The files stand beside the datasets of their model and no others."""
    shutil.copytree(ROOT / "dashboards" / "assets" / "databases", root / "databases")
    shutil.copy(ROOT / "dashboards" / "assets" / "metadata.yaml", root)
    write(root, generate_datasets(catalog))
    for name in names:
        write(root, generate_starter(catalog, name))
    assert check_assets(read_assets(root), catalog) == ()


def test_the_dashboards_of_all_views_agree_with_the_model(
    catalog: Catalog, small: Catalog, other: Catalog, tmp_path: Path
) -> None:
    shipped = [view.name for view in catalog.views.values() if view.public]
    assert len(shipped) >= 2
    for number, (model, names) in enumerate(
        ((catalog, shipped), (small, ["sales"]), (other, ["shelves", "total", "everything"]))
    ):
        (tmp_path / str(number)).mkdir()
        check(model, names, tmp_path / str(number))


def test_headlines_compare_with_the_month_before_where_there_is_a_time(
    small: Catalog, other: Catalog
) -> None:
    made = charts(generate_starter(small, "sales"))
    first = made[0]
    assert first["viz_type"] == "big_number"
    assert first["params"]["metric"] == "count"
    assert (first["params"]["x_axis"], first["params"]["compare_lag"]) == ("ordered_at", 1)
    assert [chart["params"].get("y_axis_format") for chart in made[:3]] == [",d", "$,.2f", ".2%"]
    still = charts(generate_starter(other, "shelves"))
    assert {chart["viz_type"] for chart in still} == {
        "big_number_total",
        "echarts_timeseries_bar",
        "table",
    }
    assert all(chart["params"]["adhoc_filters"] == [] for chart in still)


def test_hidden_members_and_texts_are_no_charts(small: Catalog, other: Catalog) -> None:
    text = write_yaml({"made": generate_starter(small, "sales")})
    assert "secret" not in text
    assert "name_of_first" not in write_yaml({"made": generate_starter(other, "shelves")})


def test_two_hundred_members_make_a_page_and_not_a_book(other: Catalog) -> None:
    assert len(charts(generate_starter(other, "everything"))) == 4 + 2 + 4 + 1


def test_nothing_is_stacked_and_nothing_computed_in_superset(catalog: Catalog) -> None:
    for chart in charts(generate_starter(catalog, "flight_operations")):
        assert not chart["params"].get("stack")
        assert not chart["params"].get("contributionMode")


@pytest.mark.parametrize(
    ("name", "words"),
    [("sale", "did you mean sales"), ("hidden", "no view"), ("nothing", "it has sales")],
)
def test_a_view_that_there_is_not_is_refused(small: Catalog, name: str, words: str) -> None:
    with pytest.raises(UnknownMemberError) as refused:
        generate_starter(small, name)
    assert words in f"{refused.value} {refused.value.suggestion}"


def test_a_view_without_a_number_is_refused(other: Catalog) -> None:
    with pytest.raises(UnknownMemberError, match="no measure that is a number"):
        generate_starter(other, "words")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for part in ("semantic/model", "dashboards/assets"):
        shutil.copytree(ROOT / part, tmp_path / part)
    return tmp_path


def run(project: Path, *words: str) -> Result:
    return CliRunner().invoke(dashboards, words, obj=project)


def test_the_command_writes_once_and_keeps_what_was_edited(project: Path) -> None:
    made = run(project, "generate", "weather_hourly", "--owner", "Weather desk")
    assert made.exit_code == 0, made.output
    assert "wrote dashboards/weather_hourly_overview.yaml" in made.stdout
    assert run(project, "check").exit_code == 0
    again = run(project, "generate", "weather_hourly", "--owner", "Weather desk")
    assert "as the model gives them" in again.stdout
    chart = next((project / "dashboards" / "assets" / "charts").glob("weather_hourly_trend_*"))
    edited = chart.read_text().replace("by week", "each week")
    chart.write_text(edited)
    refused = run(project, "generate", "weather_hourly", "--owner", "Weather desk")
    assert isinstance(refused.exception, EditedAssetError)
    assert chart.read_text() == edited
    forced = run(project, "generate", "weather_hourly", "--owner", "Weather desk", "--force")
    assert forced.exit_code == 0
    assert chart.read_text() != edited
