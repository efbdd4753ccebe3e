"""A part dies while a dashboard is open: the reader is told in words, and it comes back by itself."""

from __future__ import annotations

import pytest

from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import ROOT
from tests.e2e.superset.outage.conftest import Platform
from tests.e2e.superset.test_dashboard import DRAWN, HEADLINES

PICTURES = ROOT / ".ducat" / "screenshots"
MENU = (
    'document.querySelector(\'[data-test="actions-trigger"], [aria-label="Menu actions trigger"]\')'
)
REFRESH = """
(async () => {
  const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  document.querySelector('[data-test="actions-trigger"], [aria-label="Menu actions trigger"]').click();
  for (let turn = 0; turn < 100; turn++) {
    await wait(100);
    const item = [...document.querySelectorAll('[role=menuitem]')]
      .find(item => item.innerText.trim().startsWith('Refresh dashboard'));
    if (item && !item.className.includes('disabled')) { item.click(); return true; }
  }
  return false;
})()
"""
WORDS = "document.body.innerText"
FLIGHTS = f"({HEADLINES})['Flights']"


@pytest.fixture(scope="module")
def flights(platform: Platform, reader: Browser) -> str:
    """The dashboard is open; what it says of the flights."""
    reader.open(f"{platform.url}/superset/dashboard/flight-operations/")
    reader.wait_for(DRAWN, seconds=180)
    return str(reader.run(FLIGHTS))


def refresh(reader: Browser) -> None:
    """Ask for all numbers anew, past what is kept."""
    reader.wait_for(f"{MENU} !== null")
    assert reader.run(REFRESH), reader.run(WORDS)


def test_without_the_metrics_server_each_chart_says_so_until_it_is_back(
    platform: Platform, reader: Browser, flights: str
) -> None:
    platform.kill("ducat")
    try:
        refresh(reader)
        reader.wait_for(f"{WORDS}.includes('metrics server')", seconds=120)
        text = str(reader.run(WORDS))
        reader.screenshot(PICTURES / "without-metrics-server.png", scale=0.6)
    finally:
        platform.start("ducat")
    assert "Traceback" not in text
    refresh(reader)
    reader.wait_for(DRAWN, seconds=180)
    assert reader.run(FLIGHTS) == flights


def test_without_the_cache_the_numbers_are_there_all_the_same(
    platform: Platform, reader: Browser, flights: str
) -> None:
    platform.kill("redis")
    try:
        reader.open(f"{platform.url}/superset/dashboard/flight-operations/")
        reader.wait_for(DRAWN, seconds=180)
        assert reader.run(FLIGHTS) == flights
    finally:
        platform.start("redis")
    refresh(reader)
    reader.wait_for(DRAWN, seconds=180)
    assert reader.run(FLIGHTS) == flights


def test_without_superset_the_page_says_so_and_goes_on_with_the_same_login(
    platform: Platform, reader: Browser, flights: str
) -> None:
    platform.kill("superset")
    try:
        refresh(reader)
        reader.wait_for(f"/network|connect|fetch|unavailable/i.test({WORDS})", seconds=120)
        reader.screenshot(PICTURES / "without-superset.png", scale=0.6)
    finally:
        platform.start("superset")
    reader.open(f"{platform.url}/superset/dashboard/flight-operations/")
    reader.wait_for(DRAWN, seconds=180)
    assert reader.run(FLIGHTS) == flights
