"""`@cubejs-client/ws-transport` in Node: the same questions over one WebSocket, and pushed results."""

from __future__ import annotations

from pathlib import Path

from tests.clients.expected import Expected, read_carriers, read_count
from tests.clients.node import install, read_version, run_script
from tests.clients.report import Client, Report
from tests.clients.site import run_site

NAME = "@cubejs-client/ws-transport"


def run(tables: Path, folder: Path) -> Report:
    """Ask, subscribe, and change the tables in service while the client listens."""
    install()
    report = Report(NAME, read_version(NAME))
    with (
        run_site(tables, folder / "live") as site,
        run_script("live.mjs", site.url, site.token) as answers,
    ):
        right = Expected(site)
        found = {}
        pushed: list[int] = []
        for answer in answers:
            found[answer["step"]] = answer["value"]
            if answer["step"] == "pushed":
                pushed.append(read_count(answer["value"]))
                if len(pushed) == 1:
                    site.publish_without_february()
        report.check("load", read_carriers(found["load"]), right.by_carrier())
        compared = [read_count(rows) for rows in found["compareDateRange"]]
        report.check("compareDateRange", compared, right.months())
        (mixed,) = found["blending"]
        report.check("blending", int(mixed["weather.observations_count"]), right.observations())
        report.check("sql()", right.run(found["sql"]), right.by_carrier())
        report.check("meta()", sorted(found["metaViews"]), ["flight_operations", "weather_hourly"])
        report.check("dryRun", found["dryRun"], [{"flights.carrier": "asc"}])
        report.check("errors", found["error"], {"status": 400, "says": True})
        report.check("subscribe: pushed results", pushed, [right.count(), right.months()[0]])
        report.check("unsubscribe", read_count(found["load again"]), right.months()[0])
    return report


CLIENTS = (Client(NAME, run),)
