"""`ducat flows`: what can be known without running a pipeline."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import flows, split_days
from flows.errors import BackfillError
from semantic.errors import ProjectError, SnapshotError
from semantic.snapshot import (
    QualityState,
    Snapshot,
    TableSnapshot,
    publish_snapshot,
    write_checks,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without pipelines, alone in its environment."""
    (tmp_path / "semantic" / "model").mkdir(parents=True)
    monkeypatch.setenv("DUCAT_PROJECT", str(tmp_path))
    return tmp_path


def test_a_range_is_split_into_groups_that_cover_it_once() -> None:
    chunks = split_days(date(2013, 1, 30), date(2013, 3, 2), 10)
    days = [day for chunk in chunks for day in chunk]
    assert days == [date(2013, 1, 30) + timedelta(days=offset) for offset in range(32)]
    assert [len(chunk) for chunk in chunks] == [10, 10, 10, 2]


def test_a_reversed_range_is_refused() -> None:
    with pytest.raises(BackfillError, match="is after"):
        split_days(date(2013, 2, 1), date(2013, 1, 1), 10)


def test_a_range_in_groups_of_nothing_is_refused() -> None:
    with pytest.raises(BackfillError, match="not positive"):
        split_days(date(2013, 1, 1), date(2013, 1, 1), 0)


def test_the_status_without_a_snapshot_says_what_to_do(project: Path) -> None:
    outcome = CliRunner().invoke(flows, ["status"])
    assert isinstance(outcome.exception, SnapshotError)
    assert "ducat flows run" in str(outcome.exception)


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(flows, ["status"], obj=tmp_path)
    assert isinstance(outcome.exception, ProjectError)


def test_the_status_shows_freshness_quality_and_a_failed_newer_check(project: Path) -> None:
    serving = project / ".ducat" / "serving"
    serving.mkdir(parents=True)
    (serving / "gold-1.duckdb").touch()
    now = datetime.now(UTC)
    table = TableSnapshot(
        "fct_flights",
        3,
        842,
        datetime(2013, 1, 1, 23, 59, tzinfo=UTC),
        now,
        QualityState("passed", now),
    )
    publish_snapshot(serving, Snapshot("abc", "gold-1.duckdb", now, (table,)))
    write_checks(serving, {"fct_flights": QualityState("failed", now, ("key is not unique",))})
    outcome = CliRunner().invoke(flows, ["status"])
    assert outcome.exit_code == 0
    assert "842 rows" in outcome.output
    assert "data until 2013-01-01 23:59" in outcome.output
    assert "newest check of fct_flights FAILED: key is not unique" in outcome.output
