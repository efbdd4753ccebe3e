"""Cube's long poll: a long query is answered `Continue wait`, and found by the same request again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.rest.waiting import Waiting
from semantic.errors import QueryCancelledError
from tests.unit.api.conftest import Server, Site, run_server, wait_until

LOAD = "/cubejs-api/v1/load"
# 400 ^ 3 rows: some seconds of work on the small machine, more than the half second of patience.
LONG = {"measures": ["slow.greatest"]}


@pytest.fixture(scope="module")
def impatient(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("impatient")
    settings = {"DUCAT_CONTINUE_WAIT_SECONDS": "0.5", "DUCAT_QUERY_TIMEOUT_SECONDS": "4"}
    with run_server(site, folder, **settings) as running:
        yield running


def running(server: Server) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    found = (line for line in lines if line.startswith('ducat_queries_in_flight{face="rest"}'))
    return float(next(found, "x 0").split()[1])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_same_request_finds_the_query_that_runs_until_its_end(
    impatient: Server, method: str
) -> None:
    """This one ends at its deadline, so the last poll brings the error, and only one query ran."""
    sent: dict[str, Any] = {"params": {"query": json.dumps(LONG)}}
    if method == "POST":
        sent = {"json": {"query": LONG}}
    answers = []
    for number in range(20):
        headers = {"x-request-id": f"poll-{method}-span-{number}"}
        answer = impatient.client.request(method, LOAD, headers=headers, **sent)
        answers.append((answer.status_code, answer.json().get("error")))
        assert running(impatient) <= 1
        if answer.status_code != 200:
            break
    assert set(answers[:-1]) == {(200, "Continue wait")}
    assert len(answers) > 1  # how many is the machine's business
    assert answers[-1][0] == 504
    log = (impatient.site.home / "query-log.ndjson").read_text().splitlines()
    mine = [line for line in map(json.loads, log) if line["requestId"].startswith(f"poll-{method}")]
    assert [line["code"] for line in mine] == ["query_timeout"]


def test_a_query_that_nobody_comes_back_for_is_cancelled(impatient: Server) -> None:
    url, headers = impatient.url + LOAD, impatient.client.headers
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json={"query": {**LONG, "limit": 7}}, headers=headers, timeout=0.2)
    wait_until(lambda: running(impatient) == 0)


def test_quick_queries_are_answered_at_once(impatient: Server) -> None:
    assert impatient.load({"measures": ["sales.count"]})["data"] == [{"sales.count": "400"}]


async def work(seconds: float, log: list[str]) -> str:
    log.append("started")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    return "done"


def test_what_nobody_fetches_ends_when_its_grace_is_over() -> None:
    async def check() -> None:
        log: list[str] = []
        waiting: Waiting[str] = Waiting(grace=0.05)
        assert await waiting.answer("k", lambda: work(60, log), patience=0.01) is None
        assert len(waiting) == 1
        await asyncio.sleep(0.2)
        assert (log, len(waiting)) == (["started", "cancelled"], 0)

    asyncio.run(check())


def test_an_answer_is_kept_for_the_caller_that_was_told_to_come_again() -> None:
    async def check() -> None:
        log: list[str] = []
        waiting: Waiting[str] = Waiting(grace=60)
        assert await waiting.answer("k", lambda: work(0.05, log), patience=0.01) is None
        await asyncio.sleep(0.1)
        assert await waiting.answer("k", lambda: work(60, log), patience=10) == "done"
        assert (log, len(waiting)) == (["started"], 0)

    asyncio.run(check())


def test_a_caller_that_leaves_cancels_only_what_nobody_else_waits_for() -> None:
    async def check() -> None:
        log: list[str] = []
        waiting: Waiting[str] = Waiting()
        leaving = asyncio.sleep(0.02)
        first = asyncio.create_task(
            waiting.answer("k", lambda: work(0.1, log), patience=10, gone=leaving)
        )
        second = asyncio.create_task(waiting.answer("k", lambda: work(9, log), patience=10))
        with pytest.raises(QueryCancelledError):
            await first
        assert await second == "done"
        alone = waiting.answer("j", lambda: work(9, log), patience=10, gone=asyncio.sleep(0.01))
        with pytest.raises(QueryCancelledError):
            await alone
        await asyncio.sleep(0)
        assert log == ["started", "started", "cancelled"]

    asyncio.run(check())


def test_what_has_ended_is_not_found_again_while_others_still_hold_it() -> None:
    """Else a stream of callers keeps an old answer alive, and those who may use it once ask for ever."""

    async def check() -> None:
        waiting: Waiting[int] = Waiting()
        started: list[int] = []
        later: list[asyncio.Task[int | None]] = []

        async def start() -> int:
            started.append(len(started))
            number = started[-1]
            await asyncio.sleep(0.01)
            if not later:  # asks when this one has ended, and its caller has not been woken yet
                asyncio.get_running_loop().call_soon(
                    lambda: later.append(asyncio.create_task(ask()))
                )
            return number

        async def ask() -> int | None:
            held.append("k" in waiting)
            return await waiting.answer("k", start, patience=10)

        held: list[bool] = []
        assert await ask() == 0
        assert await later[0] == 1
        assert (held, len(waiting)) == ([False, True], 0)

    asyncio.run(check())
