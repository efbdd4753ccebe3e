"""Which engine runs the queries: what the flows serve, or a database of others by its URL."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from semantic.engine.query_engine import QueryEngine
from semantic.errors import SettingsError

POSTGRES: Final = frozenset({"postgres", "postgresql"})
PROVEN: Final = "PostgreSQL (postgres://...) and ClickHouse within the process (chdb:///folder)"


def open_engine(
    url: str | None,
    *,
    serving: Path,
    memory_limit: str,
    timeout_seconds: float,
    connections: int,
) -> QueryEngine:
    """Return the engine of a URL; without one, DuckDB over the tables in `serving`.

    Only engines on which the conformance cases pass are taken. Nothing of the URL is shown in an
    error: it holds a password.

    Raises:
        SettingsError: the URL is none, or of an engine that is not proven.
        SourceUnavailableError: the engine's packages are not installed.
    """
    if url is None:
        from semantic.engine.execute import Engine  # noqa: PLC0415

        return Engine(serving, memory_limit=memory_limit, timeout_seconds=timeout_seconds)
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme in POSTGRES:
        from semantic.engine.postgres import PostgresEngine  # noqa: PLC0415

        return PostgresEngine(url, timeout_seconds=timeout_seconds, connections=connections)
    if scheme == "chdb":
        from semantic.engine.clickhouse import ClickHouseEngine  # noqa: PLC0415

        return ClickHouseEngine(url, timeout_seconds=timeout_seconds)
    raise SettingsError(
        f"DUCAT_ENGINE_URL: there is no engine for {scheme[:30]}://"
        if scheme
        else "DUCAT_ENGINE_URL is no URL",
        suggestion=f"proven are {PROVEN}, and, without a URL, the tables that the flows serve",
    )
