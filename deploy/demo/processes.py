"""Child processes that are sure to end: each in its own process group, ended by its id.

A process writes to a log file of its own. `stop` asks politely (SIGTERM to the group), waits, then
insists (SIGKILL to the group), so that workers of workers go too. On Linux a child also gets
SIGTERM from the kernel when the thread that started it dies, so that `kill -9` of the demo leaves
nothing running. Therefore long-lived processes are started from the main thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.demo.interruption import raise_if_asked
from deploy.errors import ProcessFailedError, ToolMissingError

PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Let the kernel send this process a signal when the thread that started it dies.

    For `preexec_fn`: after a change of user, which would undo it.
    """
    _LIBC.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Process:
    """A started process and where its output goes."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.popen.poll() is None

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])


def start(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path
) -> Process:
    """Start a process with exactly this environment.

    Raises:
        ToolMissingError: the program does not exist.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            popen = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  (one system call, no locks)
            )
        except FileNotFoundError as missing:
            raise ToolMissingError(
                f"{name}: {command[0]} does not exist", suggestion="run `make setup`"
            ) from missing
    return Process(name, popen, log)


def run(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    seconds: float,
) -> None:
    """Run a process to its end.

    Raises:
        ProcessFailedError: it ended with a code other than 0 or took longer than `seconds`.
    """
    process = start(name, command, environment=environment, folder=folder, log=log)
    try:
        code = process.popen.wait(seconds)
    except subprocess.TimeoutExpired as late:
        raise ProcessFailedError(f"{name} took longer than {seconds:.0f} s; log: {log}") from late
    finally:
        stop(process)
    if code:
        raise ProcessFailedError(f"{name} ended with code {code}; log: {log}\n{process.tail()}")


def wait_until_healthy(process: Process, url: str, *, seconds: float) -> None:
    """Return when `url` answers 200.

    Raises:
        ProcessFailedError: the process ended, or did not answer in time.
    """
    deadline = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < deadline:
        require_running(process)
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  (loopback)
                if answer.status == 200:  # noqa: PLR2004
                    return
        except (urllib.error.URLError, OSError) as failure:
            last = str(failure)
        time.sleep(0.2)
    raise describe_failure(process, f"did not answer at {url} within {seconds:.0f} s ({last})")


def require_running(process: Process) -> None:
    """Raise a ProcessFailedError unless the process is running, a KeyboardInterrupt when asked to stop."""
    raise_if_asked()
    if not process.is_running:
        raise describe_failure(process, f"ended with code {process.popen.returncode}")


def describe_failure(process: Process, what: str) -> ProcessFailedError:
    """Return an error that says what happened to the process, with the end of its log."""
    return ProcessFailedError(f"{process.name} {what}; log: {process.log}\n{process.tail()}")


def stop(process: Process, *, seconds: float = 15) -> None:
    """End the process and everything that it started."""
    group = process.popen.pid
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    try:
        process.popen.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        process.popen.wait()
