"""`make clients`: real clients against real servers, a line for each.

    python -m tests.clients [part of a client's name …]

A module of this package that has `CLIENTS` adds to the list below: each client is run with the
tables (a DuckDB file to copy, see `site.py`) and a folder of its own.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.clients.report import Client, Report
from tests.clients.site import build_tables

MODULES: Final = (
    "tests.clients.cube_core",
    "tests.clients.cube_live",
    "tests.clients.cube_react",
    "tests.clients.python_clients",
    "tests.clients.agents",
    "tests.clients.wire",
    "tests.clients.flight_sql",
    "tests.clients.jdbc",
)


def find_clients() -> list[Client]:
    """Return the clients of all modules."""
    return [client for name in MODULES for client in import_module(name).CLIENTS]


def run_client(client: Client, tables: Path, folder: Path) -> Report:
    """Run one client; whatever it raises is its failure, and the next one runs."""
    folder.mkdir(parents=True)
    try:
        return client.run(tables, folder)
    except Exception as failed:  # noqa: BLE001  the boundary of one client
        last = traceback.format_exception(failed)[-3:]
        return Report(client.name, failures=["".join(last)[-1500:]])


def main(words: list[str]) -> int:
    """Run the clients whose names have one of the words; return how many failed."""
    chosen = [
        client
        for client in find_clients()
        if not words or any(word in client.name for word in words)
    ]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ducat-clients-") as name:
        folder = Path(name)
        tables = build_tables(folder / "tables")
        for number, client in enumerate(chosen):
            report = run_client(client, tables, folder / str(number))
            failed += bool(report.failures)
            print(report.line(), flush=True)  # noqa: T201
    print(f"{len(chosen) - failed} of {len(chosen)} clients pass")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
