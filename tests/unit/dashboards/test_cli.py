"""`ducat dashboards` as a person or a CI job calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboards.cli import dashboards
from dashboards.errors import InvalidAssetsError
from semantic.errors import SettingsError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the dashboards need of this project."""
    for part in ("semantic/model", "dashboards/assets"):
        shutil.copytree(ROOT / part, tmp_path / part)
    return tmp_path


def _run(project: Path, *words: str) -> Result:
    return CliRunner().invoke(dashboards, words, obj=project)


def test_check_says_what_agrees(project: Path) -> None:
    result = _run(project, "check", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["problems"] == []
    assert answer["charts"] >= 10


def test_check_fails_with_the_chart_and_its_owner(project: Path) -> None:
    chart = project / "dashboards" / "assets" / "charts" / "top_routes.yaml"
    chart.write_text(chart.read_text().replace("x_axis: route", "x_axis: rout"))
    result = _run(project, "check", "--json")
    assert isinstance(result.exception, InvalidAssetsError)
    assert "chart 'Busiest routes' (owner Flight analytics)" in str(result.exception)
    assert json.loads(result.stdout)["problems"][0]["code"] == "unknown_member"


def test_generate_follows_the_model_and_is_then_quiet(project: Path) -> None:
    model = project / "semantic" / "model" / "cubes" / "weather.yml"
    model.write_text(model.read_text().replace("average_pressure", "mean_pressure"))
    assert isinstance(_run(project, "check").exception, InvalidAssetsError)
    first = _run(project, "generate")
    assert "wrote datasets/ducat/weather_hourly.yaml" in first.stdout
    assert json.loads(_run(project, "generate", "--json").stdout) == {"written": [], "removed": []}
    assert _run(project, "check").exit_code == 0


def test_generate_removes_the_dataset_of_a_view_that_is_gone(project: Path) -> None:
    extra = project / "dashboards" / "assets" / "datasets" / "ducat" / "gone.yaml"
    extra.write_text("table_name: gone\n")
    assert "removed datasets/ducat/gone.yaml" in _run(project, "generate").stdout
    assert not extra.exists()


def test_publish_without_settings_names_all_that_are_missing(project: Path) -> None:
    result = _run(project, "publish")
    assert isinstance(result.exception, SettingsError)
    for name in ("URL", "PASSWORD", "SOURCE_URL", "SOURCE_TOKEN"):
        assert f"DUCAT_SUPERSET_{name}" in str(result.exception)


def test_assets_that_do_not_agree_are_not_published(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens at the address: reaching for it would be another error."""
    for name, value in {
        "URL": "http://127.0.0.1:9",
        "PASSWORD": "x",
        "SOURCE_URL": "http://127.0.0.1:9",
        "SOURCE_TOKEN": "x",
    }.items():
        monkeypatch.setenv(f"DUCAT_SUPERSET_{name}", value)
    chart = project / "dashboards" / "assets" / "charts" / "top_routes.yaml"
    chart.write_text(chart.read_text().replace("x_axis: route", "x_axis: rout"))
    assert isinstance(_run(project, "publish").exception, InvalidAssetsError)
