"""A chart that does not agree with the model is named with its owner, before anyone opens it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.assets import Assets, read_assets
from dashboards.check import check_assets
from semantic.catalog.catalog import Catalog


def test_the_assets_of_this_project_agree_with_its_model(
    project_assets: Assets, catalog: Catalog
) -> None:
    assert check_assets(project_assets, catalog) == ()


CHANGES = [
    (
        "charts/top_routes.yaml",
        "    - count\n",
        "    - cuont\n",
        "unknown_member",
        (
            "chart 'Busiest routes' (owner Flight analytics) names the measure 'cuont' in metrics, "
            "which view 'flight_operations' does not have"
        ),
    ),
    (
        "charts/top_routes.yaml",
        "x_axis: route",
        "x_axis: rout",
        "unknown_member",
        (
            "chart 'Busiest routes' (owner Flight analytics) names the dimension 'rout' in x_axis, "
            "which view 'flight_operations' does not have"
        ),
    ),
    (
        "charts/top_routes.yaml",
        "x_axis: route",
        "x_axis: count",
        "unknown_member",
        (
            "chart 'Busiest routes' (owner Flight analytics) names the dimension 'count' in x_axis, "
            "which view 'flight_operations' does not have"
        ),
    ),
    (
        "charts/top_routes.yaml",
        "    - count\n",
        "    - {expressionType: SQL, sqlExpression: SUM(distance), label: x}\n",
        "free_sql",
        "chart 'Busiest routes' (owner Flight analytics) has an expression of its own in metrics",
    ),
    (
        "charts/carriers.yaml",
        "expressionType: SIMPLE",
        "expressionType: SQL",
        "free_sql",
        "chart 'Carriers' (owner Flight analytics) filters by SQL of its own in adhoc_filters",
    ),
    (
        "charts/carriers.yaml",
        "  show_totals: false",
        "  rolling_type: cumsum",
        "computed_in_superset",
        (
            "chart 'Carriers' (owner Flight analytics) has rolling_type: 'cumsum', a number that "
            "Superset computes itself"
        ),
    ),
    (
        "charts/carriers.yaml",
        "certified_by: Flight analytics",
        "certified_by: null",
        "no_owner",
        "chart 'Carriers' (no owner) names nobody",
    ),
    (
        "dashboards/flight_operations.yaml",
        "name: plane_manufacturer",
        "name: plane_maker",
        "unknown_member",
        "dashboard 'Flight operations' filters by 'plane_maker', which its dataset does not have",
    ),
    (
        "databases/ducat.yaml",
        "XXXXXXXXXX",
        "hunter2",
        "unsafe_database",
        "sqlalchemy_uri must be a ducat+http address whose password is XXXXXXXXXX",
    ),
    (
        "databases/ducat.yaml",
        "impersonate_user: true",
        "impersonate_user: false",
        "unsafe_database",
        "impersonate_user must be true",
    ),
    (
        "databases/ducat.yaml",
        "expose_in_sqllab: false",
        "expose_in_sqllab: true",
        "unsafe_database",
        "expose_in_sqllab must be false",
    ),
    (
        "datasets/ducat/weather_hourly.yaml",
        "MEASURE(average_temperature)",
        "AVG(temperature)",
        "stale_dataset",
        "the dataset has another form of metric average_temperature",
    ),
]


@pytest.mark.parametrize(("path", "old", "new", "code", "message"), CHANGES)
def test_what_does_not_agree_is_said_in_a_sentence(
    copied: Path, catalog: Catalog, path: str, old: str, new: str, code: str, message: str
) -> None:
    file = copied / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    problems = check_assets(read_assets(copied), catalog)
    assert (code, message) in [(problem.code, problem.message) for problem in problems]
    assert all(problem.span and problem.span.file == path for problem in problems)


def test_the_place_is_the_line_that_names_the_member(copied: Path, catalog: Catalog) -> None:
    file = copied / "charts" / "carriers.yaml"
    file.write_text(file.read_text().replace("    - cancellation_rate\n", "    - cancel_rate\n"))
    (problem,) = check_assets(read_assets(copied), catalog)
    assert problem.span is not None
    line = file.read_text().splitlines()[problem.span.line - 1]
    assert line[problem.span.column - 1 :] == "cancel_rate"


def test_a_removed_chart_that_a_dashboard_still_shows_is_found(
    copied: Path, catalog: Catalog
) -> None:
    (copied / "charts" / "carriers.yaml").unlink()
    codes = [problem.code for problem in check_assets(read_assets(copied), catalog)]
    assert codes == ["unknown_chart"]


def test_a_view_without_dataset_and_a_dataset_without_view_are_found(
    copied: Path, catalog: Catalog
) -> None:
    file = copied / "datasets" / "ducat" / "weather_hourly.yaml"
    file.rename(file.with_name("weather.yaml"))
    found = {problem.code for problem in check_assets(read_assets(copied), catalog)}
    assert found == {"unknown_view", "stale_dataset"}


def change(assets: Assets, name: str, params: dict[str, Any]) -> Assets:
    """Return the assets with other params of one chart."""
    files = []
    for asset in assets.files:
        if asset.path == f"charts/{name}.yaml":
            content = dict(asset.content) | {"params": {**asset.content["params"], **params}}
            asset = replace(asset, content=content)  # noqa: PLW2901
        files.append(asset)
    return replace(assets, files=tuple(files))


MAP = {
    "viz_type": "deck_scatter",
    "spatial": {"type": "latlong", "latCol": "no_lat", "lonCol": "no_lon"},
    "point_radius_fixed": {"type": "metric", "value": "no_measure"},
    "dimension": "no_colour",
}


@pytest.mark.parametrize(
    ("params", "codes"),
    [
        ({"percent_metrics": ["count"]}, ["computed_in_superset"]),
        (
            {"time_compare": ["1 week ago"], "comparison_type": "percentage"},
            ["computed_in_superset"],
        ),
        ({"time_compare": ["1 week ago"], "comparison_type": "values"}, []),
        ({"stack": "Stack", "metrics": ["on_time_rate"]}, ["not_additive"]),
        ({"stack": "Expand", "metrics": ["count", "carriers_count"]}, ["not_additive"]),
        ({"stack": "Stack", "metrics": ["count"]}, []),
        ({"viz_type": "pie", "metric": "p95_arrival_delay", "metrics": []}, ["not_additive"]),
        ({"viz_type": "pie", "metric": "count", "metrics": []}, []),
        (MAP, ["unknown_member"] * 4),
    ],
)
def test_numbers_that_superset_makes_and_parts_that_do_not_add_up_are_found(
    project_assets: Assets, catalog: Catalog, params: dict[str, Any], codes: list[str]
) -> None:
    problems = check_assets(change(project_assets, "carriers", params), catalog)
    assert [problem.code for problem in problems] == codes
    assert all("owner Flight analytics" in problem.message for problem in problems)
