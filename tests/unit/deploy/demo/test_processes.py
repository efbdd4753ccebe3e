"""Processes that the demo starts are sure to end, and their failures explain themselves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.demo import processes
from deploy.demo.ports import find_port, is_free
from deploy.errors import ProcessFailedError, ToolMissingError

ROOT = Path(__file__).parents[4]


def _start(tmp_path: Path, code: str) -> processes.Process:
    return processes.start(
        "child",
        (sys.executable, "-c", code),
        environment=os.environ,
        folder=tmp_path,
        log=tmp_path / "child.log",
    )


def _wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def test_stopping_a_process_ends_what_it_started_too(tmp_path: Path) -> None:
    """The grandchild ignores SIGTERM and is gone all the same."""
    grandchild = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    child = _start(
        tmp_path,
        "import subprocess, sys, time, pathlib\n"
        f"p = subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        "pathlib.Path('pid').write_text(str(p.pid))\n"
        "time.sleep(600)",
    )
    pid = int(_wait_for(tmp_path / "pid"))
    time.sleep(0.5)
    processes.stop(child, seconds=3)
    assert not child.is_running
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    code = (
        "import os, sys, time, pathlib\n"
        "from deploy.demo import processes\n"
        "p = processes.start('child', (sys.executable, '-c', 'import time; time.sleep(600)'),\n"
        "    environment=os.environ, folder=pathlib.Path('.'), log=pathlib.Path('child.log'))\n"
        "pathlib.Path('pid').write_text(str(p.popen.pid))\n"
        "time.sleep(600)"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    pid = int(_wait_for(tmp_path / "pid"))
    time.sleep(0.3)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_ends_early_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = _start(tmp_path, "import sys; print('the reason'); sys.exit(3)")
    with pytest.raises(ProcessFailedError, match="code 3") as caught:
        processes.wait_until_healthy(child, "http://127.0.0.1:9/", seconds=20)
    assert "the reason" in str(caught.value)


def test_a_process_that_never_answers_is_an_error(tmp_path: Path) -> None:
    child = _start(tmp_path, "import time; time.sleep(600)")
    try:
        with pytest.raises(ProcessFailedError, match="did not answer"):
            processes.wait_until_healthy(child, f"http://127.0.0.1:{find_port()}/", seconds=1)
    finally:
        processes.stop(child)


def test_a_program_that_does_not_exist_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="make setup"):
        processes.start(
            "ghost",
            (str(tmp_path / "ghost"),),
            environment=os.environ,
            folder=tmp_path,
            log=tmp_path / "ghost.log",
        )


def test_a_port_in_use_is_not_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert find_port(port) != port
