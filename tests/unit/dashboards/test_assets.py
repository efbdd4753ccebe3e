"""Assets are read whole or refused whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.assets import Assets, asset_uuid, read_assets, write_yaml
from dashboards.errors import InvalidAssetsError


def test_a_name_always_has_the_same_uuid_and_another_name_another() -> None:
    # Fixed by hand: a changed value would make second objects in every installation.
    assert asset_uuid("datasets", "flight_operations") == "3a2afa9c-c71b-5b6f-885d-a4e743a73692"
    assert asset_uuid("charts", "flight_operations") != asset_uuid("datasets", "flight_operations")


def test_the_project_has_one_dashboard_of_at_least_ten_charts(project_assets: Assets) -> None:
    (dashboard,) = project_assets.of("dashboards")
    assert dashboard.content["slug"] == "flight-operations"
    shown = [
        item
        for item in dashboard.content["position"].values()
        if isinstance(item, dict) and item["type"] == "CHART"
    ]
    assert len(shown) >= 10
    assert {item["meta"]["uuid"] for item in shown} == {c.uuid for c in project_assets.of("charts")}


def test_rows_of_the_dashboard_are_never_wider_than_the_grid(project_assets: Assets) -> None:
    (dashboard,) = project_assets.of("dashboards")
    position = dashboard.content["position"]
    for row in (item for item in position.values() if isinstance(item, dict)):
        if row["type"] == "ROW":
            assert sum(position[name]["meta"]["width"] for name in row["children"]) == 12


def test_every_chart_listens_to_the_period_filter(project_assets: Assets) -> None:
    for chart in project_assets.of("charts"):
        operators = [item["operator"] for item in chart.content["params"]["adhoc_filters"]]
        assert "TEMPORAL_RANGE" in operators, chart.path


def test_every_broken_file_is_named_at_once(copied: Path) -> None:
    (copied / "charts" / "top_routes.yaml").write_text("slice_name: [open\n")
    (copied / "charts" / "weather.yaml").write_text("- a list\n")
    twin = copied / "charts" / "carriers.yaml"
    (copied / "charts" / "copy.yaml").write_text(twin.read_text())
    (copied / "elsewhere").mkdir()
    (copied / "elsewhere" / "x.yaml").write_text("uuid: a\n")
    with pytest.raises(InvalidAssetsError) as refused:
        read_assets(copied)
    found = {
        (problem.code, problem.span.file if problem.span else "")
        for problem in refused.value.problems
    }
    assert found == {
        ("not_yaml", "charts/top_routes.yaml"),
        ("not_an_asset", "charts/weather.yaml"),
        ("same_uuid", "charts/copy.yaml"),
        ("not_an_asset", "elsewhere/x.yaml"),
    }


def test_a_folder_without_metadata_is_no_assets_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidAssetsError, match=r"metadata\.yaml does not exist"):
        read_assets(tmp_path)


def test_files_in_git_are_written_as_the_generator_writes_them(project_assets: Assets) -> None:
    for asset in project_assets.files:
        assert asset.text == write_yaml(asset.content), asset.path
