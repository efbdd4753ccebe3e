"""`ducat serve --workers N`: several processes behind one port, watched by one that does nothing else.

The supervisor binds the ports, makes the seats (`peers.py`) and forks; it imports nothing heavy and
has no threads. All workers accept from the same sockets, so a worker that dies takes no waiting
connection with it. It is replaced: at once, or later and later when it keeps dying. Only if no worker
ever served, the supervisor gives up, with the first one's exit code: what is wrong then is the
configuration. A worker that cannot start because the model's files became invalid is tried again,
while the others go on with the model they have.

SIGTERM and SIGINT go to every worker, which finishes what it began; who takes too long is killed.
When the supervisor itself is killed, a pipe ends, and the workers leave in order.
"""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click

from api.peers import Seat
from semantic.settings import Settings

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
PATIENCE_SECONDS: Final = (
    15.0  # beside the time to drain, longer than a worker needs to end in order
)
STEADY_SECONDS: Final = 10.0  # a worker that lived as long is replaced at once
LONGEST_PAUSE: Final = 10.0
_MEMORY: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*")


@dataclass(slots=True)
class _Worker:
    seat: Seat
    ready: int
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    pause: float = 0.1


class Supervisor:
    """Keeps `count` workers running."""

    def __init__(
        self, count: int, work: Callable[[Seat], None], postgres: socket.socket | None, drain: float
    ) -> None:
        """`work` serves in a seat until a signal. It runs in the workers only."""
        self._work = work
        self._patience = PATIENCE_SECONDS + drain
        self._alive, self._life = os.pipe()
        self._served = False
        owns = [_listen_privately() for _ in range(count)]
        boxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        self._workers: list[_Worker] = []
        for number in range(1, count + 1):
            read, write = os.pipe()
            os.set_blocking(read, False)
            seat = Seat(
                number, owns[number - 1], boxes[number - 1][0], tuple(box[1] for box in boxes),
                tuple(int(own.getsockname()[1]) for own in owns), self._alive, write, postgres,
            )  # fmt: skip
            self._workers.append(_Worker(seat, read))

    def run(self) -> int:
        """Run the workers until a signal, and return the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for worker in self._workers:
            self._start(worker)
        while True:
            got = signal.sigtimedwait(SIGNALS, self._wait_seconds())
            if got is not None and got.si_signo != signal.SIGCHLD:
                self._stop()
                return 0
            for worker in self._workers:
                code = self._reap(worker)
                if code is not None and not self._served:
                    self._hear_out()
                    self._stop()
                    return code
            for worker in self._workers:
                if not worker.pid and worker.due <= time.monotonic():
                    self._start(worker)

    def _hear_out(self) -> None:
        """Wait a little for the first worker, which says why none can start."""
        first = self._workers[0]
        deadline = time.monotonic() + STEADY_SECONDS
        while first.pid and not self._served and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.2)
            self._reap(first)

    def _wait_seconds(self) -> float:
        due = [worker.due for worker in self._workers if not worker.pid]
        return max(0.0, min(due) - time.monotonic()) if due else 60.0

    def _start(self, worker: _Worker) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        worker.started = time.monotonic()
        worker.pid = os.fork()
        if worker.pid:
            return
        os.close(self._life)
        os.setpgid(0, 0)  # Ctrl-C is for the supervisor, which tells the workers
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os._exit(_work(self._work, worker.seat))

    def _reap(self, worker: _Worker) -> int | None:
        """Return the exit code of a worker that has ended since the last look; else None."""
        with suppress(BlockingIOError):
            self._served = bool(os.read(worker.ready, 100)) or self._served
        if not worker.pid:
            return None
        ended, status = os.waitpid(worker.pid, os.WNOHANG)
        if not ended:
            return None
        code = os.waitstatus_to_exitcode(status)
        lived = time.monotonic() - worker.started
        worker.pause = 0.1 if lived > STEADY_SECONDS else min(LONGEST_PAUSE, worker.pause * 2)
        worker.due = time.monotonic() + worker.pause
        click.echo(f"worker {worker.seat.number} ended ({_describe(code)})", err=True)
        worker.pid = 0
        return code if code > 0 else 1

    def _stop(self) -> None:
        for worker in self._workers:
            self._signal(worker, signal.SIGTERM)
        deadline = time.monotonic() + self._patience
        while any(worker.pid for worker in self._workers) and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.2)
            for worker in self._workers:
                if worker.pid and os.waitpid(worker.pid, os.WNOHANG)[0]:
                    worker.pid = 0
        for worker in self._workers:
            if worker.pid:
                self._signal(worker, signal.SIGKILL)
                os.waitpid(worker.pid, 0)

    def _signal(self, worker: _Worker, number: signal.Signals) -> None:
        if worker.pid:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)


def divide(settings: Settings, count: int, number: int) -> Settings:
    """Return the settings of one worker of several: what the machine has is divided among them.

    Divided, and rounded up: queries at once, the memory of the engine and of kept answers, connections
    to a database. Limits of a caller and of connections hold in each worker. Each keeps a query log.
    """
    log = settings.query_log_path
    return settings.model_copy(
        update={
            "query_concurrency": math.ceil(settings.query_concurrency / count),
            "engine_connections": math.ceil(settings.engine_connections / count),
            "memory_limit": _divide_memory(settings.memory_limit, count),
            "cache_bytes": settings.cache_bytes // count,
            "query_log": log if number == 1 else log.with_stem(f"{log.stem}-{number}"),
        }
    )


def _divide_memory(text: str, count: int) -> str:
    match = _MEMORY.fullmatch(text)
    if match is None:
        return text  # the engine says what is wrong with it
    unit = match[2] or "B"
    return f"{float(match[1]) / count:.3f}{unit}"


def _listen_privately() -> socket.socket:
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    own.bind(("127.0.0.1", 0))
    own.listen(128)
    return own


def _work(work: Callable[[Seat], None], seat: Seat) -> int:
    """Run a worker and return its exit code: the outermost boundary of its process."""
    from semantic.errors import DucatError  # noqa: PLC0415

    try:
        work(seat)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    except DucatError as refused:
        if seat.number == 1:  # the others say the same
            click.echo(f"error[{refused.code}]: {refused.message}", err=True)
            if refused.suggestion:
                click.echo(f"hint: {refused.suggestion}", err=True)
        return 1
    except BaseException as failure:  # noqa: BLE001  whatever it is, the process ends with it
        import traceback  # noqa: PLC0415

        traceback.print_exception(failure)
        return 70
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
    return 0


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
