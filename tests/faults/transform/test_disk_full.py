"""A disk that is really full: said so, the old tables stay, and with space the rerun is right."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.errors import DiskFullError
from tests.faults.transform import platform

SIZE = 64 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB of its own, in memory; mounting one takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Take all space of the disk but `leave` bytes."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    with ballast.open("wb") as stream:
        stream.write(b"\0" * (free - leave))
    return ballast


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a platform with a second load in bronze, and one that has brought it through."""
    folder = tmp_path_factory.mktemp("prepared")
    platform.deliver_first(folder)
    platform.run(folder)
    platform.deliver_second(folder)
    calm = tmp_path_factory.mktemp("calm") / "platform"
    shutil.copytree(folder, calm)
    platform.run(calm)
    return folder, calm


@pytest.mark.parametrize("leave", [0, 150_000, 1_500_000])
def test_wherever_the_disk_fills_up_the_old_tables_stay_and_a_rerun_is_right(
    small_disk: Path, prepared: tuple[Path, Path], leave: int
) -> None:
    before, calm = prepared
    shutil.copytree(before, small_disk, dirs_exist_ok=True)
    ballast = fill(small_disk, leave)
    with pytest.raises(DiskFullError, match="no space is left"):
        platform.run(small_disk)
    assert platform.served(small_disk) == platform.served(before)
    ballast.unlink()
    platform.run(small_disk)
    assert platform.served(small_disk) == platform.served(calm)
