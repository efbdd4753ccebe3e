"""Sources and lake in a bucket: the same code, the same rows as in folders."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError

from deploy.demo.sources.deliveries import deliver_weather
from flows.candidate import build_candidate
from flows.discovery import load_pipelines
from flows.errors import LakeError, SourceDownError, SourceMalformedError
from flows.ingest import ingest
from flows.lake import Lake, commit_with_retries, read_dataset, read_difference
from flows.pipeline import Position, Source
from flows.quarantine import list_quarantined, skip
from flows.serving import discard, promote
from flows.sources import retry
from flows.sources.files import DroppedFiles
from flows.transform import transform_silver
from semantic.project import Project
from semantic.snapshot import read_snapshot
from tests.e2e.s3.conftest import put
from tests.unit.flows import flights_data as data

ROOT = Path(__file__).parents[3]
NOW = datetime(2013, 1, 3, tzinfo=UTC)
NOTHING_READ = Position(None, frozenset())
ROWS = pa.table({"day": [1, 1, 2], "amount": [10, 20, 30]})


def _weather() -> Source:
    """The source that the flights pipeline itself has."""
    pipelines = {item.name: item for item in load_pipelines(Project.open(ROOT))}
    return next(item for item in pipelines["flights"].sources if item.name == "weather")


def _count(lake: Lake) -> list[tuple[str, int, float]]:
    """Return hours and the sum of temperatures of each airport in bronze."""
    table = lake.open("bronze", "flights", "weather")
    assert table is not None
    rows = read_dataset(table).to_table()
    return (
        duckdb.from_arrow(rows)
        .query("b", "SELECT origin, count(*), round(sum(temp), 2) FROM b GROUP BY 1 ORDER BY 1")
        .fetchall()
    )


def test_weather_files_in_a_bucket_are_loaded_once_each(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_weather(tmp_path, 2)
    sent = sorted(tmp_path.rglob("*.csv"))
    monkeypatch.setenv("FLIGHTS_WEATHER_URL", f"{bucket}/in/weather")
    lake = Lake.at(f"{bucket}/lake")
    source = _weather()

    def send(paths: list[Path]) -> None:
        for path in paths:
            put(f"{bucket}/in/weather/{path.relative_to(tmp_path)}", path.read_bytes())

    send(sent[:-1])
    first = ingest(source, pipeline="flights", lake=lake, now=NOW)
    assert first.batches == len(sent) - 1
    send(sent[-1:])
    second = ingest(source, pipeline="flights", lake=lake, now=NOW)
    third = ingest(source, pipeline="flights", lake=lake, now=NOW)
    assert (second.batches, third.batches, third.version) == (1, 0, None)

    by_hand = duckdb.sql(
        "SELECT origin, count(*), round(sum(try_cast(temp AS DOUBLE)), 2) "
        f"FROM read_csv('{tmp_path}/**/*.csv', all_varchar = true) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert len(by_hand) == 3
    assert _count(lake) == by_hand


def test_a_truncated_file_waits_in_the_buckets_quarantine_until_it_is_skipped(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTS_WEATHER_URL", f"{bucket}/in")
    lake, source = Lake.at(f"{bucket}/lake"), _weather()
    put(f"{bucket}/in/cut.csv", b"origin,year\nEWR,20")
    with pytest.raises(SourceMalformedError, match="truncated"):
        ingest(source, pipeline="flights", lake=lake, now=NOW)
    (held,) = list_quarantined(lake, "flights", "weather")
    assert (held.code, held.skipped) == ("source_malformed", False)
    skip(lake, "flights", "weather", held.batch, now=NOW)
    assert [item.skipped for item in list_quarantined(lake, "flights", "weather")] == [True]
    assert ingest(source, pipeline="flights", lake=lake, now=NOW).batches == 0


def test_a_table_in_a_bucket_is_written_changed_and_read_at_its_versions(bucket: str) -> None:
    lake = Lake.at(f"{bucket}/lake")
    assert lake.open("silver", "t") is None
    lake.commit(None, ROWS, "silver", "t", mode="overwrite", transactions={"input": 7})
    table = lake.open("silver", "t")
    more = pa.table({"day": [2], "amount": [99]})
    lake.commit(table, more, "silver", "t", mode="overwrite", predicate="day = 2")
    newest, older = lake.open("silver", "t"), lake.open_version(0, "silver", "t")
    assert newest is not None
    assert older is not None
    assert newest.transaction_version("input") == 7
    amounts = [
        sorted(read_dataset(each).to_table()["amount"].to_pylist()) for each in (older, newest)
    ]
    assert amounts == [[10, 20, 30], [10, 20, 99]]
    assert read_difference(older, newest)
    assert read_difference(newest, newest) == ()
    with pytest.raises(CommitFailedError):
        lake.commit(older, more, "silver", "t", mode="append")


def test_writers_at_once_each_commit_exactly_once(bucket: str) -> None:
    lake = Lake.at(f"{bucket}/lake")
    start = threading.Barrier(4)
    versions: list[int] = []

    def append() -> int:
        return lake.commit(lake.open("silver", "t"), ROWS, "silver", "t", mode="append")

    def write() -> None:
        start.wait(20)
        versions.append(commit_with_retries(append, table="t"))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(versions) == [0, 1, 2, 3]
    table = lake.open("silver", "t")
    assert table is not None
    assert read_dataset(table).count_rows() == 4 * ROWS.num_rows


def test_the_whole_pipeline_serves_the_same_rows_from_a_bucket_as_from_a_folder(
    bucket: str, tmp_path: Path
) -> None:
    """Two runs, the second incremental: silver, gold and the file in service."""
    first = date(2013, 1, 1)
    served = []
    for name, lake in (("bucket", Lake.at(f"{bucket}/lake")), ("folder", Lake.at(str(tmp_path)))):
        serving = tmp_path / f"serving-{name}"
        data.deliver_days(lake, first, first)
        for number in range(2):
            if number:
                day = first + timedelta(days=1)
                data.deliver(lake, "flights", data.days("flights", day, day), 1)
            transform_silver(data.pipeline(), lake=lake, now=data.NOW)
            candidate = build_candidate(data.pipeline(), lake=lake, serving=serving, now=data.NOW)
            try:
                promote(candidate, lake=lake, serving=serving, quality={})
            finally:
                discard(candidate)
        served.append(data.served_rows(serving / read_snapshot(serving).file))
    assert served[0] == served[1]
    # 842 flights on January 1, 943 on the 2nd.
    assert len(served[0]["fct_flights"]) == 842 + 943


def test_a_wrong_key_is_said_so_by_lake_and_source(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the key itself is in no message."""
    put(f"{bucket}/in/a.csv", b"origin\nEWR\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the key of this store")
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    monkeypatch.setenv("FLIGHTS_WEATHER_URL", f"{bucket}/in")
    with pytest.raises(LakeError) as unreadable:
        Lake.at(f"{bucket}/lake").open("silver", "t")
    with pytest.raises(SourceDownError) as down:
        list(DroppedFiles("FLIGHTS_WEATHER_URL", pa.schema([])).extract(NOTHING_READ))
    for failure in (unreadable, down):
        assert bucket.removeprefix("s3://") in str(failure.value)
        assert "not the key" not in str(failure.value)
