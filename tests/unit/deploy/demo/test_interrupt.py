"""Ctrl-C while the demo starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[4]
SET_UP = "superset_initialise.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project like ours, with a folder of its own for a demo, where Superset's set-up never ends."""
    for folder in ("semantic/model", "flows/pipelines", "quality/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    superset = tmp_path / ".venv-superset"
    (superset / "bin").mkdir(parents=True)
    (superset / "lib").symlink_to(ROOT / ".venv-superset" / "lib")
    (superset / "bin" / "gunicorn").symlink_to(ROOT / ".venv-superset" / "bin" / "gunicorn")
    endless = superset / "bin" / "python"
    endless.write_text("#!/bin/sh\nsleep 600\nexit 1\n")
    endless.chmod(0o755)
    return tmp_path


@pytest.fixture
def demo(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has begun to start."""
    process = subprocess.Popen(
        [Path(sys.executable).parent / "ducat", "--project", project, "demo", "run", "--days", "2"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def _find_all(demo: psutil.Process) -> list[psutil.Process]:
    """Return what the demo started, once Superset's set-up is among it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert demo.is_running()
        found = demo.children(recursive=True)
        for child in found:
            try:
                if any(word.endswith(SET_UP) for word in child.cmdline()):
                    return found
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.1)
    raise AssertionError(f"{SET_UP} was never started")


def test_a_second_ctrl_c_leaves_nothing_running(demo: subprocess.Popen[str]) -> None:
    """Superset's set-up is ended with what it started, not waited for and not left behind."""
    started = _find_all(psutil.Process(demo.pid))
    demo.send_signal(signal.SIGINT)
    time.sleep(0.3)
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert "stopping…" in said, said
    assert "nothing is left running" in said, said
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []


LOSE = """
import os, signal, sys
from pathlib import Path
from deploy.demo import interruption, processes
interruption.listen()

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(10))  # the handler raises here, where Python drops what is raised

os.register_at_fork(after_in_parent=interrupt)
folder = Path(sys.argv[1])
child = processes.start(
    "child", ("sleep", "600"), environment=os.environ, folder=folder, log=folder / "log"
)
print("lost", flush=True)
try:
    processes.wait_until_healthy(child, "http://127.0.0.1:9/", seconds=5)
except KeyboardInterrupt:
    print("and found")
finally:
    processes.stop(child)
"""


def test_ctrl_c_while_a_process_is_started_is_not_lost(tmp_path: Path) -> None:
    """Python drops what a signal handler raises among the callbacks of a fork."""
    outcome = subprocess.run(
        [sys.executable, "-c", LOSE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.stdout.split("\n")[:2] == ["lost", "and found"], outcome.stderr
