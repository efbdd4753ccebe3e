"""What a feed of files does to bronze when it misbehaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from flows.errors import SchemaChangedError, SourceMalformedError, SourceMissingError
from flows.lake import Lake
from flows.quarantine import list_quarantined, skip
from tests.faults.ingest import deliveries as feed

QUARANTINE = ("quarantine", "shop", "orders")


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    monkeypatch.setenv(feed.VARIABLE, str(folder))
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def at(path: Path, second: int) -> None:
    os.utime(path, (1_400_000_000 + second, 1_400_000_000 + second))


def in_quarantine(lake: Path) -> list[tuple[str, str]]:
    found = list_quarantined(Lake.at(str(lake)), "shop", "orders")
    return sorted((item.batch.partition("@")[0], item.code) for item in found)


def test_a_second_run_writes_nothing_and_makes_no_version(drop: Path, lake: Path) -> None:
    feed.deliver(drop, "1.csv", feed.rows_of(1))
    first = feed.ingest(lake)
    second = feed.ingest(lake)
    assert (first.rows_written, first.batches, first.version) == (3, 1, 0)
    assert (second.rows_written, second.batches, second.version) == (0, 0, None)
    assert feed.bronze(lake) == feed.rows_of(1)


def test_a_batch_that_arrives_again_as_another_file_is_a_batch_of_its_own(
    drop: Path, lake: Path
) -> None:
    at(feed.deliver(drop, "1.csv", feed.rows_of(1)), 1)
    feed.ingest(lake)
    at(feed.deliver(drop, "1-again.csv", feed.rows_of(1)), 2)
    feed.ingest(lake)
    assert feed.bronze(lake) == sorted(feed.rows_of(1) * 2, key=repr)
    assert feed.metadata(lake) == [("1.csv", 1, 1), ("1-again.csv", 2, 1)]


def test_batches_that_come_late_and_out_of_order_are_numbered_as_they_arrived(
    drop: Path, lake: Path
) -> None:
    for second, day in enumerate((3, 1)):
        at(feed.deliver(drop, f"day-{day}.csv", feed.rows_of(day)), second)
    feed.ingest(lake)
    late = feed.deliver(drop, "day-2.csv", feed.rows_of(2))
    at(late, -1000)  # older than everything that is known, as a copied file may be
    feed.ingest(lake)
    assert feed.metadata(lake) == [("day-3.csv", 1, 1), ("day-1.csv", 2, 1), ("day-2.csv", 3, 1)]
    expected = [*feed.rows_of(1), *feed.rows_of(2), *feed.rows_of(3)]
    assert feed.bronze(lake) == sorted(expected, key=repr)


def test_a_new_column_is_added_and_earlier_rows_have_no_value_there(drop: Path, lake: Path) -> None:
    at(feed.deliver(drop, "1.csv", feed.rows_of(1, 1)), 1)
    at(feed.deliver(drop, "2.csv", [(2, 0, "b", 7)], "day,number,name,gate"), 2)
    at(feed.deliver(drop, "3.csv", feed.rows_of(3, 1)), 3)
    feed.ingest(lake)
    assert feed.metadata(lake) == [("1.csv", 1, 1), ("2.csv", 2, 2), ("3.csv", 3, 2)]
    assert feed.bronze(lake) == [
        (1, 0, "order 1/0", None),
        (2, 0, "b", 7),
        (3, 0, "order 3/0", None),
    ]


@pytest.mark.parametrize(
    ("header", "row", "says"),
    [
        ("day,number,name", (2, "seven", "b"), "column number is string, it was int64"),
        ("day,name", (2, "b"), "column number (int64) is missing"),
        ("day,number,name,NAME", (2, 0, "b", "c"), "upper or lower case"),
        ("day,number,name,_batch_id", (2, 0, "b", "c"), "bronze's own"),
    ],
)
def test_a_batch_of_another_schema_stops_the_table_after_what_came_before_it(
    drop: Path, lake: Path, header: str, row: tuple[object, ...], says: str
) -> None:
    at(feed.deliver(drop, "1.csv", feed.rows_of(1)), 1)
    at(feed.deliver(drop, "2.csv", [row], header), 2)
    at(feed.deliver(drop, "3.csv", feed.rows_of(3)), 3)
    for _ in range(2):  # a rerun meets it again, and changes nothing
        with pytest.raises(SchemaChangedError) as refused:
            feed.ingest(lake)
        assert says in refused.value.message
        assert feed.bronze(lake) == feed.rows_of(1)
        assert in_quarantine(lake) == [("2.csv", "schema_changed")]
    folder = next(iter(lake.joinpath(*QUARANTINE).iterdir()))
    assert (folder / "batch.parquet").is_file()
    assert json.loads((folder / "reason.json").read_text())["code"] == "schema_changed"

    at(feed.deliver(drop, "2.csv", feed.rows_of(2)), 2)
    feed.ingest(lake)
    expected = [*feed.rows_of(1), *feed.rows_of(2), *feed.rows_of(3)]
    assert feed.bronze(lake) == sorted(expected, key=repr)


def test_a_batch_that_the_operator_skips_is_never_loaded_and_the_others_are(
    drop: Path, lake: Path
) -> None:
    at(feed.deliver(drop, "1.csv", [(1, "x", "a")]), 1)
    at(feed.deliver(drop, "2.csv", feed.rows_of(2)), 2)
    with pytest.raises(SchemaChangedError):
        feed.ingest(lake)
    held = next(list_quarantined(Lake.at(str(lake)), "shop", "orders"))
    skip(Lake.at(str(lake)), "shop", "orders", held.batch, now=feed.NOW)
    feed.ingest(lake)
    assert feed.bronze(lake) == feed.rows_of(2)


def cut(content: bytes) -> bytes:
    return content[:-5]


def cut_in_the_middle(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("2.csv", cut),
        ("2.csv", lambda _: b""),
        ("2.csv", lambda _: b"day,number,name\n1,2\n"),
        ("2.csv", lambda _: b"day,number,name\n1,2,\xff\xfe\n"),
        ("2.csv", lambda _: b"day,number,name,name\n1,2,a,b\n"),
        ("2.parquet", cut),
        ("2.parquet", cut_in_the_middle),
        ("2.parquet", lambda _: b""),
        ("2.parquet", lambda _: os.urandom(4096)),
    ],
)
def test_a_file_that_cannot_be_read_is_kept_byte_for_byte_and_read_once_it_is_whole(
    drop: Path, lake: Path, name: str, spoil: object
) -> None:
    at(feed.deliver(drop, "1.csv", feed.rows_of(1, 1)), 1)
    columns = {"day": pa.array([2]), "number": pa.array([0]), "name": pa.array(["order 2/0"])}
    if name.endswith(".parquet"):
        path = feed.deliver_parquet(drop, name, columns)
    else:
        path = feed.deliver(drop, name, feed.rows_of(2, 1))
    good = path.read_bytes()
    assert callable(spoil)
    bad = spoil(good)
    path.write_bytes(bad)
    at(path, 2)
    with pytest.raises(SourceMalformedError):
        feed.ingest(lake)
    assert feed.bronze(lake) == feed.rows_of(1, 1)
    assert in_quarantine(lake) == [(name, "source_malformed")]
    folder = next(iter(lake.joinpath(*QUARANTINE).iterdir()))
    assert (folder / "batch.raw").read_bytes() == bad

    path.write_bytes(good)
    feed.ingest(lake)
    assert feed.bronze(lake) == [*feed.rows_of(1, 1), *feed.rows_of(2, 1)]


def test_a_file_with_a_header_only_is_a_batch_of_no_rows(drop: Path, lake: Path) -> None:
    feed.deliver(drop, "1.csv", [])
    feed.deliver(drop, "2.csv", feed.rows_of(2))
    feed.ingest(lake)
    assert feed.bronze(lake) == feed.rows_of(2)
    assert in_quarantine(lake) == []


def test_a_file_that_is_still_being_written_under_a_hidden_name_is_left_alone(
    drop: Path, lake: Path
) -> None:
    feed.deliver(drop, ".1.csv", feed.rows_of(1))
    assert feed.ingest(lake).batches == 0


def test_an_address_that_is_not_set_is_named(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(feed.VARIABLE, raising=False)
    with pytest.raises(SourceMissingError, match=feed.VARIABLE):
        feed.ingest(lake)
