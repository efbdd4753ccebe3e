"""One PostgreSQL for all tests of a run, started when first asked for."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

from tests.unit.flows.postgres import run_postgres


@cache
def start_postgres() -> str:
    """Return the server's address; it stops with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(run_postgres())
