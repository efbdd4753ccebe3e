"""The dashboard in a real browser: every chart is drawn, from the numbers that the data have."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import duckdb
import httpx
import pytest

from dashboards.assets import read_assets
from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import ROOT, Published, Server
from tests.e2e.superset.expected import EXPECTED

SCREENSHOT = ROOT / ".ducat" / "screenshots" / "flight-operations.png"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
DRAWN = """
(() => {
  const charts = [...document.querySelectorAll('.dashboard-component-chart-holder')];
  const waiting = document.querySelectorAll('[data-test="loading-indicator"], .loading');
  return charts.length >= 16 && waiting.length === 0
    && charts.every(chart => chart.querySelector('canvas, table, .header-line'));
})()
"""
HEADLINES = """
Object.fromEntries([...document.querySelectorAll('.dashboard-component-chart-holder')]
  .filter(chart => chart.querySelector('.header-line'))
  .map(chart => [chart.querySelector('[data-test="editable-title"], .header-title').innerText.trim(),
                 chart.querySelector('.header-line').innerText.trim()]))
"""


@pytest.fixture(scope="module")
def charts(superset: Published) -> dict[int, str]:
    """The file of each chart by Superset's number of it."""
    files = {
        asset.title: Path(asset.path).stem
        for asset in read_assets(ROOT / "dashboards" / "assets").of("charts")
    }
    with superset.client("nina") as client:
        return {
            int(row["id"]): files[row["slice_name"]]
            for row in client.rows("/api/v1/chart/")
            if row["slice_name"] in files
        }


@pytest.fixture(scope="module")
def shown(superset: Published, browser: Browser, charts: dict[int, str]) -> dict[str, Any]:
    """The answer that each chart was drawn from, by its file."""
    browser.answers.clear()
    browser.open(f"{superset.url}/superset/dashboard/flight-operations/")
    browser.wait_for(DRAWN, seconds=90)
    found: dict[str, Any] = {}
    for answer in browser.answers:
        parts = urlsplit(answer.url)
        if parts.path != "/api/v1/chart/data":
            continue
        form = json.loads(parse_qs(parts.query).get("form_data", ["{}"])[0])
        assert answer.status == 200, browser.body(answer)
        if "slice_id" in form:
            found[charts[int(form["slice_id"])]] = browser.body(answer)["result"]
    return found


