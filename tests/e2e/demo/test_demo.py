"""`ducat demo check`, as a newcomer runs it: everything started, ten metrics compared, all stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]


def _ours() -> set[int]:
    """Return the processes that run below the project's folder."""
    found = set()
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(ROOT / ".ducat" / "demo") in line or "deploy.demo.sources" in line:
            found.add(process.info["pid"])
    return found


def test_every_face_says_what_sql_by_hand_says_and_nothing_is_left() -> None:
    """Ten metrics, six faces, one number; then no process and no folder remains."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DUCAT_", "FLIGHTS_", "PREFECT_", "SUPERSET_"))
    }
    outcome = subprocess.run(
        [Path(sys.executable).parent / "ducat", "demo", "check", "--days", "9"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "10 metrics are the same number in 6 faces, exactly" in outcome.stdout
    assert not (ROOT / ".ducat" / "demo").exists()
    assert _ours() == set()
