"""One caller cannot take all of a server: so many queries at once, and in a minute."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.asgi import limit_body
from api.auth import make_token
from api.callers import Callers
from api.errors import CallerLimitError, RequestTimeoutError
from tests.unit.api.conftest import SECRET, Site, run_server, wait_until

COUNT = {"query": {"measures": ["sales.count"]}}
# Two, for the same query of the same caller runs once.
SLOW = [{"query": {"measures": ["slow.greatest"], "limit": limit}} for limit in (1, 2)]
LOAD = "/cubejs-api/v1/load"


def headers(user: str) -> dict[str, str]:
    return {"authorization": make_token(SECRET, user=user)}


def test_a_caller_has_so_many_queries_at_once_and_others_are_not_touched() -> None:
    callers = Callers(2, 0)
    with ExitStack() as stack:
        stack.enter_context(callers.enter("ann"))
        stack.enter_context(callers.enter("ann"))
        with pytest.raises(CallerLimitError, match="2 queries"):
            stack.enter_context(callers.enter("ann"))
        stack.enter_context(callers.enter("bob"))
    with callers.enter("ann"):
        pass


def test_the_rate_fills_evenly_and_says_when_to_come_again() -> None:
    now = 0.0
    callers = Callers(10, 6, clock=lambda: now)
    for _ in range(6):
        with callers.enter("ann"):
            pass
    with pytest.raises(CallerLimitError) as refused:
        callers.enter("ann").__enter__()
    assert refused.value.retry_after == 10
    now = 10.0
    with callers.enter("ann"):
        pass
    with pytest.raises(CallerLimitError):
        callers.enter("ann").__enter__()


def test_a_body_that_drips_is_refused_when_its_time_is_over() -> None:
    async def drip() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read() -> None:
        receive = limit_body(drip, {}, seconds=0.2)
        while True:
            await receive()

    with pytest.raises(RequestTimeoutError):
        asyncio.run(read())


def test_a_server_refuses_the_query_over_the_limit_with_429_and_serves_others(
    site: Site, tmp_path: Path
) -> None:
    async def ask(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            slow = [
                asyncio.create_task(client.post(LOAD, json=query, headers=headers("ann")))
                for query in SLOW
            ]
            await asyncio.to_thread(
                wait_until,
                lambda: 'in_flight{face="rest"} 2.0' in httpx.get(f"{url}/metrics").text,
            )
            refused = await client.post(LOAD, json=COUNT, headers=headers("ann"))
            assert (refused.status_code, refused.json()["code"]) == (429, "caller_limit")
            assert int(refused.headers["retry-after"]) >= 1
            other = await client.post(LOAD, json=COUNT, headers=headers("bob"))
            assert other.json()["data"] == [{"sales.count": "400"}]
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    limits = {"DUCAT_CALLER_CONCURRENCY": "2", "DUCAT_CALLER_RATE": "5"}
    with run_server(site, tmp_path, **limits) as running:
        asyncio.run(ask(running.url))
        codes = [running.client.post(LOAD, json=COUNT, headers=headers("zoe")) for _ in range(6)]
        assert [item.status_code for item in codes] == [200] * 5 + [429]
        assert codes[-1].headers["retry-after"] == "12"


def test_pages_of_other_origins_are_let_in_by_the_setting_only(site: Site, tmp_path: Path) -> None:
    good, bad = "https://app.example", "https://evil.example"
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    with run_server(site, tmp_path, DUCAT_CORS_ORIGINS=good) as running:
        for origin, allowed in ((good, good), (bad, None)):
            before = running.client.options(LOAD, headers={"origin": origin, **asked})
            after = running.client.post(LOAD, json=COUNT, headers={"origin": origin})
            refused = running.client.post(LOAD, json={}, headers={"origin": origin})
            for answer in (before, after, refused):
                assert answer.headers.get("access-control-allow-origin") == allowed
        assert before.status_code == 400
        assert refused.status_code == 400


def test_half_a_request_does_not_keep_others_waiting(site: Site, tmp_path: Path) -> None:
    with run_server(site, tmp_path) as running, ExitStack() as stack:
        port = int(running.url.rpartition(":")[2])
        head = b"POST /cubejs-api/v1/load HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
        for sent in (b"", head, head + b"\r\n{", b"\x16\x03\x01\x00garbage\r\n\r\n"):
            for _ in range(25):
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                half.sendall(sent)
        assert running.load(COUNT["query"])["data"] == [{"sales.count": "400"}]
