"""`python -m deploy.demo.sources`, as the demo's supervisor runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[5]
DAYS = 12


def _play(folder: Path, days: int) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start the program; return it and its variables when it is ready."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    asked = ("--home", folder / "home", "--days", days, "--ready-file", ready)
    player = subprocess.Popen(
        [sys.executable, "-m", "deploy.demo.sources", *map(str, asked)],
        env={**os.environ, "TMPDIR": str(folder)},
        cwd=ROOT,
    )
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert player.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return player, json.loads(ready.read_text())


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary folder that the database's own user may enter, as /tmp is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def test_it_plays_all_systems_and_leaves_no_process_and_no_folder_behind(temporary: Path) -> None:
    player, urls = _play(temporary, DAYS)
    try:
        children = psutil.Process(player.pid).children(recursive=True)
        with psycopg.connect(urls["FLIGHTS_DATABASE_URL"]) as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM airlines), (SELECT count(*) FROM planes)"
            ).fetchone()
        with urllib.request.urlopen(f"{urls['FLIGHTS_API_URL']}/airports?per_page=5") as answer:
            page = json.load(answer)
        with urllib.request.urlopen(f"{urls['FLIGHTS_API_URL']}/health") as answer:
            assert answer.status == 200
    finally:
        player.terminate()
        assert player.wait(30) == 0
    assert counts == (16, 3322)
    assert (len(page["airports"]), page["total"]) == (5, 1458)
    assert children
    assert not [child for child in children if child.is_running()]
    assert not list(temporary.glob("ducat-operations-*"))

    hours = sorted(Path(urls["FLIGHTS_WEATHER_URL"]).rglob("*.csv"))
    # The 1st begins at 01:00 of the three airports' clocks: 06:00 UTC.
    assert hours[0].name == "weather-20130101T06.csv"
    assert pacsv.read_csv(hours[0]).num_rows == 3
    batches = sorted(Path(urls["FLIGHTS_BATCHES_URL"]).glob("*.parquet"))
    days = [file.stem.rpartition("_")[2] for file in batches]
    assert len(set(days)) == DAYS  # every day comes
    assert days != sorted(days)  # but not in order
    assert days.count("2013-01-09") == 2  # this one twice
    rows = {
        tuple(row[name] for name in ("day", "carrier", "flight", "origin", "sched_dep_time"))
        for file in batches
        for row in pq.read_table(file).to_pylist()
    }
    # 842, 943, 914, 915, 720, 832, 933, 899, 902, 932, 930, 690 flights of January 1 to 12.
    assert len(rows) == 10_452


def test_the_command_leaves_nothing_behind_after_ctrl_c(temporary: Path) -> None:
    project = temporary / "project"
    (project / "semantic" / "model").mkdir(parents=True)
    player = subprocess.Popen(
        [Path(sys.executable).parent / "ducat", "--project", project, "demo", "sources", "--days", "2"],
        env={**os.environ, "TMPDIR": str(temporary)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert player.stdout is not None
        lines = [player.stdout.readline() for _ in range(4)]
        urls = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        weather = Path(urls["FLIGHTS_WEATHER_URL"])
        assert weather.is_relative_to(project / ".ducat" / "sources")
        assert list(weather.rglob("*.csv"))
        player.send_signal(signal.SIGINT)
        assert player.wait(60) == 0
        assert not (project / ".ducat" / "sources").exists()
        assert not list(temporary.glob("ducat-operations-*"))
    finally:
        player.kill()
        player.wait()


def test_a_killed_player_leaves_no_database_and_the_next_one_tidies_up(temporary: Path) -> None:
    """`kill -9` while a client is connected: the server ends all the same; others are spared."""
    living, address = _play(temporary, 2)
    killed, urls = _play(temporary, 2)
    try:
        children = psutil.Process(killed.pid).children(recursive=True)
        with psycopg.connect(urls["FLIGHTS_DATABASE_URL"]):
            killed.kill()
            killed.wait()
            _, alive = psutil.wait_procs(children, timeout=20)
        assert children
        assert not alive
        assert len(list(temporary.glob("ducat-operations-*"))) == 2

        successor, urls = _play(temporary, 2)
        try:
            # The folder of the killed one is gone, that of the living one is not.
            assert len(list(temporary.glob("ducat-operations-*"))) == 2
            for each in (urls, address):
                psycopg.connect(each["FLIGHTS_DATABASE_URL"]).close()
        finally:
            successor.terminate()
            assert successor.wait(30) == 0
    finally:
        living.terminate()
        assert living.wait(30) == 0
    assert not list(temporary.glob("ducat-operations-*"))
