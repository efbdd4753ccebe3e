"""The served file: what happens when DuckDB itself fails."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from semantic.engine.served import ServedDatabase
from semantic.errors import EngineError
from tests.golden.queries.layer import publish


def fail_within(served: ServedDatabase, failure: Exception) -> None:
    """Mark an instance, and fail in it as a query does."""
    with served.session() as session:
        session.connection.execute("CREATE TABLE memory.mark AS SELECT 1")
        raise EngineError("the query failed") from failure


@pytest.mark.parametrize("failure", [duckdb.FatalException, duckdb.InternalException])
def test_after_duckdb_itself_failed_the_file_is_opened_anew(
    tmp_path: Path, failure: type[duckdb.Error]
) -> None:
    """An instance that failed so refuses every query after; it served nobody until a restart."""
    publish(tmp_path, "CREATE TABLE gold.sales AS SELECT 1 AS id;")
    served = ServedDatabase(tmp_path, memory_limit="1GB")
    with pytest.raises(EngineError):
        fail_within(served, failure("database has been invalidated"))
    with served.session() as session:
        found = session.connection.execute("SELECT id FROM gold.sales").fetchall()
        assert found == [(1,)]
        with pytest.raises(duckdb.CatalogException):  # it is another instance
            session.connection.execute("SELECT * FROM memory.mark")
    served.close()


def test_what_a_query_is_refused_for_closes_no_file(tmp_path: Path) -> None:
    publish(tmp_path, "CREATE TABLE gold.sales AS SELECT 1 AS id;")
    served = ServedDatabase(tmp_path, memory_limit="1GB")
    with pytest.raises(EngineError):
        fail_within(served, duckdb.ConversionException("'x' is no number"))
    with served.session() as session:
        assert session.connection.execute("SELECT * FROM memory.mark").fetchall() == [(1,)]
    served.close()
