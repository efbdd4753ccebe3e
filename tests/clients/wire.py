"""Clients of PostgreSQL, over the Postgres wire."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import adbc_driver_postgresql.dbapi as adbc
import asyncpg
import psycopg
import psycopg2
import sqlalchemy as sa

from tests.clients.expected import Expected
from tests.clients.report import Client, Report
from tests.clients.site import Site, run_site

CARRIERS: Final = (
    "SELECT carrier, MEASURE(count) AS flights, MEASURE(total_distance) AS miles FROM flights "
    "WHERE flight_date BETWEEN '2013-01-01' AND '2013-01-31' GROUP BY 1 ORDER BY 1"
)
SINCE: Final = "SELECT MEASURE(count) FROM flights WHERE flight_date >= {} AND origin = {}"
SINCE_BY_HAND: Final = (
    "SELECT count(*) FROM gold.fct_flights WHERE flight_date >= '2013-02-01' AND origin = 'JFK'"
)
SHARES: Final = (
    "WITH o AS (SELECT origin, MEASURE(count) AS n FROM flights GROUP BY 1) "
    "SELECT origin, n, RANK() OVER (ORDER BY n DESC) FROM o ORDER BY 3"
)
SHARES_BY_HAND: Final = (
    "SELECT origin, count(*), rank() OVER (ORDER BY count(*) DESC) FROM gold.fct_flights "
    "GROUP BY 1 ORDER BY 3"
)
WRONG: Final = "SELECT MEASURE(cuont) FROM flights"
Rows = list[tuple[Any, ...]]


def run(
    name: str, release: str, ask: Callable[[Site, Report], None], tables: Path, folder: Path
) -> Report:
    """Run one client on a server of its own."""
    report = Report(name, release)
    with run_site(tables, folder / "wire", DUCAT_POSTGRES_PORT="0") as site:
        ask(site, report)
    return report


def plain(rows: Sequence[Sequence[Any]]) -> Rows:
    """Return rows with numbers as whole numbers, whatever type a client gives them."""
    return [tuple(cell if isinstance(cell, str) else int(cell) for cell in row) for row in rows]


def address(site: Site, scheme: str = "postgresql") -> str:
    """Return the address of the wire."""
    return f"{scheme}://ann:{site.token}@127.0.0.1:{site.wire_port}/ducat"


def ask_psql(site: Site, report: Report) -> None:
    """Print tables and answers."""

    def psql(*commands: str) -> list[str]:
        arguments = [item for command in commands for item in ("-c", command)]
        done = subprocess.run(
            ["psql", f"host=127.0.0.1 port={site.wire_port} user=ann dbname=ducat", "-AtX",
             *arguments],
            env={**os.environ, "PGPASSWORD": site.token},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return (done.stdout + done.stderr).splitlines()

    right = Expected(site)
    report.check(r"\dt", "public|flights|table|ducat" in psql(r"\dt"), expected=True)
    report.check(r"\dv", "public|flight_operations|view|ducat" in psql(r"\dv"), expected=True)
    described = " ".join(psql(r"\d flights"))
    report.check(r"\d flights", "carrier|text" in described, expected=True)
    rows = ["|".join(map(str, row)) for row in right.by_carrier()]
    report.check("SELECT", psql(CARRIERS), rows)
    lines = [row.replace("|", ",") for row in rows]
    report.check("\\copy", psql(rf"\copy ({CARRIERS}) TO STDOUT WITH (FORMAT csv)"), lines)
    report.check("errors", "cuont" in " ".join(psql(WRONG)), expected=True)


def ask_psycopg(site: Site, report: Report) -> None:
    """Ask in text, in binary, prepared, and through a cursor of the server."""
    right = Expected(site).by_carrier()
    with psycopg.connect(address(site)) as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            report.check(
                "binary" if binary else "text", plain(cursor.execute(CARRIERS).fetchall()), right
            )
        for _ in range(2):
            rows = connection.execute(CARRIERS, prepare=True).fetchall()
        report.check("prepared", plain(rows), right)
        found = connection.execute(SINCE.format("%s", "%s").encode(), ("2013-02-01", "JFK"))
        report.check("parameters", found.fetchall(), site.ask(SINCE_BY_HAND))
        with connection.cursor("named") as named:
            named.itersize = 5
            report.check("server cursor", plain(list(named.execute(CARRIERS))), right)
        found = connection.execute(SHARES)
        report.check("CTE and window", plain(found.fetchall()), site.ask(SHARES_BY_HAND))
    with psycopg.connect(address(site), autocommit=True) as connection:
        try:
            connection.execute(WRONG)
        except psycopg.errors.UndefinedColumn as refused:
            report.check("errors", refused.sqlstate, "42703")


def ask_psycopg2(site: Site, report: Report) -> None:
    """Ask with and without parameters."""
    connection = psycopg2.connect(address(site))
    try:
        with connection.cursor() as cursor:
            cursor.execute(CARRIERS)
            report.check("text", plain(cursor.fetchall()), Expected(site).by_carrier())
            cursor.execute(SINCE.format("%s", "%s"), ("2013-02-01", "JFK"))
            report.check("parameters", cursor.fetchall(), site.ask(SINCE_BY_HAND))
    finally:
        connection.close()


def ask_asyncpg(site: Site, report: Report) -> None:
    """Ask prepared statements in binary, and through a cursor."""

    async def ask() -> tuple[Rows, Any, Rows]:
        connection = await asyncpg.connect(address(site))
        try:
            rows = await connection.fetch(CARRIERS)
            text = SINCE.format("$1::text::date", "$2")
            counted = await connection.fetchval(text, "2013-02-01", "JFK")
            async with connection.transaction():
                paged = [row async for row in connection.cursor(CARRIERS, prefetch=4)]
            return plain(rows), counted, plain(paged)
        finally:
            await connection.close()

    rows, counted, paged = asyncio.run(ask())
    right = Expected(site).by_carrier()
    report.check("fetch", rows, right)
    report.check("parameters", [(counted,)], site.ask(SINCE_BY_HAND))
    report.check("cursor", paged, right)


def ask_sqlalchemy(site: Site, report: Report) -> None:
    """Reflect the tables, and ask in SQLAlchemy's words."""
    engine = sa.create_engine(address(site, "postgresql+psycopg"))
    try:
        metadata = sa.MetaData()
        metadata.reflect(engine, views=True)
        flights = metadata.tables["flights"]
        report.check("reflection", "flight_operations" in metadata.tables, expected=True)
        asked = (
            sa.select(flights.c.origin, sa.func.measure(flights.c["count"]))
            .group_by(flights.c.origin)
            .order_by(flights.c.origin)
        )
        with engine.connect() as connection:
            rows = [(origin, str(count)) for origin, count in connection.execute(asked)]
        report.check("select", [list(row) for row in rows], Expected(site).by_origin())
    finally:
        engine.dispose()


def ask_adbc(site: Site, report: Report) -> None:
    """Read Arrow, which this driver makes of binary COPY."""
    with adbc.connect(address(site)) as connection, connection.cursor() as cursor:
        cursor.execute(CARRIERS)
        table = cursor.fetch_arrow_table()
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    numbers = [(row[0], int(row[1]), int(row[2])) for row in rows]
    report.check("Arrow", numbers, Expected(site).by_carrier())


def _version_of_psql() -> str:
    done = subprocess.run(["psql", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]


CLIENTS = [
    Client("psql", lambda *where: run("psql", _version_of_psql(), ask_psql, *where)),
    *(
        Client(name, partial(run, name, version(package), ask))
        for name, package, ask in (
            ("psycopg 3", "psycopg", ask_psycopg),
            ("psycopg2", "psycopg2-binary", ask_psycopg2),
            ("asyncpg", "asyncpg", ask_asyncpg),
            ("SQLAlchemy", "sqlalchemy", ask_sqlalchemy),
            ("ADBC (postgresql)", "adbc-driver-postgresql", ask_adbc),
        )
    ),
]
