"""Gold: a candidate that nobody reads, put in service whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.candidate import Candidate, build_candidate
from flows.errors import LakeConflictError, LakeError
from flows.lake import Lake
from flows.serving import discard, promote
from flows.transform import transform_silver
from semantic.snapshot import (
    QualityState,
    Snapshot,
    identify,
    publish_snapshot,
    read_snapshot,
)
from tests.unit.flows import flights_data as data

FIRST, SECOND, THIRD = date(2013, 1, 1), date(2013, 1, 2), date(2013, 1, 3)


def at(hour: int, minute: int) -> datetime:
    """Return a moment of 1 January as the file has it: without zone."""
    return datetime(2013, 1, 1, hour, minute, tzinfo=UTC).replace(tzinfo=None)


class Platform:
    """A lake and a serving folder, and the steps on them."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(str(folder / "lake"))
        self.serving = folder / "serving"

    def silver(self) -> None:
        transform_silver(data.pipeline(), lake=self.lake, now=data.NOW)

    def candidate(self, **options: Any) -> Candidate:
        return build_candidate(
            data.pipeline(), lake=self.lake, serving=self.serving, now=data.NOW, **options
        )

    def promote(self, candidate: Candidate) -> Snapshot:
        passed = QualityState("passed", data.NOW)
        return promote(
            candidate, lake=self.lake, serving=self.serving, quality={"fct_flights": passed}
        )

    def publish(self) -> Snapshot:
        self.silver()
        return self.promote(self.candidate())

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        file = self.serving / read_snapshot(self.serving).file
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which two days are in service."""
    folder = tmp_path_factory.mktemp("published")
    platform = Platform(folder)
    data.deliver_days(platform.lake, FIRST, SECOND)
    platform.publish()
    return folder


@pytest.fixture
def platform(published: Path, tmp_path: Path) -> Platform:
    """Return a platform of its own in which two days are in service."""
    shutil.copytree(published, tmp_path / "platform")
    return Platform(tmp_path / "platform")


def test_what_is_published_is_what_hand_written_sql_counts(platform: Platform) -> None:
    snapshot = read_snapshot(platform.serving)
    flights = data.days("flights", FIRST, SECOND)
    weather = data.days("weather", FIRST, SECOND)
    expected = duckdb.sql(
        """
        SELECT f.carrier, count(*), count(f.dep_time), count(f.arr_delay), sum(f.arr_delay),
          sum(f.distance), count(w.time_hour), min(f.time_hour + to_minutes(f.minute))::timestamp
        FROM flights f LEFT JOIN weather w USING (origin, time_hour)
        GROUP BY f.carrier ORDER BY f.carrier
        """
    ).fetchall()
    assert len(weather) > 0
    assert (
        platform.query(
            """
            SELECT carrier, count(*), sum((NOT is_cancelled)::int), count(arrival_delay_minutes),
              sum(arrival_delay_minutes), sum(distance_miles), count(weather_key),
              min(scheduled_departure_utc)
            FROM gold.fct_flights GROUP BY carrier ORDER BY carrier
            """
        )
        == expected
    )
    table = snapshot.find("fct_flights")
    assert table is not None
    assert (table.version, table.rows, table.quality.state) == (0, len(flights), "passed")
    # The last departure of 2 January is scheduled for 23:59 in New York.
    assert table.data_until == datetime(2013, 1, 3, 4, 59, tzinfo=UTC)
    assert table.loaded_at == data.NOW
    assert snapshot.id == identify(snapshot.tables)


def test_the_file_has_the_tables_and_types_that_are_documented(platform: Platform) -> None:
    kinds = dict(
        platform.query(
            "SELECT table_name || '.' || column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name = 'gold'"
        )
    )
    assert kinds["fct_flights.flight_key"] == "VARCHAR"
    assert kinds["fct_flights.flight_date"] == "DATE"
    assert kinds["fct_flights.scheduled_departure_utc"] == "TIMESTAMP"
    assert kinds["fct_flights.scheduled_hour"] == "BIGINT"
    assert kinds["fct_flights.is_cancelled"] == "BOOLEAN"
    assert kinds["fct_weather_hourly.wind_direction_degrees"] == "DOUBLE"
    assert kinds["dim_plane.year_built"] == "BIGINT"
    assert platform.query("SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [(0,)]
    (row,) = platform.query(
        "SELECT * EXCLUDE (weather_key) FROM gold.fct_flights "
        "WHERE flight_key = '2013-01-01|UA|1545|EWR|0515'"
    )
    assert row == (
        "2013-01-01|UA|1545|EWR|0515",
        FIRST,
        at(10, 15),
        at(5, 15),
        at(10, 17),
        at(5, 17),
        5,
        "UA",
        1545,
        "N14228",
        "EWR",
        "IAH",
        "EWR-IAH",
        2,
        11,
        227,
        1400,
        False,
        False,
    )
    assert platform.query("SELECT date, day_name, is_weekend FROM gold.dim_date ORDER BY 1") == [
        (FIRST, "Tuesday", False),
        (SECOND, "Wednesday", False),
    ]


def test_rows_are_stored_by_day_and_key(platform: Platform) -> None:
    snapshot = read_snapshot(platform.serving)
    rows = data.served_rows(platform.serving / snapshot.file)["fct_flights"]
    assert [row[:2] for row in rows] == sorted(
        (row[:2] for row in rows), key=lambda r: (r[1], r[0])
    )


def test_a_run_without_changes_leaves_the_snapshot_and_the_file(platform: Platform) -> None:
    first = read_snapshot(platform.serving)
    file = platform.serving / first.file
    before = file.stat()
    candidate = platform.candidate()
    assert not candidate.changed
    assert platform.promote(candidate) == first
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_new_days_are_added_and_the_others_carried_over(platform: Platform) -> None:
    first = read_snapshot(platform.serving)
    before = data.served_rows(platform.serving / first.file)["fct_flights"]
    data.deliver(platform.lake, "flights", data.days("flights", THIRD, THIRD), 1)
    platform.silver()
    candidate = platform.candidate()
    runs = {run.table: run for run in candidate.runs}
    assert runs["fct_flights"].days == (THIRD,)
    assert runs["fct_weather_hourly"].note == "up to date"
    second = platform.promote(candidate)
    assert second.id != first.id
    after = data.served_rows(platform.serving / second.file)["fct_flights"]
    assert after[: len(before)] == before
    assert len(after) == len(before) + 914
    assert read_snapshot(platform.serving) == second


def test_weather_that_comes_late_reaches_the_flights_of_its_day(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    data.deliver(platform.lake, "flights", data.days("flights", FIRST, SECOND), 0)
    platform.publish()
    assert platform.query("SELECT count(weather_key) FROM gold.fct_flights") == [(0,)]
    data.deliver(platform.lake, "weather", data.days("weather", SECOND, SECOND), 0)
    platform.publish()
    assert platform.query(
        "SELECT flight_date FROM gold.fct_flights GROUP BY 1 HAVING count(weather_key) > 0"
    ) == [(SECOND,)]


def test_a_batch_that_changes_no_row_still_makes_the_tables_fresher(platform: Platform) -> None:
    first = read_snapshot(platform.serving)
    later = data.NOW + timedelta(hours=1)
    data.deliver(platform.lake, "flights", data.days("flights", SECOND, SECOND), 1, later)
    second = platform.publish()
    assert (second.id, second.file) == (first.id, first.file)
    flights, weather = second.find("fct_flights"), second.find("fct_weather_hourly")
    assert flights is not None
    assert weather is not None
    assert (flights.loaded_at, weather.loaded_at) == (later, data.NOW)


def test_a_batch_that_is_not_in_silver_yet_does_not_count_as_loaded(platform: Platform) -> None:
    later = data.NOW + timedelta(hours=1)
    data.deliver(platform.lake, "flights", data.days("flights", THIRD, THIRD), 1, later)
    table = platform.promote(platform.candidate()).find("fct_flights")
    assert table is not None
    assert table.loaded_at == data.NOW


def test_a_discarded_candidate_leaves_no_trace_and_the_next_run_makes_it_again(
    platform: Platform,
) -> None:
    first = read_snapshot(platform.serving)
    data.deliver(platform.lake, "flights", data.days("flights", THIRD, THIRD), 1)
    platform.silver()
    candidate = platform.candidate()
    assert candidate.database.is_file()
    discard(candidate)
    discard(candidate)
    assert not candidate.database.exists()
    assert read_snapshot(platform.serving) == first
    gold = platform.lake.open("gold", "fct_flights")
    assert gold is not None
    assert gold.version() == 0
    with pytest.raises(LakeConflictError, match="discarded already"):
        platform.promote(candidate)
    table = platform.publish().find("fct_flights")
    assert table is not None
    assert table.rows == 842 + 943 + 914


def test_two_publishers_at_once_are_refused(platform: Platform) -> None:
    candidate = platform.candidate()
    with pytest.raises(LakeConflictError, match="another run is publishing"):
        platform.candidate()
    platform.promote(candidate)
    discard(platform.candidate())


def test_two_files_are_kept(platform: Platform) -> None:
    snapshots = [read_snapshot(platform.serving)]
    for number in (1, 2):
        day = SECOND + timedelta(days=number)
        data.deliver(platform.lake, "flights", data.days("flights", day, day), number)
        snapshots.append(platform.publish())
    files = {path.name for path in platform.serving.glob("*.duckdb")}
    assert files == {snapshots[-1].file, snapshots[-2].file}
    assert not list(platform.serving.glob(".candidate*"))


def test_a_served_file_that_was_deleted_is_made_again(platform: Platform) -> None:
    first = read_snapshot(platform.serving)
    (platform.serving / first.file).unlink()
    again = platform.publish()
    assert again.id == first.id
    assert platform.query("SELECT count(*) FROM gold.fct_flights") == [(842 + 943,)]


def test_a_lake_made_anew_is_never_taken_for_the_one_in_service(platform: Platform) -> None:
    first = read_snapshot(platform.serving)
    Path(platform.lake.root).rename(platform.serving.parent / "old")
    data.deliver_days(platform.lake, SECOND, SECOND)
    second = platform.publish()
    assert second.id != first.id
    assert platform.query("SELECT count(*) FROM gold.fct_flights") == [(943,)]


def test_tables_of_another_pipeline_stay_in_service(platform: Platform, tmp_path: Path) -> None:
    first = read_snapshot(platform.serving)
    name = platform.serving / first.file
    with duckdb.connect(str(name)) as connection:
        connection.execute("CREATE TABLE gold.fct_other AS SELECT 42 AS answer")
        connection.execute("""COMMENT ON TABLE gold.fct_other IS '{"pipeline": "other"}'""")
    table = first.tables[0]
    others = Snapshot(
        first.id, first.file, first.built_at, (*first.tables, replace(table, name="fct_other"))
    )
    publish_snapshot(platform.serving, others)
    data.deliver(platform.lake, "flights", data.days("flights", THIRD, THIRD), 1)
    second = platform.publish()
    assert second.find("fct_other") is not None
    assert platform.query("SELECT answer FROM gold.fct_other") == [(42,)]
    assert platform.publish() == second


def test_gold_without_silver_says_what_to_run(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    with pytest.raises(LakeError, match="not in the lake yet"):
        platform.candidate()
    platform.silver()
    discard(platform.candidate())


def test_someone_elses_commit_to_gold_between_build_and_promotion_is_noticed(
    platform: Platform,
) -> None:
    data.deliver(platform.lake, "flights", data.days("flights", THIRD, THIRD), 1)
    platform.silver()
    candidate = platform.candidate()
    gold = platform.lake.open("gold", "fct_flights")
    assert gold is not None
    gold.delete("carrier = 'UA'")
    with pytest.raises(LakeConflictError, match="someone else"):
        platform.promote(candidate)
    discard(candidate)
