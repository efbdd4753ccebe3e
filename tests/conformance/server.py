"""One PostgreSQL for all tests of a run, started when first asked for."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

import psycopg

from tests.unit.flows.postgres import run_postgres


@cache
def start_postgres() -> str:
    """Return the server's address; it stops with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    address = stack.enter_context(run_postgres())
    stack.callback(_end_sessions, address)
    return address


def _end_sessions(address: str) -> None:
    """End what is still connected: the server waits for it when it stops."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
