"""`@cubejs-client/core` in Node: everything that it can ask, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clients.expected import MONTHS, Expected, read_carriers, read_count
from tests.clients.node import install, read_version, run_script
from tests.clients.report import Client, Report
from tests.clients.site import Site, run_site

NAME = "@cubejs-client/core"


def run(tables: Path, folder: Path) -> Report:
    """Ask everything, on a server that lets the client poll (`Continue wait`)."""
    install()
    report = Report(NAME, read_version(NAME))
    with (
        run_site(tables, folder / "core", DUCAT_CONTINUE_WAIT_SECONDS="0.005") as site,
        run_script("core.mjs", site.url, site.token) as answers,
    ):
        found = {answer["step"]: answer["value"] for answer in answers}
        compare(report, found, site)
    return report


def compare(report: Report, found: dict[str, Any], site: Site) -> None:
    """Compare the answers with hand-written SQL."""
    right = Expected(site)
    carriers = right.by_carrier()
    for step in ("load", "compact", "columnar", "castNumerics"):
        report.check(step, read_carriers(found[step]), carriers)
    report.check("Continue wait", found["progress"] > 0, expected=True)
    cells = {(month, origin): count for month, origin, count in right.by_month_and_origin()}
    report.check("pivot", _read_pivot(found["pivot"]), cells)
    table = {
        (row["flights.flight_date.month"], row["flights.origin"]): int(row["flights.count"])
        for row in found["tablePivot"]
    }
    report.check("tablePivot", table, cells)
    report.check("chartPivot", _read_chart(found["chartPivot"]), cells)
    report.check("series", read_series(found["series"]), cells)
    keys = [column["key"] for column in found["tableColumns"]]
    report.check(
        "tableColumns", keys, ["flights.flight_date.month", "flights.origin", "flights.count"]
    )
    drill = found["drillDown"]
    condition = "origin = 'JFK' AND month(flight_date) = 2"
    report.check("drillDown", drill["rows"], len(_distinct(site, condition)))
    months = right.months()
    report.check(
        "compareDateRange", [read_count(rows) for rows in found["compareDateRange"]], months
    )
    report.check(
        "compare series", [one["series"][0]["value"] for one in found["compareSeries"]], months
    )
    (mixed,) = found["blending"]
    blended = (int(mixed["flights.count"]), int(mixed["weather.observations_count"]))
    report.check("blending", blended, (months[0], right.observations()))
    report.check("sql()", right.run(found["sql"]), carriers)
    report.check("meta()", found["meta"] > 20 and found["metaResolve"], "Flights")
    report.check(
        "meta({onlyViews})", sorted(found["metaViews"]), ["flight_operations", "weather_hourly"]
    )
    order = [{"flights.flight_date": "asc", "flights.origin": "asc"}]
    checked = {"queryType": "regularQuery", "order": order, "pivot": ["flights.count"]}
    report.check("dryRun", found["dryRun"], checked)
    report.check("long query", read_count(found["longQuery"]), right.count())
    report.check("cubeSql", found["cubeSql"], {"names": ["origin", "n"], "data": right.by_origin()})
    report.check("cubeSqlStream", found["cubeSqlStream"], right.by_origin())
    report.check("errors", found["error"], {"status": 400, "says": True})
    report.check("bad token", found["token"], {"status": 403})
    report.check(
        "subscribe", [read_count(rows) for rows in found["subscribe"]], [right.count()] * 2
    )


def _read_pivot(rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    cells = {}
    for row in rows:
        for (origin, _), value in row["yValuesArray"]:
            cells[(row["xValues"][0], origin)] = int(value)
    return cells


def _read_chart(rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    cells = {}
    for row in rows:
        for key, value in row.items():
            origin, _, measure = key.partition(",")
            if measure == "flights.count":
                cells[(row["x"], origin)] = int(value)
    return cells


def read_series(lines: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    cells = {}
    for line in lines:
        origin = line["key"].partition(",")[0]
        for month, point in zip(MONTHS, line["series"], strict=True):
            cells[(month, origin)] = int(point["value"])
    return cells


def _distinct(site: Site, condition: str) -> list[tuple[Any, ...]]:
    """Return the groups of the drill members of `flights.count`."""
    return site.ask(
        "SELECT DISTINCT flight_date, carrier, flight_number, origin, destination, "
        f"departure_delay_minutes, arrival_delay_minutes FROM gold.fct_flights WHERE {condition}"
    )


CLIENTS = (Client(NAME, run),)
