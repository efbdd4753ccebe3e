"""The manifest of what is served is replaced whole, and anything else is refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from semantic.errors import SnapshotError
from semantic.snapshot import (
    QualityState,
    Snapshot,
    TableSnapshot,
    identify,
    publish_snapshot,
    read_checks,
    read_snapshot,
    replace_file,
    write_checks,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _snapshot(version: int) -> Snapshot:
    tables = (
        TableSnapshot("fct", version, 10, NOW, NOW, QualityState("passed", NOW)),
        TableSnapshot("dim", 1, 2, None, NOW, QualityState("failed", NOW, ("3 nulls",))),
    )
    return Snapshot(identify(tables), f"gold-{version}.duckdb", NOW, tables)


def test_a_published_snapshot_is_read_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "gold-1.duckdb").touch()
    publish_snapshot(tmp_path, _snapshot(1))
    assert read_snapshot(tmp_path) == _snapshot(1)


def test_the_same_versions_have_the_same_id_in_any_order() -> None:
    tables = _snapshot(1).tables
    assert identify(tables) == identify(tuple(reversed(tables)))
    assert identify(tables) != identify(_snapshot(2).tables)


def test_a_snapshot_whose_file_is_missing_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="does not exist"):
        publish_snapshot(tmp_path, _snapshot(1))
    with pytest.raises(SnapshotError, match="no tables are in service"):
        read_snapshot(tmp_path)


def test_where_only_a_demo_serves_tables_the_hint_names_its_home(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    (demo / "serving").mkdir(parents=True)
    with pytest.raises(SnapshotError) as before:
        read_snapshot(tmp_path / "serving")
    (demo / "serving" / "gold-1.duckdb").touch()
    publish_snapshot(demo / "serving", _snapshot(1))
    with pytest.raises(SnapshotError) as while_it_runs:
        read_snapshot(tmp_path / "serving")
    assert "DUCAT_HOME" not in str(before.value)
    assert f"DUCAT_HOME={demo}," in str(while_it_runs.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format": 1}', b'{"format": 2, "id": "x"}', b"\xff\xfe"],
)
def test_a_damaged_manifest_is_an_error_that_says_what_to_do(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "current.json").write_bytes(content)
    with pytest.raises(SnapshotError) as caught:
        read_snapshot(tmp_path)
    assert "ducat flows run" in str(caught.value)


def test_new_checks_leave_the_checks_of_other_tables(tmp_path: Path) -> None:
    passed, failed = QualityState("passed", NOW), QualityState("failed", NOW, ("late",))
    write_checks(tmp_path, {"a": passed, "b": passed})
    write_checks(tmp_path, {"b": failed})
    assert read_checks(tmp_path) == {"a": passed, "b": failed}


def test_a_file_that_cannot_be_replaced_keeps_its_content_and_leaves_no_litter(
    tmp_path: Path,
) -> None:
    target = tmp_path / "file"
    target.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(target, b"new")
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
