"""Cube's WebSocket protocol on a real server, message by message."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server, make_site, publish, run_server, wait_until
from tests.unit.api.test_graphql_live import publish_more

COUNT = {"measures": ["sales.count"]}
SLOW = {"measures": ["slow.greatest"]}


@contextmanager
def talk(server: Server, path: str = "/", token: str | None = None) -> Iterator[Connection]:
    """Open a WebSocket and shake hands as ann."""
    with connect(server.url.replace("http", "ws") + path, close_timeout=5) as socket:
        send(socket, authorization=token or str(server.client.headers["authorization"]))
        assert receive(socket) == {"handshake": True}
        yield socket


def send(socket: Connection, **message: Any) -> None:
    socket.send(json.dumps(message))


def receive(socket: Connection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=30))
    return message


def ask(socket: Connection, method: str, number: int | str = 1, **params: Any) -> dict[str, Any]:
    send(socket, messageId=number, method=method, params=params)
    return receive(socket)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of its own: these tests change what is in service."""
    site = make_site(tmp_path / "site")
    publish(site)
    with run_server(site, tmp_path) as running:
        yield running


@pytest.mark.parametrize("path", ["/", "/cubejs-api/v1", "/cubejs-api/v1/ws"])
def test_load_answers_what_http_answers(server: Server, path: str) -> None:
    ((count,),) = server.site.ask("SELECT count(*) FROM gold.fct_sale")
    with talk(server, path) as socket:
        answer = ask(socket, "load", 7, query=COUNT)
        assert (answer["messageId"], answer["status"]) == (7, 200)
        assert answer["message"]["data"] == [{"sales.count": str(count)}]
        assert receive(socket) == {"messageProcessedId": 7}
        multi = ask(socket, "load", "b", query=COUNT, queryType="multi")
        assert multi["message"]["queryType"] == "regularQuery"


@pytest.mark.parametrize("method", ["sql", "dry-run"])
def test_the_other_methods_answer_what_http_answers(server: Server, method: str) -> None:
    with talk(server) as socket:
        answer = ask(socket, method, query=COUNT)
        http = server.client.post(f"/cubejs-api/v1/{method}", json={"query": COUNT})
        assert answer["message"] == http.json()


def test_meta_answers_what_http_answers(server: Server) -> None:
    with talk(server) as socket:
        assert ask(socket, "meta")["message"] == server.client.get("/cubejs-api/v1/meta").json()
        assert receive(socket) == {"messageProcessedId": 1}
        views = ask(socket, "meta", 2, onlyViews=True)["message"]["cubes"]
        assert [cube["name"] for cube in views] == ["shop_sales"]


def test_a_subscription_is_answered_again_when_new_tables_come_into_service(own: Server) -> None:
    ((before,),) = own.site.ask("SELECT count(*) FROM gold.fct_sale")
    with talk(own) as socket:
        first = ask(socket, "subscribe", 3, query=COUNT, queryType="multi")
        assert first["message"]["results"][0]["data"] == [{"sales.count": str(before)}]
        assert receive(socket) == {"messageProcessedId": 3}
        publish_more(own.site)
        again = receive(socket)
        assert again["messageId"] == 3
        assert again["message"]["results"][0]["data"] == [{"sales.count": str(before + 1)}]


def test_what_is_sent_again_with_the_same_id_is_acknowledged_and_not_begun_twice(
    own: Server,
) -> None:
    with talk(own) as socket:
        ask(socket, "subscribe", 3, query=COUNT)
        assert receive(socket) == {"messageProcessedId": 3}
        assert ask(socket, "subscribe", 3, query=COUNT) == {"messageProcessedId": 3}
        publish_more(own.site)
        assert receive(socket)["messageId"] == 3
        assert receive(socket) == {"messageProcessedId": 3}
        assert ask(socket, "meta", 4)["messageId"] == 4  # and no second answer before it


def test_unsubscribed_means_silence_and_the_id_is_free_again(own: Server) -> None:
    with talk(own) as socket:
        ask(socket, "subscribe", 3, query=COUNT)
        receive(socket)
        send(socket, unsubscribe=3)
        publish_more(own.site)
        time.sleep(3)
        assert ask(socket, "load", 3, query=COUNT)["messageId"] == 3


