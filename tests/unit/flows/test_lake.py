"""The lake: names, commits under contention, what storage failures become, what may be read."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError

from flows.errors import DiskFullError, LakeConflictError, LakeError
from flows.lake import Lake, commit_with_retries, lake_errors, read_dataset, read_difference

ROWS = pa.table({"a": [1, 2, 3]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def append(lake: Lake, rows: pa.Table = ROWS) -> int:
    return lake.commit(lake.open("silver", "t"), rows, "silver", "t", mode="append")


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a\\b", "a\nb", "a..b"])
def test_a_name_that_could_leave_the_lake_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(LakeError, match="not the name of a lake table"):
        lake.uri("bronze", "flights", name)


def test_a_table_that_was_never_written_is_none(lake: Lake) -> None:
    assert lake.open("silver", "t") is None
    assert lake.open_version(3, "silver", "t") is None


def test_a_table_that_cannot_be_read_is_an_error_and_not_none(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "silver" / "t" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not json")
    with pytest.raises(LakeError, match="silver/t") as caught:
        lake.open("silver", "t")
    assert "\n" not in caught.value.message


def test_a_commit_records_rows_and_state_together(lake: Lake) -> None:
    version = lake.commit(
        None, ROWS, "silver", "t", mode="overwrite", transactions={"in": 7}, metadata={"k": "v"}
    )
    table = lake.open("silver", "t")
    assert table is not None
    assert (version, table.version(), table.transaction_version("in")) == (0, 0, 7)
    assert table.history(1)[0]["k"] == "v"


def test_a_commit_on_an_outdated_table_fails_whatever_was_written(lake: Lake) -> None:
    append(lake)
    outdated = lake.open("silver", "t")
    append(lake)
    with pytest.raises(CommitFailedError):
        lake.commit(outdated, ROWS, "silver", "t", mode="append")
    with pytest.raises(CommitFailedError):
        lake.commit(None, ROWS, "silver", "t", mode="append")


def test_writers_at_once_each_commit_exactly_once_also_when_they_create_the_table(
    lake: Lake,
) -> None:
    start = threading.Barrier(6)
    versions: list[int] = []

    def write() -> None:
        start.wait(10)
        versions.append(commit_with_retries(lambda: append(lake), table="t"))

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table = lake.open("silver", "t")
    assert table is not None
    assert sorted(versions) == list(range(6))
    assert table.count() == 6 * 3


def test_losing_every_time_is_a_conflict() -> None:
    tries = []

    def lose() -> None:
        tries.append(1)
        raise CommitFailedError("someone was first")

    with pytest.raises(LakeConflictError, match="another writer kept winning the commit, 3 times"):
        commit_with_retries(lose, table="t", attempts=3)
    assert len(tries) == 3


def test_a_deletion_of_rows_by_vectors_is_refused(lake: Lake, tmp_path: Path) -> None:
    append(lake)
    # What an engine that writes deletion vectors declares of the table.
    entry = {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["deletionVectors"],
            "writerFeatures": ["deletionVectors"],
        }
    }
    log = tmp_path / "silver" / "t" / "_delta_log" / "00000000000000000001.json"
    log.write_text(json.dumps(entry))
    table = lake.open("silver", "t")
    assert table is not None
    with pytest.raises(LakeError, match="deletion vectors"):
        read_dataset(table)


def test_the_difference_of_two_versions_is_the_appended_rows(lake: Lake) -> None:
    append(lake)
    older = lake.open("silver", "t")
    append(lake, pa.table({"a": [4]}))
    newer = lake.open("silver", "t")
    assert older is not None
    assert newer is not None
    difference = read_difference(older, newer)
    assert difference is not None
    (part,) = difference
    assert part.to_table().to_pydict() == {"a": [4]}
    assert read_difference(newer, newer) == ()


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        duckdb.IOException('IO Error: Could not write file "x": No space left on device'),
    ],
)
def test_no_space_is_said_so(error: Exception) -> None:
    with pytest.raises(DiskFullError, match="no space is left"), lake_errors("t"):
        raise error


def test_object_storage_takes_the_usual_variables_and_folders_none() -> None:
    variables = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
        "HOME": "/home",
    }
    assert dict(Lake.at("s3://bucket/lake", variables).storage_options) == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
        "AWS_ALLOW_HTTP": "true",
    }
    assert dict(Lake.at("/tmp/lake", variables).storage_options) == {}
    assert Lake.at("s3://bucket/lake/", variables).uri("gold", "t") == "s3://bucket/lake/gold/t"
