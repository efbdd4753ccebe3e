"""Large answers: a million rows, callers that leave or do not read, answers that break midway."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pyarrow as pa
import pytest

import semantic
from semantic.client import BrokenAnswerError, UnreachableError
from semantic.client.wire import ARROW, END_OF_STREAM
from tests.unit.api.conftest import Server, Site, wait_until
from tests.unit.dashboards_plugin.test_dbapi import _certified
from tests.unit.semantic.client.conftest import ROWS, ROWS_QUERY, play

LOAD = "/cubejs-api/v1/load"


def read_code(site: Site, request_id: str) -> str | None:
    log = site.home / "query-log.ndjson"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    found = [line["code"] for line in lines if line["requestId"] == request_id]
    return found[0] if found else None


def start(big: Server, request_id: str, query: Any = ROWS_QUERY) -> Any:
    headers = {**big.client.headers, "accept": ARROW, "x-request-id": request_id}
    return httpx.stream("POST", big.url + LOAD, json={"query": query}, headers=headers, timeout=60)


def count_in_flight(big: Server) -> float:
    lines = httpx.get(f"{big.url}/metrics").text.splitlines()
    found = (line for line in lines if line.startswith('ducat_queries_in_flight{face="arrow"}'))
    return float(next(found, "x 0").split()[1])


def test_a_million_rows_reach_polars_and_pandas(big: Server, big_site: Site, token: str) -> None:
    with semantic.connect(big.url, token=token) as ducat:
        answer = ducat.query(ROWS_QUERY)
        frame, pandas = answer.to_polars(), answer.to_pandas()
    [expected] = big_site.ask(
        "SELECT count(*), sum(id), sum(price), sum(number), count(number), max(sold_at), "
        "sum(length(name)) FROM gold.big"
    )
    found = frame.select(
        pl.len(), pl.col("big.id").sum(), pl.col("big.price").sum(), pl.col("big.number").sum(),
        pl.col("big.number").count().alias("known"), pl.col("big.sold_at").max(),
        pl.col("big.name").str.len_chars().sum(),
    )  # fmt: skip
    assert found.row(0) == expected
    assert pandas.shape == (ROWS, 5)
    assert (pandas["big.price"].sum(), pandas["big.number"].count()) == (expected[2], expected[4])


def test_a_caller_that_leaves_midway_ends_its_query(big: Server, big_site: Site) -> None:
    for number in range(5):
        request_id = f"left-midway-{number}"
        with start(big, request_id) as response:
            assert response.status_code == 200
            next(response.iter_raw())
        wait_until(lambda name=request_id: read_code(big_site, name) is not None)  # type: ignore[misc]
        assert read_code(big_site, request_id) == "query_cancelled"
    assert count_in_flight(big) == 0
    assert big.load({"measures": ["sales.count"]})["data"] == [{"sales.count": "400"}]


def test_callers_that_do_not_read_hold_up_nobody(big: Server) -> None:
    """Six answers are open and unread, on a server that runs two queries at once."""
    with ExitStack() as stack:
        opened = [stack.enter_context(start(big, f"unread-{number}")) for number in range(6)]
        assert [response.status_code for response in opened] == [200] * 6
        assert count_in_flight(big) == 6
        assert big.load({"measures": ["sales.count"]})["data"] == [{"sales.count": "400"}]
        # And each of them is whole when it is read at last.
        rows = pa.ipc.open_stream(opened[3].read()).read_all()
        assert rows.num_rows == ROWS
    wait_until(lambda: count_in_flight(big) == 0)


def test_two_who_ask_the_same_at_once_both_get_every_row(big: Server, token: str) -> None:
    def ask(_: int) -> int:
        with semantic.connect(big.url, token=token) as ducat:
            return int(ducat.query(dimensions=["big.id"], order=[]).to_arrow().num_rows)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [ROWS] * 4


def test_a_failure_midway_breaks_the_answer(big: Server, big_site: Site, token: str) -> None:
    query = {"dimensions": ["big.broken", "big.name"], "ungrouped": True, "order": []}
    with start(big, "broken-midway", query) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            response.read()
    assert read_code(big_site, "broken-midway") == "engine_error"
    with semantic.connect(big.url, token=token) as ducat:
        with pytest.raises(BrokenAnswerError, match="before its end") as broken:
            ducat.query(query).to_arrow()
        assert broken.value.suggestion is not None


def test_an_interrupt_stops_the_query(big: Server, big_site: Site, token: str) -> None:
    script = (
        # A shell that starts the tests in its background makes them ignore interrupts.
        "import semantic, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"with semantic.connect({big.url!r}, token={token!r}) as ducat:\n"
        "    print('asking', flush=True)\n"
        "    ducat.query(measures=['slow.greatest'], segments=[], timezone='Europe/Oslo').to_arrow()"
    )
    root = Path(__file__).parents[4]
    client = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"asking\n"
    wait_until(lambda: count_in_flight(big) > 0)
    client.send_signal(signal.SIGINT)
    _, errors = client.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    wait_until(lambda: count_in_flight(big) == 0)


def whole_answer() -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"a": list(range(10))})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def answer_with(body: bytes, kind: str = ARROW, status: int = 200) -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.end_headers()  # HTTP/1.0 without a length: the end of the bytes is the end
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize("missing", [1, len(END_OF_STREAM), len(END_OF_STREAM) + 8, 10_000])
def test_an_answer_without_its_end_is_none(missing: int) -> None:
    with (
        play(answer_with(whole_answer()[:-missing])) as address,
        semantic.connect(address, token="x") as ducat,
        pytest.raises(BrokenAnswerError),
    ):
        ducat.query(measures=["a.b"]).to_arrow()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"data": [{"a.b": "1"}]}', "application/json", 200),
        (b"[]", "application/json", 200),
        (b"<html>", "text/html", 200),
        (b"<html>", "text/html", 502),
        (b"", "text/html", 302),
        (b"x" * 100 + END_OF_STREAM, ARROW, 200),
    ],
)
def test_what_is_not_ducats_answer_is_none(body: bytes, kind: str, status: int) -> None:
    """Above all, rows in JSON are not taken for an answer where Arrow was asked."""
    with (
        play(answer_with(body, kind, status)) as address,
        semantic.connect(address, token="x") as ducat,
        pytest.raises(BrokenAnswerError),
    ):
        ducat.query(measures=["a.b"]).to_arrow()


def test_a_whole_answer_of_that_kind_is_read() -> None:
    with (
        play(answer_with(whole_answer())) as address,
        semantic.connect(address, token="x") as ducat,
    ):
        assert ducat.query(measures=["a.b"]).to_arrow().num_rows == 10


def test_a_certificate_must_be_trusted(tmp_path: Path) -> None:
    served: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        served.append(threading.get_ident())
        answer_with(whole_answer())(handler)

    with play(answer, _certified(tmp_path)) as address:
        with (
            semantic.connect(address, token="x") as ducat,
            pytest.raises(UnreachableError, match=r"(?i)certificate"),
        ):
            ducat.query(measures=["a.b"]).to_arrow()
        assert served == []
        trusting = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        with semantic.connect(address, token="x", verify=trusting) as ducat:
            assert ducat.query(measures=["a.b"]).to_arrow().num_rows == 10
