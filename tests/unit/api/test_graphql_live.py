"""Subscriptions on a real server: an answer, and another when tables or model change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.auth import make_token
from semantic.snapshot import QualityState, Snapshot, TableSnapshot, identify, publish_snapshot
from tests.unit.api.conftest import SECRET, Server, Site, make_site, publish, run_server
from tests.unit.api.identity import AUDIENCE, ISSUER, run_provider

COUNT = "subscription { cube { sales { count } } }"


@contextmanager
def talk(server: Server, token: str | None = None, **parameters: str) -> Iterator[Connection]:
    """Open a WebSocket and greet; `token` None sends that of ann."""
    with connect(
        server.url.replace("http", "ws") + "/graphql",
        subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
        close_timeout=5,
    ) as socket:
        sent = token if token is not None else str(server.client.headers["authorization"])
        send(socket, type="connection_init", payload={"Authorization": sent, **parameters})
        yield socket


def send(socket: Connection, **message: Any) -> None:
    socket.send(json.dumps(message))


def receive(socket: Connection, kind: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=30))
    assert message["type"] == kind, message
    return message


def subscribe(socket: Connection, text: str, **variables: Any) -> None:
    receive(socket, "connection_ack")
    send(socket, id="1", type="subscribe", payload={"query": text, "variables": variables})


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of its own: these tests change what is in service."""
    site = make_site(tmp_path / "site")
    publish(site)
    with run_server(site, tmp_path) as running:
        yield running


def publish_more(site: Site) -> None:
    """Put a copy of the tables in service that has one sale more."""
    database = site.database.with_name("gold-2.duckdb")
    database.write_bytes(site.database.read_bytes())
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO gold.fct_sale (sale_id, shop_id) VALUES (1000, 1)")
    passed = QualityState("passed", datetime(2024, 6, 2, tzinfo=UTC))
    loaded = datetime(2024, 6, 2, tzinfo=UTC)
    tables = (TableSnapshot("fct_sale", 4, 401, None, loaded, passed),)
    publish_snapshot(
        site.database.parent, Snapshot(identify(tables), database.name, loaded, tables)
    )


def test_a_subscription_answers_again_when_new_tables_come_into_service(own: Server) -> None:
    ((before,),) = own.site.ask("SELECT count(*) FROM gold.fct_sale")
    with talk(own) as socket:
        subscribe(socket, COUNT)
        first = receive(socket, "next")["payload"]
        assert first["data"] == {"cube": [{"sales": {"count": before}}]}
        assert first["extensions"]["ducat"]["cube"]["snapshot"]
        publish_more(own.site)
        second = receive(socket, "next")["payload"]
        assert second["data"] == {"cube": [{"sales": {"count": before + 1}}]}
        send(socket, id="1", type="complete")
        send(socket, type="ping")
        receive(socket, "pong")


def test_a_subscription_answers_again_when_the_model_changes_and_ends_when_it_is_not_valid(
    own: Server,
) -> None:
    model = own.site.project / "semantic" / "model" / "sales.yml"
    with talk(own) as socket:
        subscribe(socket, COUNT)
        receive(socket, "next")
        text = model.read_text()
        model.write_text(
            text.replace(
                "{name: count, type: count, drill_members: [sold_at, is_online]}",
                "{name: number_of_sales, type: count}",
            ).replace("{count}", "{number_of_sales}")
        )
        last = receive(socket, "next")["payload"]
        assert last["data"] is None
        assert "count" in last["errors"][0]["message"]
        receive(socket, "complete")


def test_a_query_over_the_socket_is_answered_once(server: Server) -> None:
    ((expected,),) = server.site.ask("SELECT count(*) FROM gold.fct_sale")
    with talk(server) as socket:
        subscribe(socket, "{ cube { sales { count } } }")
        answer = receive(socket, "next")["payload"]["data"]
        assert answer == {"cube": [{"sales": {"count": expected}}]}
        receive(socket, "complete")


def test_what_is_not_valid_ends_the_operation_with_its_errors(server: Server) -> None:
    with talk(server) as socket:
        subscribe(socket, "subscription { cube { sales { nope } } }")
        [error] = receive(socket, "error")["payload"]
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        send(socket, id="2", type="subscribe", payload={"query": COUNT})
        receive(socket, "next")


def test_a_refused_query_says_its_code_and_ends(server: Server) -> None:
    with talk(server) as socket:
        subscribe(socket, 'subscription { cube(timezone: "Mars/X") { sales { count } } }')
        payload = receive(socket, "next")["payload"]
        assert payload["data"] is None
        assert payload["errors"][0]["extensions"]["ducatCode"] == "query_syntax"


@pytest.mark.parametrize("token", ["", "nonsense", "Bearer x.y.z"])
def test_a_socket_without_a_valid_token_is_closed(server: Server, token: str) -> None:
    with talk(server, token) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_a_subscription_does_not_outlive_its_token(own: Server) -> None:
    token = make_token(
        SECRET, user="ann", expires_in=timedelta(seconds=-27)
    )  # within the skew of 30
    with talk(own, token) as socket:
        subscribe(socket, COUNT)
        receive(socket, "next")
        time.sleep(4)
        publish_more(own.site)
        last = receive(socket, "next")["payload"]
        assert last["errors"][0]["extensions"]["ducatCode"] == "invalid_token"
        receive(socket, "complete")


def test_a_page_of_another_origin_is_refused_before_the_handshake(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(
            server.url.replace("http", "ws") + "/graphql",
            subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
            origin="https://elsewhere.example",  # type: ignore[arg-type]
        )
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "frame", ["not json", "[]", '{"type": "subscribe"}', "{}", '"x"', "1" * 70_000]
)
def test_malformed_frames_end_the_socket_and_not_the_server(server: Server, frame: str) -> None:
    with talk(server) as socket:
        receive(socket, "connection_ack")
        socket.send(frame)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
    assert server.client.get("/livez").status_code == 200


def test_subscriptions_over_http_are_sent_to_the_socket(server: Server) -> None:
    answer = server.graphql(COUNT)
    assert "WebSocket" in answer["errors"][0]["message"]


def test_a_socket_takes_a_providers_token_before_any_other_request_has_fetched_its_key(
    site: Site, tmp_path: Path
) -> None:
    with run_provider() as provider:
        provider.add_key("one")
        settings = {
            "DUCAT_JWT_JWKS_URL": provider.url,
            "DUCAT_JWT_ISSUER": ISSUER,
            "DUCAT_JWT_AUDIENCE": AUDIENCE,
        }
        with (
            run_server(site, tmp_path, **settings) as own,
            talk(own, f"Bearer {provider.sign('one', sub='ann')}") as socket,
        ):
            subscribe(socket, COUNT)
            assert receive(socket, "next")["payload"]["data"]["cube"]
