"""A first dashboard of a view, generated and published: every chart is drawn, with the view's numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import duckdb

from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import DUCAT, ROOT
from tests.e2e.superset.outage.conftest import Platform

PICTURE = ROOT / ".ducat" / "screenshots" / "weather-hourly-overview.png"
CHARTS = 4 + 2 + 4 + 1
DRAWN = f"""
(() => {{
  const charts = [...document.querySelectorAll('.dashboard-component-chart-holder')];
  const waiting = document.querySelectorAll('[data-test="loading-indicator"], .loading');
  return charts.length > 4 && charts.length <= {CHARTS} && waiting.length === 0
    && charts.every(chart => chart.querySelector('canvas, table, .header-line'));
}})()
"""


def run(project: Path, platform: Platform, *words: str) -> str:
    done = subprocess.run(
        [DUCAT, "--project", str(project), "dashboards", *words],
        env=platform.variables,
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_first_dashboard_is_drawn_with_the_numbers_of_the_view(
    platform: Platform, reader: Browser, gold: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for part in ("semantic/model", "dashboards/assets"):
        shutil.copytree(ROOT / part, tmp_path / part)
    run(tmp_path, platform, "generate", "weather_hourly")
    run(tmp_path, platform, "check")
    run(tmp_path, platform, "publish")
    reader.open(f"{platform.url}/superset/dashboard/weather-hourly-overview/")
    reader.wait_for(DRAWN, seconds=180)
    reader.screenshot(PICTURE)
    words = str(reader.run("document.body.innerText"))
    for word in ("Data error", "Unexpected", "No results", "Waiting on"):
        assert word not in words
    [(hours,)] = gold.cursor().execute("select count(*) from gold.fct_weather_hourly").fetchall()
    assert f"{hours:,}" in words  # all hours lie in one month: its headline
