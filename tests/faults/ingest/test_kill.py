"""Processes that are killed, or that race, while they write bronze."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.ingest import deliveries as feed

BATCHES = 12


def start(lake: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.ingest.deliveries", str(lake)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    drop = tmp_path / "drop"
    for day in range(BATCHES):
        feed.deliver(drop, f"{day:03d}.csv", feed.rows_of(day))
    monkeypatch.setenv(feed.VARIABLE, str(drop))
    return tmp_path / "lake"


EXPECTED = sorted((row for day in range(BATCHES) for row in feed.rows_of(day)), key=repr)


def test_runs_killed_at_any_moment_leave_whole_batches_and_a_rerun_ends_the_same(
    lake: Path,
) -> None:
    chance = random.Random(5)
    for _ in range(4):
        child = start(lake)
        assert child.stdout is not None
        stop_after = chance.randrange(1, 4)
        for line in child.stdout:
            if line.startswith("writing"):
                stop_after -= 1
            if stop_after == 0:
                time.sleep(chance.random() * 0.02)
                break
        child.kill()
        child.communicate()
        found = feed.bronze(lake)
        days = {row[0] for row in found}
        assert found == sorted(
            (row for day in range(BATCHES) if day in days for row in feed.rows_of(day)), key=repr
        )
    feed.ingest(lake)
    assert feed.bronze(lake) == EXPECTED


def test_two_processes_at_once_write_each_batch_once(lake: Path) -> None:
    children = [start(lake), start(lake)]
    for child in children:
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
    assert feed.bronze(lake) == EXPECTED
    assert [number for _, number, _ in feed.metadata(lake)] == list(range(1, BATCHES + 1))
