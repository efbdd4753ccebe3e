"""`python -m deploy.demo.sources`, as the demo's supervisor runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

DAYS = 12


def test_it_plays_all_systems_and_leaves_no_process_behind(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    asked = ("--home", tmp_path / "home", "--days", DAYS, "--ready-file", ready)
    player = subprocess.Popen(
        [sys.executable, "-m", "deploy.demo.sources", *map(str, asked)],
    )
    try:
        deadline = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < deadline:
            assert player.poll() is None
            time.sleep(0.05)
        urls = json.loads(ready.read_text())
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
