"""The ADBC driver of Flight SQL."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import polars as pl

from tests.clients.expected import Expected
from tests.clients.report import Client, Report
from tests.clients.site import Site, run_site
from tests.clients.wire import CARRIERS, SHARES, SHARES_BY_HAND, SINCE, SINCE_BY_HAND, WRONG, plain

_PORT = re.compile(r"Flight SQL clients connect to 127\.0\.0\.1:(\d+)")


def ask_adbc(site: Site, report: Report) -> None:
    """Ask statements, prepared ones and tables, and read Arrow."""
    found = _PORT.search((site.home / "server.log").read_text())
    address = f"grpc://127.0.0.1:{found[1] if found else 0}"
    login = {"username": "ann", "password": site.token}
    with (
        adbc.connect(address, db_kwargs=login, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(CARRIERS)
        report.check("Arrow", plain(cursor.fetchall()), Expected(site).by_carrier())
        cursor.execute(SINCE.format("$1", "$2"), ("2013-02-01", "JFK"))
        report.check("parameters", cursor.fetchall(), site.ask(SINCE_BY_HAND))
        cursor.execute(SHARES)
        report.check("CTE and window", plain(cursor.fetchall()), site.ask(SHARES_BY_HAND))
        cursor.execute("SELECT tail_number, distance FROM flights")
        frame = pl.DataFrame(cursor.fetch_arrow_table())
        rows = site.ask("SELECT count(*), sum(distance_miles)::BIGINT FROM gold.fct_flights")
        report.check("polars, all rows", [(frame.height, frame["distance"].sum())], rows)
        objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        tables = objects[0]["catalog_db_schemas"][0]["db_schema_tables"]
        is_there = "flight_operations" in {item["table_name"] for item in tables}
        report.check("tables", is_there, expected=True)
        try:
            cursor.execute(WRONG)
        except adbc_driver_manager.ProgrammingError as refused:
            report.check("errors", "cuont" in str(refused), expected=True)


def run(tables: Path, folder: Path) -> Report:
    """Run the driver on a server of its own."""
    report = Report("ADBC Flight SQL", version("adbc-driver-flightsql"))
    with run_site(tables, folder / "flight", DUCAT_FLIGHT_PORT="0") as site:
        ask_adbc(site, report)
    return report


CLIENTS = [Client("ADBC Flight SQL", run)]
