"""Requests that repeat to the byte over kept connections: the same answers, counted and written down."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import orjson
import pytest

from api.auth import make_token
from semantic.snapshot import QualityState, write_checks
from tests.unit.api.conftest import SECRET, Server, make_site, publish, run_server, wait_until
from tests.unit.api.test_graphql_live import publish_more
from tests.unit.api.test_ready import count

LOAD = "/cubejs-api/v1/load"
QUERY: dict[str, Any] = {"measures": ["sales.count"], "dimensions": ["sales.is_online"]}


@pytest.fixture(name="own")
def run_own(tmp_path: Path) -> Iterator[Server]:
    site = make_site(tmp_path)
    publish(site)
    with run_server(site, tmp_path) as running:
        yield running


class Line:
    """One connection, and what is read from it."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=60
        )
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> tuple[dict[str, str], bytes]:
        """Return headers and body of one response, which must be of status 200."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, rest = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first == "HTTP/1.1 200 OK", first
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines), "a header is there twice"
        length = int(headers["content-length"])
        self._read = rest
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return headers, body

    def ask(self, data: bytes) -> tuple[dict[str, str], bytes]:
        self.send(data)
        return self.receive()

    def _more(self) -> None:
        data = self._socket.recv(65536)
        assert data, "the server closed the connection"
        self._read += data


def write(token: str, query: dict[str, Any] = QUERY, **headers: str) -> bytes:
    """Return a request as bytes."""
    body = json.dumps({"query": query}).encode()
    lines = [
        f"POST {LOAD} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {token}",
        "content-type: application/json", f"content-length: {len(body)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def token_of(user: str = "ann", **more: Any) -> str:
    return make_token(SECRET, user=user, groups=("analysts",), **more)


def read_log(server: Server, ids: list[str]) -> dict[str, Any]:
    """Return the query log by request, once these are in it: lines wait for a moment."""
    path = server.site.home / "query-log.ndjson"

    def read() -> dict[str, Any]:
        found = map(orjson.loads, path.read_bytes().splitlines())
        return {item["requestId"]: item for item in found}

    wait_until(lambda: set(ids) <= set(read()))
    return read()


def test_the_bytes_are_those_of_before(own: Server) -> None:
    request = write(token_of())
    with Line(own) as line:
        answers = [line.ask(request) for _ in range(8)]
    # The first is computed, the second kept: they say so. All others repeat the second's bytes.
    assert len({body for _, body in answers[2:]}) == 1
    assert json.loads(answers[0][1])["data"] == json.loads(answers[7][1])["data"]
    ids = [headers["x-request-id"] for headers, _ in answers]
    assert len(set(ids)) == 8
    drop = ("x-request-id", "date", "content-length")
    shown = [{k: v for k, v in headers.items() if k not in drop} for headers, _ in answers]
    assert shown[7] == shown[2] == shown[0]
    wait_until(lambda: count(own) >= 5)


def test_each_is_in_the_query_log(own: Server) -> None:
    request = write(token_of())
    with Line(own) as line:
        ids = [line.ask(request)[0]["x-request-id"] for _ in range(8)]
    lines = read_log(own, ids)
    first, last = lines[ids[0]], lines[ids[7]]
    assert list(first) == list(last)
    assert last["members"] == ["sales.is_online", "sales.count"]
    same = set(first) - {"time", "requestId", "seconds", "bytes"}
    assert {name: first[name] for name in same} == {name: last[name] for name in same}
    assert last["time"] >= first["time"]
    assert len(last["time"]) == len(first["time"])
    assert isinstance(last["seconds"], float)


def test_new_tables_and_checks_are_seen_at_once(own: Server) -> None:
    request = write(token_of(), {"measures": ["sales.count"]})
    with Line(own) as line:
        before = [line.ask(request)[1] for _ in range(5)][-1]
        publish_more(own.site)
        after = json.loads(line.ask(request)[1])
        assert after["data"] != json.loads(before)["data"]
        again = [line.ask(request)[1] for _ in range(4)][-1]
        assert json.loads(again)["data"] == after["data"]
        failed = {"fct_sale": QualityState("failed", None, ("broken",))}
        write_checks(own.site.database.parent, failed)
        assert json.loads(line.ask(request)[1])["ducat"]["newestCheck"]


def test_tokens_never_share(own: Server) -> None:
    ann, bob = write(token_of()), write(token_of("bob"))
    with Line(own) as line:
        for _ in range(4):
            line.ask(ann)
        ids = [line.ask(bob)[0]["x-request-id"] for _ in range(4)]
    lines = read_log(own, ids)
    assert {lines[request_id]["user"] for request_id in ids} == {"bob"}


def test_an_id_of_the_caller_s_own_is_given_back_each_time(own: Server) -> None:
    request = write(token_of(), x_request_id="mine-1")
    with Line(own) as line:
        assert {line.ask(request)[0]["x-request-id"] for _ in range(6)} == {"mine-1"}


def test_pieces_and_several_at_once_are_read_as_what_they_are(own: Server) -> None:
    one, other = write(token_of()), write(token_of(), {"measures": ["sales.count"]})
    with Line(own) as line:
        expected = [[line.ask(item)[1] for _ in range(5)][-1] for item in (one, other)]
        line.send(one + other + one)  # pipelined
        bodies = [line.receive()[1] for _ in range(3)]
        assert _data(bodies) == _data([expected[0], expected[1], expected[0]])
        for place in (1, len(one) // 2, len(one) - 1):
            line.send(one[:place])
            line.send(one[place:])
            assert _data([line.receive()[1]]) == _data([expected[0]])
        line.send(one + other[:40])  # a whole one, and the begin of the next
        line.send(other[40:])
        assert _data([line.receive()[1], line.receive()[1]]) == _data(expected)
        assert _data([line.ask(one)[1]]) == _data([expected[0]])


def _data(bodies: list[bytes]) -> list[Any]:
    return [json.loads(body)["data"] for body in bodies]


def test_the_rate_of_a_caller_holds(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    publish(site)
    with run_server(site, tmp_path, DUCAT_CALLER_RATE="20") as server:
        request = write(token_of())
        with Line(server) as line:
            for _ in range(20):
                line.ask(request)
            with pytest.raises(AssertionError, match="429"):
                # The bucket fills by one in three seconds, while these arrive.
                _ask_often(line, request, 40)


def _ask_often(line: Line, request: bytes, times: int) -> None:
    for _ in range(times):
        line.ask(request)


def test_a_connection_that_is_to_end_ends(own: Server) -> None:
    request = write(token_of(), connection="close")
    for _ in range(5):
        with Line(own) as line:
            line.ask(request)
            with pytest.raises(AssertionError, match="closed"):
                line.receive()
