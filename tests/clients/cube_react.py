"""`@cubejs-client/react` in a page of another origin, in real Chromium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.clients.cube_core import read_series
from tests.clients.expected import Expected, read_carriers, read_count
from tests.clients.node import build_page, read_version
from tests.clients.report import Client, Report
from tests.clients.site import run_site
from tests.e2e.superset.browser import Browser

NAME = "@cubejs-client/react"
STEPS = (
    "useCubeQuery", "drillDown", "compareDateRange", "blending", "useCubeMeta", "useDryRun",
    "useCubeSql", "error", "subscribe", "QueryRenderer", "QueryBuilder",
)  # fmt: skip


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port and yield its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(tables: Path, folder: Path) -> Report:
    """Open the page, wait for its numbers, change the tables, wait for the pushed one."""
    page = build_page()
    report = Report(NAME, read_version(NAME))
    with (
        serve_files(page) as origin,
        run_site(tables, folder / "react", DUCAT_CORS_ORIGINS=origin) as site,
        Browser(folder / "profile") as browser,
    ):
        browser.open(f"{origin}/index.html#url={site.url}&token={site.token}")
        wanted = f"{list(STEPS)!r}.every((step) => window.results && step in window.results)"
        try:
            browser.wait_for(wanted, seconds=60)
        except AssertionError:
            report.failures.append("the page did not answer everything")
        found: dict[str, Any] = browser.run("window.results")
        text = browser.run("document.querySelector('table').innerText")
        right = Expected(site)
        carriers = right.by_carrier()
        for step in STEPS:
            if step not in found:
                report.failures.append(f"{step}: nothing")
                found[step] = None
        if report.failures:
            return report
        report.check("useCubeQuery", read_carriers(found["useCubeQuery"]), carriers)
        shown = [tuple(line.split()) for line in text.splitlines() if line.strip()]
        report.check("the page's table", shown, [(name, str(n)) for name, n, _ in carriers])
        compared = [read_count(rows) for rows in found["compareDateRange"]]
        report.check("compareDateRange", compared, right.months())
        (mixed,) = found["blending"]
        report.check("blending", int(mixed["weather.observations_count"]), right.observations())
        ((drilled,),) = site.ask(
            "SELECT count(*) FROM (SELECT DISTINCT flight_date, carrier, flight_number, origin, "
            "destination, departure_delay_minutes, arrival_delay_minutes FROM gold.fct_flights "
            "WHERE carrier = 'UA' AND month(flight_date) = 1)"
        )
        report.check("drillDown", found["drillDown"], drilled)
        report.check("useCubeMeta", "flight_operations" in found["useCubeMeta"], expected=True)
        order = [{"flights.flight_date": "asc", "flights.origin": "asc"}]
        report.check("useDryRun", found["useDryRun"], order)
        report.check("useCubeSql", right.run(found["useCubeSql"]), carriers)
        report.check("errors", found["error"], expected=True)
        cells = {(month, origin): n for month, origin, n in right.by_month_and_origin()}
        report.check("QueryRenderer", read_series(found["QueryRenderer"]), cells)
        report.check("QueryBuilder", found["QueryBuilder"]["rows"], len(carriers))
        report.check("first result", read_count(found["subscribe"]), right.count())
        site.publish_without_february()
        less = right.months()[0]
        ready = f"Number(window.results.subscribe[0]['flights.count']) === {less}"
        report.check("pushed result", bool(browser.wait_for(ready, seconds=30)), expected=True)
    return report


CLIENTS = (Client(NAME, run),)