def test_a_query_that_is_unsubscribed_or_whose_client_left_is_stopped(own: Server) -> None:
    def stopped() -> int:
        log = own.site.home / "query-log.ndjson"
        return log.read_text().count("query_cancelled") if log.exists() else 0

    def running() -> bool:
        return 'in_flight{face="rest"} 1.0' in own.client.get("/metrics").text

    with talk(own) as socket:
        send(socket, messageId=1, method="load", params={"query": SLOW})
        wait_until(running)
        send(socket, unsubscribe=1)
        wait_until(lambda: stopped() == 1)
        send(socket, messageId=2, method="load", params={"query": SLOW})
        wait_until(running)
    wait_until(lambda: stopped() == 2)


def test_a_subscription_does_not_outlive_its_token(own: Server) -> None:
    token = make_token(SECRET, user="ann", expires_in=timedelta(seconds=-18))  # skew: 30
    lapses = time.monotonic() + 12
    with talk(own, token=token) as socket:
        assert ask(socket, "subscribe", 3, query=COUNT)["status"] == 200
        receive(socket)
        time.sleep(max(0, lapses + 1 - time.monotonic()))
        publish_more(own.site)
        refused = receive(socket)
        assert (refused["messageId"], refused["status"]) == (3, 403)
        assert refused["message"]["error"] == "Invalid token"


def test_nothing_is_answered_before_a_valid_token(server: Server) -> None:
    with connect(server.url.replace("http", "ws")) as socket:
        refused = ask(socket, "load", 1, query=COUNT)
        assert (refused["messageId"], refused["status"]) == (1, 403)
        send(socket, authorization="nonsense")
        wrong = receive(socket)
        assert (wrong["status"], wrong["message"]["error"]) == (403, "Invalid token")
        assert "messageId" not in wrong
        assert ask(socket, "meta", 2)["status"] == 403


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        ("not json", 400),
        ("[]", 400),
        ("{}", 400),
        ('{"messageId": 1}', 400),
        ('{"messageId": 1, "method": "drop"}', 400),
        (
            '{"messageId": 1, "method": "load", "params": {"query": {"measures": ["sales.no"]}}}',
            400,
        ),
        ('{"messageId": 1, "method": "load", "params": {"sudo": true}}', 400),
        ('{"messageId": 1, "method": "load", "params": 3}', 400),
        ('{"messageId": {"a": 1}, "method": "load"}', 400),
        ('{"messageId": true, "method": "load"}', 400),
        ('{"messageId": 1, "method": "load", "extra": 1}', 400),
        ('{"messageId": 1, "method": "meta", "params": {"onlyViews": 3}}', 400),
        ('{"unsubscribe": []}', 400),
        ('{"authorization": 5}', 400),
        ('{"authorization": "x", "messageId": 1}', 400),
    ],
)
def test_a_malformed_message_is_answered_and_the_connection_stays(
    server: Server, frame: str, status: int
) -> None:
    with talk(server) as socket:
        socket.send(frame)
        answer = receive(socket)
        assert answer["status"] == status
        assert answer["message"]["error"]
        socket.send(b"\xff\xfe")
        try:
            while "handshake" not in receive(socket):
                send(socket, authorization=str(server.client.headers["authorization"]))
        except ConnectionClosed:
            pass
    assert server.client.get("/livez").status_code == 200


def test_a_message_that_is_too_long_ends_the_connection_with_cubes_code(server: Server) -> None:
    with talk(server) as socket:
        socket.send("x" * 1_100_000)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_a_page_of_another_origin_is_refused_at_the_handshake(server: Server) -> None:
    url = server.url.replace("http", "ws")
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin="https://elsewhere.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    with connect(url, origin=server.url):  # type: ignore[arg-type]
        pass


def test_a_connection_has_so_many_messages_in_work(server: Server) -> None:
    with talk(server) as socket:
        for number in range(1, 102):
            send(socket, messageId=number, method="subscribe", params={"query": COUNT})
        answers = [receive(socket) for _ in range(201)]
        statuses = [item["status"] for item in answers if "status" in item]
        assert statuses.count(429) >= 1
        assert any(item.get("messageId") == 101 and item["status"] == 429 for item in answers)
