"""Both databases, to run what a dialect writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import duckdb
import psycopg
import pytest

from semantic.compile.dialect import DUCKDB, POSTGRES, Dialect, Parameter
from tests.conformance.server import start_postgres


class Runs(Protocol):
    def __call__(self, sql: str, values: Sequence[Parameter] = ()) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Database:
    """A dialect, and the real database that understands it."""

    dialect: Dialect
    run: Runs

    def value(self, sql: str, values: Sequence[Parameter] = ()) -> Any:
        """Return the one value of `SELECT sql`."""
        [(found,)] = self.run(f"SELECT {sql}", values)
        return found


@pytest.fixture(scope="session")
def databases() -> Iterator[dict[str, Database]]:
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    postgres = psycopg.connect(start_postgres(), autocommit=True)
    postgres.execute("SET TimeZone = 'UTC'")

    def in_duckdb(sql: str, values: Sequence[Parameter] = ()) -> list[tuple[Any, ...]]:
        return duck.execute(sql, list(values)).fetchall()

    def in_postgres(sql: str, values: Sequence[Parameter] = ()) -> list[tuple[Any, ...]]:
        cursor = psycopg.RawCursor(postgres)
        cursor.execute(sql.encode(), list(values) or None)
        return cursor.fetchall() if cursor.description else []

    yield {
        "duckdb": Database(DUCKDB, in_duckdb),
        "postgres": Database(POSTGRES, in_postgres),
    }
    duck.close()
    postgres.close()


@pytest.fixture(params=["duckdb", "postgres"])
def database(request: pytest.FixtureRequest, databases: dict[str, Database]) -> Database:
    return databases[request.param]
