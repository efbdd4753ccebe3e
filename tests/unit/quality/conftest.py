"""Small tables with known faults, and real days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from quality import demands
from quality.gate import GateResult, check_candidate
from quality.promise import CONTRACT, Contract
from tests.unit.quality.nycflights import build_candidate

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

Check = Callable[..., GateResult]


def make_contract(**parts: Any) -> Contract:
    """A contract of table `orders`, with the parts given instead of its own."""
    base = {
        "table": "orders",
        "title": "Orders",
        "owner": "sales",
        "description": "One row per order.",
        "key": ["id"],
        "columns": [{"name": "id", "type": "integer"}],
    }
    return CONTRACT.validate_python(base | parts)


@pytest.fixture(params=["native", "figures"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways from a rule to an expectation: on the table itself, and on its figures."""
    monkeypatch.setattr(demands, "NATIVE_ROWS", 100_000 if request.param == "native" else -1)
    return str(request.param)


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Build tables by SQL and check them against contracts."""

    def run(
        sql: str,
        *contracts: Contract,
        loaded_at: Mapping[str, datetime] | None = None,
        docs: Path | None = None,
    ) -> GateResult:
        path = tmp_path / "candidate.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"CREATE SCHEMA gold; {sql}")
        times = {contract.table: NOW for contract in contracts} if loaded_at is None else loaded_at
        return check_candidate(path, contracts, now=NOW, loaded_at=times, docs=docs)

    return run


@pytest.fixture(scope="session")
def real_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold tables of 2013-01-01 to 2013-01-03."""
    path = tmp_path_factory.mktemp("gold") / "real.duckdb"
    build_candidate(path, "2013-01-03")
    return path