def _rows(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return rows in one order, numbers to ten digits, so that sums in another order are equal."""
    return sorted(
        json.dumps({key: _plain(row[key]) for key in row if key != "rank"}, sort_keys=True)
        for row in rows  # a heat map's rank is its colour, no number of ours
    )


def _plain(value: Any) -> Any:
    return float(f"{value:.10g}") if isinstance(value, int | float) else value


def _ask(gold: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = gold.cursor().execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_there_is_sql_written_by_hand_for_every_chart(charts: dict[int, str]) -> None:
    assert set(EXPECTED) == set(charts.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_chart_shows_what_hand_written_sql_finds(
    name: str, shown: dict[str, Any], gold: duckdb.DuckDBPyConnection
) -> None:
    answers = shown[name]
    assert len(answers) == len(EXPECTED[name])
    for answer, sql in zip(answers, EXPECTED[name], strict=True):
        assert answer["error"] is None
        assert answer["data"], "no rows"
        expected = _ask(gold, sql)
        if name == "top_routes":  # routes with the same count may stand on either side of the cut
            assert sorted(row["count"] for row in answer["data"]) == sorted(
                row["count"] for row in expected
            )
            continue
        assert _rows(answer["data"]) == _rows(expected)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_chart_shows_what_load_answers(name: str, shown: dict[str, Any], server: Server) -> None:
    """The SELECT that Superset sent is turned into Cube's query JSON, and asked over REST."""
    with httpx.Client(
        base_url=f"{server.url}/cubejs-api/v1", headers={"authorization": server.token}, timeout=60
    ) as client:
        for answer in shown[name]:
            asked = {"input": "sql", "output": "rest", "query": answer["query"].strip().rstrip(";")}
            converted = client.post("/convert-query", json=asked).json()
            assert converted["status"] == "ok", converted
            query = converted["query"] | {"responseFormat": "compact"}
            loaded = client.post("/load", json={"query": query}).json()
            expected = [[_read(value) for value in row] for row in loaded["data"]["dataset"]]
            members = len(query.get("dimensions", [])) + len(query.get("measures", []))
            members += sum("granularity" in item for item in query.get("timeDimensions", []))
            found = _shown_rows(name, answer["data"])
            if name == "top_routes":  # equal counts may stand on either side of the cut
                found, expected = ([[row[-1]] for row in rows] for rows in (found, expected))
            assert len(found) == len(expected)
            assert {len(row[:members]) for row in expected} == {len(row) for row in found}
            assert _values(found) == _values([row[:members] for row in expected])


def _shown_rows(name: str, data: list[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of a chart as they were asked for: without a rank, and not pivoted."""
    if name != "on_time_by_origin":
        return [[_read(value) for key, value in row.items() if key != "rank"] for row in data]
    return [
        [_read(item) for item in (origin, row["flight_date"], rate)]
        for row in data
        for origin, rate in row.items()
        if origin != "flight_date"
    ]


def _read(value: Any) -> str:
    """Return a number to ten digits, a time as epoch milliseconds, a text as it is."""
    text = str(value)
    with contextlib.suppress(ValueError):
        return f"{float(text):.10g}"
    if _TIME.fullmatch(text):
        return f"{datetime.fromisoformat(text + '+00:00').timestamp() * 1000:.10g}"
    return text


def _values(rows: Iterable[list[str]]) -> list[list[str]]:
    """Return rows in one order, whichever order their columns have."""
    return sorted(sorted(row) for row in rows)


def test_the_headlines_say_the_numbers_and_no_chart_shows_an_error(
    shown: dict[str, Any], browser: Browser, gold: duckdb.DuckDBPyConnection
) -> None:
    del shown
    (row,) = _ask(
        gold,
        """
        select count(*) as flights,
          count(*) filter (arrival_delay_minutes < 15) / count(arrival_delay_minutes) as on_time,
          avg(departure_delay_minutes) as delay,
          count(*) filter (is_cancelled) / count(*) as cancelled
        from gold.fct_flights
        """,
    )
    headlines = browser.run(HEADLINES)
    assert headlines["Flights"] == f"{row['flights']:,}"
    assert headlines["On-time rate"] == f"{row['on_time']:.1%}"
    assert headlines["Departure delay"] == f"{row['delay']:.1f}"
    assert headlines["Cancellation rate"] == f"{row['cancelled']:.1%}"
    text = browser.run("document.body.innerText")
    for word in ("Error", "error", "Unexpected", "No results", "Waiting on"):
        assert word not in text
    browser.screenshot(SCREENSHOT)
    assert SCREENSHOT.stat().st_size > 50_000


def test_the_page_asked_no_other_host(shown: dict[str, Any], browser: Browser) -> None:
    del shown
    hosts = {urlsplit(answer.url).hostname for answer in browser.answers}
    assert hosts - {None, ""} == {"127.0.0.1"}


def test_the_server_knows_the_person_who_looks(shown: dict[str, Any], server: Server) -> None:
    """Superset's token is the service's; the query log names the reader."""
    del shown
    records = [json.loads(line) for line in server.query_log.read_text().splitlines()]
    users = {record["user"] for record in records if record["face"] == "sql"}
    assert "nina" in users
    assert not users & {"superset", "admin", "anonymous"}


def test_a_filter_of_the_dashboard_changes_every_number(
    superset: Published, browser: Browser, shown: dict[str, Any], gold: duckdb.DuckDBPyConnection
) -> None:
    del shown
    (row,) = _ask(gold, "select count(*) as flights from gold.fct_flights where origin = 'JFK'")
    state = (
        "(NATIVE_FILTER-origin:(extraFormData:(filters:!((col:origin,op:IN,val:!(JFK)))),"
        "filterState:(value:!(JFK)),id:NATIVE_FILTER-origin,ownState:()))"
    )
    browser.open(
        f"{superset.url}/superset/dashboard/flight-operations/?native_filters={quote(state)}"
    )
    browser.wait_for(DRAWN, seconds=90)
    browser.wait(
        lambda: browser.run(HEADLINES).get("Flights") == f"{row['flights']:,}",
        "the headline of JFK's flights",
        seconds=30,
    )
