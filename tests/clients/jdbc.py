"""PostgreSQL's JDBC driver, over the Postgres wire."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.clients.expected import Expected
from tests.clients.report import Client, Report
from tests.clients.site import ROOT, run_site
from tests.clients.wire import CARRIERS, WRONG

JAR = Path("/usr/share/java/postgresql.jar")
SOURCE = Path(__file__).with_name("Flights.java")


def run(tables: Path, folder: Path) -> Report:
    """Look at the metadata, and ask a prepared statement until it is asked in binary."""
    subprocess.run(
        [ROOT / "deploy" / "install-packages", "libpostgresql-jdbc-java", "default-jdk-headless"],
        check=True,
        timeout=300,
    )
    report = Report("JDBC (pgjdbc)")
    with run_site(tables, folder / "jdbc", DUCAT_POSTGRES_PORT="0") as site:
        done = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-cp", str(JAR), str(SOURCE), str(site.wire_port),
             CARRIERS, WRONG],
            env={**os.environ, "PGPASSWORD": site.token},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        if done.returncode:
            report.failures.append(done.stderr[-1000:])
            return report
        report.version = lines[0].removeprefix("version ")
        tables_seen = {line.removeprefix("table ") for line in lines if line.startswith("table ")}
        report.check("getTables", {"flights", "flight_operations"} <= tables_seen, expected=True)
        told = [" ".join(map(str, row)) for row in Expected(site).by_carrier()]
        for turn, step in ((0, "prepared"), (5, "prepared on the server")):
            found = [line[2:] for line in lines if line.startswith(f"{turn} ")]
            report.check(step, found, told)
        report.check("errors", "refused 42703" in lines, expected=True)
    return report


CLIENTS = [Client("JDBC", run)]
