"""Bytes that are no request, or a hostile one: a coded error, and a server that goes on as before."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, ClassVar

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn import Server as Uvicorn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Subprotocol

from api.auth import make_token
from api.guard import GuardedProtocol
from tests.unit.api.conftest import SECRET, Server, Site, run_server

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LOAD = "/cubejs-api/v1/load"
COUNT = {"measures": ["sales.count"]}
ROOM = 150 * 1024 * 1024
DEEP = 100_000


@pytest.fixture(scope="module")
def target(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(site, tmp_path_factory.mktemp("hostile")) as server:
        check_alive(server)
        yield server


@pytest.fixture(scope="module")
def memory(target: Server) -> int:
    """What the server needs before the attacks: every door was used once."""
    target.graphql("{ cube { sales { count } } }")
    return psutil.Process(target.process.pid).memory_info().rss


def check_alive(server: Server) -> None:
    assert server.load(COUNT)["data"] == [{"sales.count": "400"}]


def dial(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=30)


def check_refusal(response: httpx.Response) -> None:
    assert 400 <= response.status_code < 500, response.text[:300]
    assert response.json()["code"], response.text[:300]
    assert len(response.content) < 2_000
    assert "Traceback" not in response.text
    assert "/site-packages/" not in response.text


BODIES = {
    "half": b'{"query": {"measures": ["sal',
    "nothing": b"",
    "zero bytes": b"\x00" * 100,
    "no UTF-8": b'{"query": "\xff\xfe"}',
    "a lone surrogate": b'{"query": {"measures": ["\\ud800"]}}',
    "a zero byte in a name": b'{"query": {"measures": ["sales\\u0000.count"]}}',
    "NaN": b'{"query": {"measures": ["sales.count"], "limit": NaN}}',
    "Infinity": b'{"query": {"measures": ["sales.count"], "limit": -Infinity}}',
    "a huge number": b'{"query": {"measures": ["sales.count"], "limit": 1' + b"0" * 5_000 + b"}}",
    "a huge exponent": b'{"query": {"measures": ["sales.count"], "limit": 1e999999999}}',
    "deep lists": b'{"query": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"query": ' + b'{"and":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "deep filters": b'{"query": {"measures": ["sales.count"], "filters": ['
    + b'{"and":[' * 5_000 + b"]}" * 5_000 + b"]}}",
    "ten thousand filters": json.dumps(
        {"query": COUNT | {"filters": [{"member": "sales.weight", "operator": "set"}] * 10_000}}
    ).encode(),
    "a million values": b'{"query": {"measures": ["sales.count"], "filters": [{"member": '
    b'"sales.weight", "operator": "equals", "values": [' + b'"1",' * 200_000 + b'"1"]}]}}',
    "more than a body may have": b'{"query": "' + b"x" * 1_100_000 + b'"}',
    "keys twice": b'{"query": {"measures": ["sales.count"], "measures": ["shops.count"]}}',
    "a list": b"[]",
    "a text": b'"text"',
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("path", ["load", "sql", "dry-run", "cubesql", "convert-query"])
def test_a_hostile_body_is_refused_with_a_code(
    target: Server, memory: int, path: str, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    response = target.client.post(f"/cubejs-api/v1/{path}", content=body, headers=headers)
    check_refusal(response)


@pytest.mark.parametrize("path", [LOAD, "/graphql", "/ducat/v1/sql", "/mcp"])
def test_compressed_bodies_are_not_unpacked(target: Server, path: str) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    accept = {"accept": "application/json, text/event-stream"}
    headers = {"content-encoding": "gzip", "content-type": "application/json", **accept}
    response = target.client.post(path, content=bomb, headers=headers)
    assert 400 <= response.status_code < 500
    assert "Traceback" not in response.text


KEYS = st.sampled_from(
    ["measures", "dimensions", "filters", "timeDimensions", "order", "limit", "offset", "timezone",
     "segments", "total", "ungrouped", "member", "operator", "values", "and", "or", "dimension",
     "granularity", "dateRange", "compareDateRange", "shift", "measure"]
) | st.text(max_size=4)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(document=JSON)
def test_any_json_is_an_answer_or_a_refusal(target: Server, document: Any) -> None:
    body = json.dumps({"query": document}).encode()
    headers = {"content-type": "application/json"}
    response = target.client.post(LOAD, content=body, headers=headers)
    assert response.status_code < 500, body
    assert "Traceback" not in response.text


@QUICK
@given(data=st.binary(min_size=1, max_size=200))
def test_nonsense_is_answered_or_closed(target: Server, data: bytes) -> None:
    with dial(target) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while line.recv(65536):
                pass


HEADS = {
    "an endless head": b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000,
    "an endless list of headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000,
    "an endless address": b"GET /" + b"a" * 200_000,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_head_without_end_is_cut_off(target: Server, head: bytes) -> None:
    with dial(target) as line:
        with suppress(ConnectionError):
            line.sendall(head)
        found = b""
        with suppress(ConnectionError):
            while part := line.recv(65536):
                found += part
        assert found == b"" or found.startswith(b"HTTP/1.1 4")


def test_both_lengths_in_one_request_are_refused(target: Server) -> None:
    """Two proxies that read them differently would see two different requests."""
    with dial(target) as line:
        line.sendall(
            b"POST /cubejs-api/v1/load HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
        )
        assert line.recv(65536).startswith(b"HTTP/1.1 400")


GRAPHQL = {
    "deep": "{" * 5_000 + "}" * 5_000,
    "deep fields": "{ cube " + "{ sales " * 3_000 + "}" * 3_001,
    "many aliases": "{" + " ".join(f"a{n}: cube {{ sales {{ count }} }}" for n in range(500)) + "}",
    "a cycle of fragments": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "a fragment of itself": "{ ...A } fragment A on Query { cube { sales { count } } ...A }",
    "a lone surrogate": '{ cube(timezone: "\ud800") { sales { count } } }',
    "a zero byte": "{ cube { sales { co\x00unt } } }",
    "many directives": "{ cube " + "@skip(if: false) " * 5_000 + "{ sales { count } } }",
    "nothing": "",
}


@pytest.mark.parametrize("text", GRAPHQL.values(), ids=GRAPHQL.keys())
def test_hostile_graphql_is_refused(target: Server, text: str) -> None:
    content = json.dumps({"query": text}).encode()
    response = target.client.post(
        "/graphql", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code < 500
    assert response.json().get("errors") or response.json()["code"]
    assert len(response.content) < 10_000
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    "body",
    [
        [{"query": "{ cube { sales { count } } }"}] * 1_000,
        {"query": "{ freshness { snapshot } }", "extensions": {"persistedQuery": 5}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x" * 64}}},
        {
            "query": "{ a }",
            "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}},
        },
        {"documentId": ["x"]},
        {"query": "{ a }", "variables": [1]},
        {"query": {"a": 1}},
    ],
)
def test_batches_and_documents_that_are_none_are_refused(target: Server, body: Any) -> None:
    response = target.client.post("/graphql", json=body)
    assert response.status_code < 500
    assert response.json().get("errors") or response.json()["code"]
    assert "data" not in response.json()


def open_cube(target: Server, *, entered: bool = True) -> Connection:
    line = connect(target.url.replace("http", "ws") + "/cubejs-api/v1/ws")
    if entered:
        line.send(json.dumps({"authorization": make_token(SECRET, user="ann")}))
        assert json.loads(line.recv(30)) == {"handshake": True}
    return line


FRAMES: list[str | bytes] = [
    "", "null", "[]", "{", "[" * DEEP, '{"messageId": 1, "method": "load", "params": [1]}',
    '{"messageId": 1, "method": "nope"}', '{"messageId": {}, "method": "load"}',
    '{"messageId": 1, "method": ["load"]}', '{"messageId": 1, "method": "load", "params": {"query": 1}}',
    '{"messageId": NaN}', '{"unsubscribe": [1]}', '{"authorization": 5}', '{"authorization": "x"}',
    b"\xff\xfe\x00", b"\x00" * 1000,
]  # fmt: skip


def read_answer(line: Connection) -> dict[str, Any]:
    """Return the next answer, past the notes that a message is done."""
    answer: dict[str, Any] = {"messageProcessedId": None}
    while "messageProcessedId" in answer:
        answer = json.loads(line.recv(30))
    return answer


def test_frames_that_are_no_message_are_answered_and_the_socket_lives(target: Server) -> None:
    with open_cube(target) as line:
        for frame in FRAMES:
            line.send(frame)
            answer = read_answer(line)
            assert answer["status"] in {400, 403}, (frame, answer)
            assert answer["message"]["code"]
        asked = {"messageId": 7, "method": "load", "params": {"query": COUNT}}
        line.send(json.dumps(asked))
        assert read_answer(line)["message"]["data"] == [{"sales.count": "400"}]


@QUICK
@given(frames=st.lists(st.text(max_size=40) | st.binary(max_size=40), min_size=1, max_size=4))
def test_any_frames_are_answered_or_end_their_socket(
    target: Server, frames: list[str | bytes]
) -> None:
    with open_cube(target, entered=False) as line, suppress(ConnectionClosed):
        for frame in frames:
            line.send(frame)
            json.loads(line.recv(30))


GRAPHQL_FRAMES: list[str | bytes] = [
    "null", "[]", "{", '{"type": "nope"}', '{"type": "subscribe"}', '{"type": ["connection_init"]}',
    '{"type": "connection_init", "payload": 5}', '{"type": "subscribe", "id": 1, "payload": {}}',
    "[" * 10_000, b"\xff\xfe",
]  # fmt: skip


@pytest.mark.parametrize("frame", GRAPHQL_FRAMES, ids=range(len(GRAPHQL_FRAMES)))
def test_frames_that_break_the_graphql_protocol_end_their_socket(
    target: Server, frame: str | bytes
) -> None:
    address = target.url.replace("http", "ws") + "/graphql"
    protocol = [Subprotocol("graphql-transport-ws")]
    with connect(address, subprotocols=protocol) as line:
        line.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(30)
        assert closed.value.rcvd is not None
        assert 4000 <= closed.value.rcvd.code < 5000 or closed.value.rcvd.code in {1003, 1007}


@pytest.mark.parametrize(
    "payload",
    [5, {"query": 5}, {"query": "{ a }", "variables": [1]}, {"query": "{ a }", "operationName": 5}],
)
def test_a_subscription_that_is_none_ends_its_socket(target: Server, payload: Any) -> None:
    address = target.url.replace("http", "ws") + "/graphql"
    protocol = [Subprotocol("graphql-transport-ws")]
    token = {"Authorization": make_token(SECRET, user="ann")}
    with connect(address, subprotocols=protocol) as line:
        line.send(json.dumps({"type": "connection_init", "payload": token}))
        assert json.loads(line.recv(30))["type"] == "connection_ack"
        line.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400


def test_a_frame_larger_than_a_body_ends_its_socket(target: Server) -> None:
    def send_much(line: Connection) -> None:
        line.send("x" * 2_000_000)
        line.recv(30)

    with open_cube(target) as line, pytest.raises(ConnectionClosed):
        send_much(line)


def test_a_handshake_elsewhere_is_refused(target: Server) -> None:
    with pytest.raises(InvalidStatus):
        connect(target.url.replace("http", "ws") + "/nowhere")


def test_two_hundred_silent_half_and_noisy_connections_keep_no_one_out(target: Server) -> None:
    with ExitStack() as held:
        for number in range(200):
            line = held.enter_context(dial(target))
            match number % 4:
                case 1:
                    line.sendall(b"POST /cubejs-api/v1/load HTTP/1.1\r\nhost:")
                case 2:
                    line.sendall(b"\xff" * 100)
                case 3:
                    token = make_token(SECRET, user="eve")
                    line.sendall(
                        b"POST /cubejs-api/v1/load HTTP/1.1\r\nhost: x\r\nauthorization: "
                        + token.encode() + b"\r\ncontent-length: 1000\r\n\r\n{"
                    )  # fmt: skip
        for _ in range(20):
            check_alive(target)


def test_strangers_beyond_the_limit_push_out_the_oldest_only(target: Server) -> None:
    with ExitStack() as held:
        lines = [held.enter_context(dial(target)) for _ in range(520)]
        check_alive(target)
        lines[0].settimeout(30)
        with suppress(ConnectionResetError):
            assert lines[0].recv(1) == b""
        lines[-1].sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert lines[-1].recv(65536).startswith(b"HTTP/1.1 200")


def test_every_answer_has_the_headers_that_browsers_heed(target: Server) -> None:
    for path in ("/livez", "/", "/graphql", "/nowhere", "/cubejs-api/v1/meta"):
        headers = httpx.get(target.url + path, timeout=60).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_after_all_that_the_server_needs_no_more_memory_and_logged_no_defect(
    target: Server, memory: int
) -> None:
    """The last test of this module."""
    check_alive(target)
    assert psutil.Process(target.process.pid).memory_info().rss - memory < ROOM
    log = target.log.read_text()
    for sign in (
        "request failed",
        "message failed",
        "query failed",
        "Exception in ASGI",
        "Traceback",
    ):
        assert sign not in log


class Impatient(GuardedProtocol):
    """Waits for a head as long as a test wants to."""

    head_seconds: ClassVar[float] = 0.2


def test_half_a_head_is_waited_for_only_so_long() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def talk() -> list[bytes]:
        server = Uvicorn(
            Config(app, port=0, http=Impatient, lifespan="off", log_config=None, access_log=False)
        )
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        silent, one = await asyncio.open_connection("127.0.0.1", port)
        half, two = await asyncio.open_connection("127.0.0.1", port)
        two.write(b"GET / HTTP/1.1\r\n")
        used, three = await asyncio.open_connection("127.0.0.1", port)
        three.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        first = await used.readuntil(b"\r\n\r\n")
        three.write(b"GET / HTTP/1.1\r\n")
        ends = [await reader.read() for reader in (silent, half, used)]
        for writer in (one, two, three):
            writer.close()
        server.should_exit = True
        await serving
        return [first[:12], *ends]

    async def reads() -> list[bytes]:
        try:
            return await talk()
        except ConnectionResetError:
            return [b"HTTP/1.1 204", b"", b"", b""]

    assert asyncio.run(reads()) == [b"HTTP/1.1 204", b"", b"", b""]
