"""Python: the layer in this process, the client over HTTP, its asynchronous twin, and GraphQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import graphql
import httpx

import semantic
from semantic.client import DucatClientError
from semantic.errors import DucatError
from tests.clients.expected import JANUARY, Expected
from tests.clients.report import Client, Report
from tests.clients.site import ROOT, Site, run_site

CARRIERS: dict[str, Any] = {
    "measures": ["flights.count", "flights.total_distance"],
    "dimensions": ["flights.carrier"],
    "filters": [
        {
            "member": "flights.flight_date",
            "operator": "inDateRange",
            "values": ["2013-01-01", "2013-01-31"],
        }
    ],
    "order": {"flights.carrier": "asc"},
}
WRONG = {"measures": ["flights.cuont"]}
ROWS = {"dimensions": ["flights.flight_number", "flights.departure_delay"], "ungrouped": True}
ALL_ROWS = "SELECT count(*), sum(departure_delay_minutes) FROM gold.fct_flights"


def run_local(tables: Path, folder: Path) -> Report:
    """Ask in this process."""
    report = Report("from semantic import connect (in process)", version("ducat"))
    with (
        run_site(tables, folder / "local") as site,
        _home(site.home),
        semantic.connect(ROOT, groups=["analysts"]) as ducat,
    ):
        _compare(report, ducat, site)
        try:
            ducat.query(WRONG).to_arrow()
        except DucatError as refused:
            report.check("errors", refused.code, "unknown_member")
    return report


def run_http(tables: Path, folder: Path) -> Report:
    """Ask a server, which lets the client poll (`Continue wait`)."""
    report = Report("from semantic import connect (HTTP, Arrow)", f"httpx {httpx.__version__}")
    with (
        run_site(tables, folder / "http", DUCAT_CONTINUE_WAIT_SECONDS="0.005") as site,
        semantic.connect(site.url, token=site.token, codec="zstd") as ducat,
    ):
        _compare(report, ducat, site)
        cubes = [cube["name"] for cube in ducat.meta()["cubes"]]
        report.check("meta()", "flights" in cubes, expected=True)
        try:
            ducat.query(WRONG).to_arrow()
        except DucatClientError as refused:
            report.check(
                "errors", (refused.code, bool(refused.request_id)), ("unknown_member", True)
            )
    return report


def run_async(tables: Path, folder: Path) -> Report:
    """Ask a server several questions at once."""
    report = Report("from semantic import connect_async", f"httpx {httpx.__version__}")

    async def ask(site: Site) -> list[Any]:
        async with semantic.connect_async(site.url, token=site.token) as ducat:
            answers = [ducat.query(CARRIERS).to_arrow() for _ in range(4)]
            return await asyncio.gather(*answers)

    with run_site(tables, folder / "async") as site:
        right = Expected(site).by_carrier()
        found = [_read_rows(table) for table in asyncio.run(ask(site))]
        report.check("4 queries at once", found, [right] * 4)
    return report


def run_graphql(tables: Path, folder: Path) -> Report:
    """Ask GraphQL: the schema as a client builds it, and documents that are valid in it."""
    report = Report("graphql-core (GraphQL over HTTP)", version("graphql-core"))
    document = (
        "query($days: [String!]) { cube { flights(where: {flight_date: {inDateRange: $days}}, "
        "orderBy: {carrier: asc}) { carrier count total_distance } } }"
    )
    months = "{ cube { flights { count flight_date { month } } } }"
    with run_site(tables, folder / "graphql") as site:
        right = Expected(site)

        def post(text: str, **variables: Any) -> Any:
            body = {"query": text, "variables": variables}
            headers = {"authorization": f"Bearer {site.token}"}
            return httpx.post(f"{site.url}/graphql", json=body, headers=headers, timeout=60).json()

        schema = graphql.build_client_schema(post(graphql.get_introspection_query())["data"])
        report.check("introspection", "Flights" in str(sorted(schema.type_map)), expected=True)
        for text in (document, months):
            report.check("validate", graphql.validate(schema, graphql.parse(text)), [])
        rows = post(document, days=["2013-01-01", "2013-01-31"])["data"]["cube"]
        found = [tuple(row["flights"].values()) for row in rows]
        report.check("where, orderBy, variables", found, right.by_carrier())
        rows = post(months)["data"]["cube"]
        found_months = sorted(row["flights"]["count"] for row in rows)
        report.check("granularities", found_months, sorted(right.months()))
        [error] = post("{ cube { flights { cuont } } }")["errors"]
        report.check("errors", "cuont" in error["message"], expected=True)
    return report


def _compare(report: Report, ducat: Any, site: Site) -> None:
    right = Expected(site)
    answer = ducat.query(**CARRIERS)
    carriers = right.by_carrier()
    report.check("to_arrow()", _read_rows(answer.to_arrow()), carriers)
    report.check("to_polars()", [tuple(row) for row in answer.to_polars().rows()], carriers)
    frame = answer.to_pandas()
    report.check("to_pandas()", list(frame.itertuples(index=False, name=None)), carriers)
    table = answer.to_ibis()
    best = table.order_by(table["flights.count"].desc()).limit(1).to_pyarrow()
    report.check("to_ibis()", _read_rows(best), [max(carriers, key=lambda row: row[1])])
    report.check("sql()", right.run(list(answer.sql())), carriers)
    rows = ducat.query(ROWS).to_polars()
    delays = int(rows["flights.departure_delay"].sum())
    report.check(f"all {len(rows):,} rows", [(len(rows), delays)], site.ask(ALL_ROWS))
    [(flights,)] = site.ask(f"SELECT count(*) FROM gold.fct_flights WHERE {JANUARY}")
    counted = ducat.query(measures=["flights.count"], filters=CARRIERS["filters"]).to_arrow()
    report.check("filters", _read_rows(counted), [(flights,)])


def _read_rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Let this process serve the tables of a folder."""
    before = os.environ.get("DUCAT_HOME")
    os.environ["DUCAT_HOME"] = str(folder)
    try:
        yield
    finally:
        del os.environ["DUCAT_HOME"]
        if before is not None:
            os.environ["DUCAT_HOME"] = before


CLIENTS = [
    Client("python in process", run_local),
    Client("python http", run_http),
    Client("python async", run_async),
    Client("graphql", run_graphql),
]
