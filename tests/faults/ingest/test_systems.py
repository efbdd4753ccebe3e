"""Source systems that are down for a while, for good, or go down while they are read."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deltalake import DeltaTable

from deploy.demo.ports import find_port
from deploy.demo.sources.airports import AirportsApi, run_api
from deploy.demo.sources.database import start_server
from flows.errors import SchemaChangedError, SourceDownError, SourceMalformedError
from flows.ingest import ingest
from flows.lake import Lake
from flows.pipeline import Source
from flows.pipelines.flights.sources import AIRLINES, SOURCES
from flows.sources import rest, retry
from flows.sources.postgres import PostgresTable

NOW = datetime(2013, 2, 1, tzinfo=UTC)
BY_NAME = {source.name: source for source in SOURCES}
CARRIERS = Source(
    "airlines", "postgres", AIRLINES, ("carrier",), PostgresTable("SHOP_DB", "airlines").extract
)


def load(source: Source, lake: Path) -> int:
    return ingest(source, pipeline="p", lake=Lake.at(str(lake)), now=NOW).rows_written


def bronze(lake: Path, name: str) -> list[dict[str, Any]]:
    uri = str(lake / "bronze" / "p" / name)
    return DeltaTable(uri).to_pyarrow_table().to_pylist() if DeltaTable.is_deltatable(uri) else []


def airport(code: str, name: str = "Field", alt: object = 10) -> dict[str, Any]:
    where = {"lat": 40.5, "lon": -74.0, "tz": -5, "dst": "A", "tzone": "America/New_York"}
    return {"faa": code, "name": name, "alt": alt, **where}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirportsApi]:
    with run_api(api=AirportsApi([airport(f"A{n:03d}") for n in range(950)])) as (address, served):
        monkeypatch.setenv("FLIGHTS_API_URL", address)
        yield served


def test_a_list_behind_pages_is_read_whole_though_a_request_fails_now_and_then(
    api: AirportsApi, tmp_path: Path
) -> None:
    assert load(BY_NAME["airports"], tmp_path) == 950
    assert api.requests > 10  # ten pages, and the seventh request had to be made again
    assert {row["faa"] for row in bronze(tmp_path, "airports")} == {f"A{n:03d}" for n in range(950)}
    assert load(BY_NAME["airports"], tmp_path) == 0


def test_an_api_that_comes_back_is_waited_for(api: AirportsApi, tmp_path: Path) -> None:
    api.is_down = True
    back = threading.Timer(1.5, lambda: setattr(api, "is_down", False))
    back.start()
    assert load(BY_NAME["airports"], tmp_path) == 950
    back.join()


def test_an_api_that_stays_down_is_said_to_be_down_and_bronze_has_nothing(
    api: AirportsApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "ATTEMPTS", 2)
    api.is_down = True
    with pytest.raises(SourceDownError):
        load(BY_NAME["airports"], tmp_path)
    assert bronze(tmp_path, "airports") == []


def test_a_list_that_returns_to_what_it_was_is_delivered_again_each_time(
    api: AirportsApi, tmp_path: Path
) -> None:
    for name in ("old", "new", "old", "new"):
        api.airports = [airport("AAA", name)]
        load(BY_NAME["airports"], tmp_path)
        rows = bronze(tmp_path, "airports")
        assert max(rows, key=lambda row: row["_batch_number"])["name"] == name


def test_a_number_that_turns_into_text_stops_the_table_though_it_looks_the_same(
    api: AirportsApi, tmp_path: Path
) -> None:
    api.airports = [airport("AAA", alt=10)]
    load(BY_NAME["airports"], tmp_path)
    api.airports = [airport("AAA", alt="10")]
    with pytest.raises(SchemaChangedError, match="column alt is string"):
        load(BY_NAME["airports"], tmp_path)
    assert len(bronze(tmp_path, "airports")) == 1


def test_a_list_that_is_shorter_than_it_says_is_refused(
    api: AirportsApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = AirportsApi.answer

    def cut(self: AirportsApi, address: str, path: str) -> tuple[int, dict[str, Any]]:
        status, document = whole(self, address, path)
        return status, {**document, "next": None}

    monkeypatch.setattr(AirportsApi, "answer", cut)
    with pytest.raises(SourceMalformedError, match="950 records and gave 100"):
        load(BY_NAME["airports"], tmp_path)
    monkeypatch.setattr(AirportsApi, "answer", lambda *_: (200, {"error": "moved"}))
    with pytest.raises(SourceMalformedError, match="no list 'airports'"):
        load(BY_NAME["airports"], tmp_path)
    assert bronze(tmp_path, "airports") == []


class Database:
    """A PostgreSQL that a test stops and starts."""

    def __init__(self) -> None:
        self.owner = "nobody" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="ducat-test-"))
        if self.owner:
            shutil.chown(self.folder, self.owner)
        self.port = find_port()
        self.running = ExitStack()
        self.address = ""

    def start(self) -> None:
        server = start_server(self.folder, "a-password", self.port, self.owner)
        self.address = self.running.enter_context(server)

    def stop(self) -> None:
        self.running.close()
        self.running = ExitStack()

    def run(self, statement: str) -> None:
        with psycopg.connect(self.address) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    database = Database()
    try:
        database.start()
        yield database
    finally:
        database.stop()
        shutil.rmtree(database.folder)


@pytest.fixture
def database(server: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    server.run("DROP TABLE IF EXISTS airlines")
    server.run("CREATE TABLE airlines (carrier text, name text, updated_at timestamptz)")
    # A server of another time zone than ours.
    server.run("ALTER ROLE operations SET timezone = 'America/New_York'")
    monkeypatch.setenv("SHOP_DB", server.address)
    return server


def insert(database: Database, *rows: tuple[str, str, str]) -> None:
    for carrier, name, moment in rows:
        when = f"'{moment}'" if moment else "NULL"
        database.run(f"INSERT INTO airlines VALUES ('{carrier}', '{name}', {when})")


def test_only_changed_rows_are_read_again_and_rows_of_the_newest_moment_are_not_missed(
    database: Database, tmp_path: Path
) -> None:
    insert(database, ("A", "a", "2013-01-01T00:00Z"), ("B", "b", "2013-01-02T00:00:00.000001Z"))
    assert load(CARRIERS, tmp_path) == 2
    assert load(CARRIERS, tmp_path) == 0
    insert(database, ("C", "c", "2013-01-02T00:00:00.000001Z"))
    assert load(CARRIERS, tmp_path) == 2  # the tie as well: B and C
    assert load(CARRIERS, tmp_path) == 0
    insert(database, ("D", "d", "2013-01-03T00:00Z"))
    load(CARRIERS, tmp_path)
    moments = {row["carrier"]: row["updated_at"] for row in bronze(tmp_path, "airlines")}
    assert moments == {
        "A": datetime(2013, 1, 1, tzinfo=UTC),
        "B": datetime(2013, 1, 2, 0, 0, 0, 1, tzinfo=UTC),
        "C": datetime(2013, 1, 2, 0, 0, 0, 1, tzinfo=UTC),
        "D": datetime(2013, 1, 3, tzinfo=UTC),
    }


def test_a_row_without_a_time_of_its_last_change_is_refused_not_lost(
    database: Database, tmp_path: Path
) -> None:
    insert(database, ("A", "a", "2013-01-01T00:00Z"))
    load(CARRIERS, tmp_path)
    insert(database, ("B", "b", ""))
    with pytest.raises(SourceMalformedError, match=r"1 rows .* have no updated_at"):
        load(CARRIERS, tmp_path)


def test_a_database_whose_table_or_column_went_away_is_refused(
    database: Database, tmp_path: Path
) -> None:
    insert(database, ("A", "a", "2013-01-01T00:00Z"))
    database.run("ALTER TABLE airlines RENAME name TO title")
    with pytest.raises(SchemaChangedError, match="column name"):
        load(CARRIERS, tmp_path)
    database.run("ALTER TABLE airlines DROP updated_at")
    with pytest.raises(SourceMalformedError, match="no column updated_at"):
        load(CARRIERS, tmp_path)
    database.run("DROP TABLE airlines")
    with pytest.raises(SourceMalformedError, match="no table"):
        load(CARRIERS, tmp_path)
    assert bronze(tmp_path, "airlines") == []


def test_a_database_that_restarts_while_it_is_read_gives_whole_batches(
    database: Database, tmp_path: Path
) -> None:
    # Big enough that a read takes a while; a restart ends it in the middle.
    database.run(
        "INSERT INTO airlines SELECT n::text, repeat('x', 50), '2013-01-01Z'::timestamptz"
        " FROM generate_series(1, 300000) n"
    )
    loaded: list[int] = []
    reading = threading.Thread(target=lambda: loaded.append(load(CARRIERS, tmp_path)))
    reading.start()
    deadline = time.monotonic() + 30
    while not is_reading(database) and time.monotonic() < deadline and reading.is_alive():
        time.sleep(0.002)
    database.stop()
    database.start()
    reading.join()
    assert loaded == [300_000]
    assert len({row["carrier"] for row in bronze(tmp_path, "airlines")}) == 300_000


def is_reading(database: Database) -> bool:
    with psycopg.connect(database.address) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND query ILIKE '%airlines%' AND query NOT ILIKE 'INSERT%' AND state = 'active'"
        ).fetchone()
    return bool(found and found[0])


def test_a_database_that_stays_down_is_said_to_be_down_and_its_password_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    monkeypatch.setenv("SHOP_DB", f"postgresql://someone:hush@127.0.0.1:{find_port()}/postgres")
    with pytest.raises(SourceDownError) as down:
        load(replace(CARRIERS), tmp_path)
    assert "hush" not in str(down.value)
    assert bronze(tmp_path, "airlines") == []
