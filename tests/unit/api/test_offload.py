"""Work in threads: bounded, with a deadline, and stopped when nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from api import offload
from api.errors import BusyError
from api.offload import Offload
from semantic.errors import QueryCancelledError, QueryTimeoutError

T = TypeVar("T")
SOON = 10.0


def wait_cancelled(cancelled: threading.Event) -> str:
    return "stopped" if cancelled.wait(SOON) else "never stopped"


def test_work_returns_and_raises_through() -> None:
    async def scenario() -> None:
        pool = Offload(1, SOON)
        assert await pool.run(lambda _: 42) == 42

        def fail(_: threading.Event) -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            await pool.run(fail)
        pool.close()

    asyncio.run(scenario())


def test_no_more_than_the_limit_run_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(_: threading.Event) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1

    async def scenario() -> None:
        pool = Offload(2, SOON)
        await asyncio.gather(*(pool.run(work) for _ in range(10)))
        pool.close()

    asyncio.run(scenario())
    assert most == 2


def test_the_deadline_stops_the_work_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "GRACE_SECONDS", 0.0)
    outcome = _run_abandoned(
        lambda pool, work: pool.run(work), deadline=0.05, raises=QueryTimeoutError
    )
    assert outcome == "stopped"


def test_a_caller_that_leaves_stops_its_work() -> None:
    async def leave() -> None:
        await asyncio.sleep(0.02)

    outcome = _run_abandoned(
        lambda pool, work: pool.run(work, gone=leave()), deadline=SOON, raises=QueryCancelledError
    )
    assert outcome == "stopped"


def test_too_many_waiting_are_refused_at_once() -> None:
    async def scenario() -> None:
        pool = Offload(1, SOON)
        places = 1 + offload.WAITING_PER_SLOT
        tasks = [asyncio.create_task(pool.run(wait_cancelled)) for _ in range(places)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await pool.run(wait_cancelled)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pool.close()

    asyncio.run(scenario())


def test_close_stops_what_runs() -> None:
    async def scenario() -> str:
        pool = Offload(1, SOON)
        task = asyncio.create_task(pool.run(wait_cancelled))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(pool.close)
        return await task

    assert asyncio.run(scenario()) == "stopped"


def _run_abandoned(
    start: Callable[[Offload, Callable[[threading.Event], None]], object],
    *,
    deadline: float,
    raises: type[Exception],
) -> str:
    outcome: list[str] = []

    def work(cancelled: threading.Event) -> None:
        outcome.append(wait_cancelled(cancelled))

    async def scenario() -> None:
        pool = Offload(1, deadline)
        with pytest.raises(raises):
            await start(pool, work)  # type: ignore[misc]
        await asyncio.to_thread(pool.close)

    asyncio.run(scenario())
    return outcome[0]
