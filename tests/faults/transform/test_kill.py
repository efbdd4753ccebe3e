"""A run that is killed at any step leaves the old tables in service, and a rerun makes it good."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.transform import platform
from tests.unit.flows import flights_data as data

# Where silver, the candidate file, the gold tables and the manifest are half-way. Each run goes on
# from what the one killed before it has left.
STEPS = (
    "stg_flights:commit",
    "fct_flights:rebuilt",
    "candidate:fct_flights",
    "gold:fct_weather_hourly",
    "serving:name",
    "serving:manifest",
)


@dataclass(frozen=True)
class Undisturbed:
    """A platform before its second load, and what it serves after it when nothing happens."""

    before: Path
    first: tuple[str, str]
    second: tuple[str, str]
    served: dict[str, list[tuple[Any, ...]]]
    gold: dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    platform.deliver_first(folder)
    platform.run(folder)
    first = platform.fingerprint(folder)
    platform.deliver_second(folder)
    before = tmp_path_factory.mktemp("before") / "platform"
    shutil.copytree(folder, before)
    platform.run(folder)
    return Undisturbed(
        before,
        first,
        platform.fingerprint(folder),
        platform.served(folder),
        data.gold_rows(platform.lake(folder)),
    )


def copy(undisturbed: Undisturbed, tmp_path: Path) -> Path:
    return shutil.copytree(undisturbed.before, tmp_path / "platform")


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.transform.{module}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at(folder: Path, step: str) -> None:
    """Run in a child and kill it (-9) while it stands at `step`."""
    child = start("platform", folder, step)
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == step:
            break
    else:
        _, errors = child.communicate()
        raise AssertionError(f"{step} was never reached: {errors}")
    child.kill()
    child.communicate()


def assert_made_good(folder: Path, undisturbed: Undisturbed) -> None:
    assert platform.served(folder) == undisturbed.served
    assert data.gold_rows(platform.lake(folder)) == undisturbed.gold
    assert not list(platform.serving(folder).glob(".candidate*"))


def test_a_kill_at_every_step_never_disturbs_readers_and_a_rerun_ends_the_same(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = copy(undisturbed, tmp_path)
    reader = start("reader", folder)
    for step in STEPS:
        kill_at(folder, step)
        assert platform.fingerprint(folder) == undisturbed.first, step
    kill_at(folder, "serving:published")
    assert platform.fingerprint(folder) == undisturbed.second
    platform.run(folder)
    time.sleep(0.5)
    (folder / "stop").touch()
    output, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors
    *answers, reads = output.splitlines()
    assert [tuple(answer.split(" ", 1)) for answer in answers] == [
        undisturbed.first,
        undisturbed.second,
    ]
    assert int(reads.split()[1]) > 10
    assert_made_good(folder, undisturbed)


def test_kills_at_random_moments_one_after_the_other_end_the_same(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = copy(undisturbed, tmp_path)
    chance = random.Random(20130101)
    for _ in range(3):
        child = start("platform", folder)
        assert child.stdout is not None
        child.stdout.readline()  # it has begun
        time.sleep(chance.uniform(0.0, 2.0))
        child.kill()
        child.communicate()
        assert platform.fingerprint(folder) in {undisturbed.first, undisturbed.second}
    platform.run(folder)
    assert platform.fingerprint(folder) == undisturbed.second
    assert_made_good(folder, undisturbed)
