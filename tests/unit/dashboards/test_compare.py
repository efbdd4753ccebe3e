"""`diff` tells a person's change from Superset's own numbering."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dashboards.assets import Assets
from dashboards.compare import compare, pull


@pytest.fixture
def exported(project_assets: Assets) -> dict[str, dict[str, Any]]:
    return {
        asset.uuid: copy.deepcopy(dict(asset.content))
        for asset in project_assets.files
        if asset.uuid
    }


def _chart(assets: Assets, path: str) -> str:
    return next(asset.uuid for asset in assets.files if asset.path == path)


def test_superset_own_numbers_are_no_change(
    project_assets: Assets, exported: dict[str, dict[str, Any]]
) -> None:
    exported[_chart(project_assets, "charts/carriers.yaml")]["params"]["datasource"] = "7__table"
    exported[_chart(project_assets, "charts/carriers.yaml")]["params"]["slice_id"] = 12
    exported["a-person's-own-chart"] = {"slice_name": "Mine"}
    assert compare(project_assets, exported) == ()


def test_a_changed_an_added_and_a_missing_thing_are_each_named(
    project_assets: Assets, exported: dict[str, dict[str, Any]]
) -> None:
    carriers = exported[_chart(project_assets, "charts/carriers.yaml")]
    carriers["params"]["row_limit"] = 5
    carriers["params"]["time_compare"] = ["1 year ago"]
    del exported[_chart(project_assets, "charts/weather.yaml")]
    assert [str(change) for change in compare(project_assets, exported)] == [
        "charts/carriers.yaml: params.row_limit: 50 here, 5 in Superset",
        "charts/carriers.yaml: params.time_compare: nothing here, ['1 year ago'] in Superset",
        "charts/weather.yaml: Weather at the airports by week: is here, is not in Superset",
    ]


def test_a_metric_edited_in_superset_is_found_by_its_name(
    project_assets: Assets, exported: dict[str, dict[str, Any]]
) -> None:
    dataset = exported[_chart(project_assets, "datasets/ducat/weather_hourly.yaml")]
    dataset["metrics"].reverse()
    dataset["metrics"][0]["expression"] = "AVG(pressure)"
    name = dataset["metrics"][0]["metric_name"]
    (change,) = compare(project_assets, exported)
    assert change.key == f"metrics.{name}.expression"


def test_pulling_takes_over_the_change_and_leaves_nothing_to_pull(
    project_assets: Assets, exported: dict[str, dict[str, Any]]
) -> None:
    carriers = exported[_chart(project_assets, "charts/carriers.yaml")]
    carriers["params"] |= {"row_limit": 5, "datasource": "7__table", "slice_id": 3}
    dataset = exported[_chart(project_assets, "datasets/ducat/weather_hourly.yaml")]
    dataset["description"] = "edited where it should not be"
    pulled = pull(project_assets, exported)
    assert list(pulled) == ["charts/carriers.yaml"]
    before = next(a for a in project_assets.files if a.path == "charts/carriers.yaml").content
    expected = copy.deepcopy(dict(before))
    expected["params"]["row_limit"] = 5
    assert pulled["charts/carriers.yaml"] == expected
