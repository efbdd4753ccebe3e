"""A disk that is really full: bronze stays as it was, and with space the rerun is right."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.errors import DiskFullError
from tests.faults.ingest import deliveries as feed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own, in memory; mounting one takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("bad", [False, True])
def test_a_full_disk_is_said_and_a_rerun_with_space_is_right(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: object
) -> None:
    drop, lake = tmp_path / "drop", small_disk / "lake"
    monkeypatch.setenv(feed.VARIABLE, str(drop))
    feed.deliver(drop, "1.csv", feed.rows_of(1))
    feed.ingest(lake)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        # The kernel writes what still fits, and then says that there is no space.
        while os.statvfs(small_disk).f_bavail:
            stream.write(b"\0" * 4096)
    header = "day,name" if bad else "day,number,name"
    rows = [(2, "b")] if bad else feed.rows_of(2, 2000)
    broken = feed.deliver(drop, "2.csv", rows, header)
    with pytest.raises(DiskFullError, match="no space is left"):
        feed.ingest(lake)
    assert feed.bronze(lake) == feed.rows_of(1)
    ballast.unlink()
    if bad:
        feed.deliver(drop, broken.name, feed.rows_of(2, 2000))
    feed.ingest(lake)
    expected = [*feed.rows_of(1), *feed.rows_of(2, 2000)]
    assert feed.bronze(lake) == sorted(expected, key=repr)
