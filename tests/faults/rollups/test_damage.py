"""Files that lost a bit, and a disk that is full: answers stay right, and the next build mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.errors import DiskFullError
from flows.rollups import build_rollups
from semantic.project import Project
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, read_rollups
from semantic.service import SemanticLayer
from tests.faults.rollups.test_kill import MODEL, NOW, QUESTIONS, SEED, read_expected
from tests.golden.queries.layer import open_layer, publish

HEADERS = 3 * 4096  # of a DuckDB file; blocks follow
SIZE = 64 * 1024 * 1024
WIDE = (
    MODEL[: MODEL.index("    pre_aggregations")]
    + """
    pre_aggregations:
      - {name: all, measures: [count, amount, days], dimensions: [id, city], time_dimension: sold_at,
         granularity: minute}
"""
)


def ask(layer: SemanticLayer) -> tuple[list[set[tuple[object, ...]]], list[bool]]:
    """Return the answers, and which of them came from rollups."""
    results = [layer.load(parse_json(query), SecurityContext(), now=NOW) for query, _ in QUESTIONS]
    answers = [{tuple(row.values()) for row in result.table.to_pylist()} for result in results]
    return answers, [bool(result.rollups) for result in results]


def listed(serving: Path) -> set[str]:
    return {path.name for path in (serving / FOLDER).iterdir()} - {".publish.lock"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a rollup of several blocks."""
    folder = tmp_path_factory.mktemp("built")
    layer = open_layer(folder, WIDE, SEED)
    try:
        build_rollups(folder / "serving", layer.rollup_builds(("UTC",)))
    finally:
        layer.close()
    return folder


@pytest.mark.parametrize("tenth", range(10))
def test_one_flipped_bit_anywhere_is_mended_by_the_next_build(
    built: Path, tmp_path: Path, tenth: int
) -> None:
    """One place at a time: counting rows notices some of them, readers notice all."""
    folder = tmp_path / "copy"
    shutil.copytree(built, folder)
    serving = folder / "serving"
    [stored] = read_rollups(serving)
    path = serving / FOLDER / stored.file
    content = bytearray(path.read_bytes())
    content[HEADERS + 100 + tenth * (len(content) - HEADERS) // 10] ^= 0x10
    path.write_bytes(content)
    expected = read_expected(folder)
    layer = SemanticLayer.open(Project.open(folder), serving=serving, memory_limit="1GB")
    try:
        assert ask(layer)[0] == expected
        [run] = build_rollups(serving, layer.rollup_builds(("UTC",)))
        assert run.outcome == "built"
        assert ask(layer) == (expected, [True] * len(QUESTIONS))
    finally:
        layer.close()


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


@pytest.mark.parametrize("leave", [0, 20_000, 300_000])
def test_on_a_full_disk_what_is_in_service_stays_and_space_is_all_it_takes(
    small_disk: Path, leave: int
) -> None:
    serving = small_disk / "serving"
    layer = open_layer(small_disk, MODEL, SEED)
    try:
        expected = read_expected(small_disk)
        builds = layer.rollup_builds(("UTC",))
        build_rollups(serving, builds)
        before = read_rollups(serving)
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
        with ballast.open("wb") as stream:
            stream.write(b"\0" * (free - leave))
        with pytest.raises(DiskFullError, match="no space is left"):
            build_rollups(serving, builds, force=True)
        assert read_rollups(serving) == before
        assert listed(serving) == {item.file for item in before}
        assert ask(layer) == (expected, [True] * len(QUESTIONS))
        ballast.unlink()
        publish(serving, SEED, version=2)
        assert {run.outcome for run in build_rollups(serving, builds)} == {"built"}
        assert ask(layer) == (expected, [True] * len(QUESTIONS))
    finally:
        layer.close()
