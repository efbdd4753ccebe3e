"""What holds at every door alike: the audit record, limits of a caller, and the end of a caller who leaves."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from api.auth import make_token
from tests.unit.api.conftest import DUCAT, MODEL, SECRET, Site, make_site, publish, wait_until
from tests.unit.api.postgres.conftest import WireServer, run_wire

SLOWLY = MODEL + "  - {name: slowly, cubes: [{join_path: slow, includes: '*'}]}\n"
LOAD = "/cubejs-api/v1/load"
ACCEPT = {"accept": "application/json, text/event-stream"}
Names = tuple[str, str]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    """A server in which a caller may ask three queries in a minute."""
    folder = tmp_path_factory.mktemp("doors")
    site = make_site(folder / "site")
    (site.project / "semantic" / "model" / "sales.yml").write_text(SLOWLY)
    publish(site)
    with run_wire(site, folder, DUCAT_CALLER_RATE="3") as wire:
        yield wire


def read_log(site: Site) -> list[dict[str, Any]]:
    path = site.home / "query-log.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def post(path: str, make_body: Callable[[Names], Any]) -> Callable[..., httpx.Response]:
    def ask(wire: WireServer, user: str, names: Names, timeout: float = 60) -> httpx.Response:
        token = make_token(SECRET, user=user)
        headers = {"authorization": token, **(ACCEPT if path == "/mcp" else {})}
        url = wire.server.url + path
        return httpx.post(url, json=make_body(names), headers=headers, timeout=timeout)

    return ask


def call_tool(names: Names) -> dict[str, Any]:
    query = {"measures": [".".join(names)]}
    parameters = {"name": "run_query", "arguments": {"query": query}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}


def select(names: Names) -> str:
    return f"SELECT MEASURE({names[1]}) FROM {names[0]}"


HTTP: dict[str, tuple[str, Callable[..., httpx.Response]]] = {
    "load": ("rest", post(LOAD, lambda n: {"query": {"measures": [".".join(n)]}})),
    "graphql": ("graphql", post("/graphql", lambda n: {"query": f"{{ cube {{ {n[0]} {{ {n[1]} }} }} }}"})),
    "sql": ("sql", post("/ducat/v1/sql", lambda n: {"sql": select(n)})),
    "cubesql": ("sql", post("/cubejs-api/v1/cubesql", lambda n: {"query": select(n)})),
    "mcp": ("mcp", post("/mcp", call_tool)),
}  # fmt: skip
COUNT = ("shop_sales", "count")
SLOW = ("slowly", "greatest")


@pytest.mark.parametrize("door", HTTP)
def test_every_door_records_who_asked_what_and_when_and_at_which_cost(
    doors: WireServer, door: str
) -> None:
    face, ask = HTTP[door]
    assert ask(doors, f"auditor-{door}", COUNT).status_code == 200
    (record,) = [line for line in read_log(doors.site) if line["user"] == f"auditor-{door}"]
    assert (record["face"], record["members"], record["rows"]) == (face, [".".join(COUNT)], 1)
    assert record["code"] == "ok"
    assert record["snapshot"]
    assert record["seconds"] > 0
    assert record["time"].endswith("Z")


@pytest.mark.parametrize("door", HTTP)
def test_every_door_refuses_a_caller_who_asks_too_much(doors: WireServer, door: str) -> None:
    _, ask = HTTP[door]
    user = f"eager-{door}"
    answers = [ask(doors, user, COUNT) for _ in range(4)]
    assert "caller_limit" not in "".join(answer.text for answer in answers[:3])
    assert "caller_limit" in answers[3].text
    if door not in {"graphql", "mcp"}:  # whose protocols answer 200, with the error in the body
        assert answers[3].status_code == 429
        assert int(answers[3].headers["retry-after"]) > 1
    assert [line["code"] for line in read_log(doors.site) if line["user"] == user][-1] == (
        "caller_limit"
    )
    assert ask(doors, f"other-{door}", COUNT).status_code == 200


@pytest.mark.parametrize("path", ["sql", "dry-run"])
def test_what_is_planned_counts_for_a_caller_too(doors: WireServer, path: str) -> None:
    ask = post(f"/cubejs-api/v1/{path}", lambda n: {"query": {"measures": [".".join(n)]}})
    answers = [ask(doors, f"planner-{path}", COUNT) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_the_postgres_wire_refuses_and_records_as_the_others_do(doors: WireServer) -> None:
    address = doors.address | {"user": "paul", "password": make_token(SECRET, user="paul")}
    with psycopg.connect(**address, autocommit=True) as db:
        for _ in range(3):
            assert db.execute(select(COUNT)).fetchall() == [(400,)]
        with pytest.raises(psycopg.Error) as refused:
            db.execute(select(COUNT))
        assert refused.value.sqlstate == "53300"
        assert db.execute("SHOW server_version").fetchone()
    records = [line for line in read_log(doors.site) if line["user"] == "paul"]
    assert [line["code"] for line in records] == ["ok"] * 3 + ["caller_limit"]
    assert records[0]["face"] == "postgres"
    assert records[0]["members"] == [".".join(COUNT)]


def wait_cancelled(doors: WireServer, user: str) -> None:
    """Return once the user's slow query has ended because nobody waited for it."""

    def has_ended() -> bool:
        lines = [line for line in read_log(doors.site) if line["user"] == user]
        return [line["code"] for line in lines] == ["query_cancelled"]

    wait_until(has_ended)
    page = doors.server.client.get("/metrics").text
    assert not [
        line
        for line in page.splitlines()
        if line.startswith("ducat_queries_in_flight{") and not line.endswith(" 0.0")
    ]


@pytest.mark.parametrize("door", HTTP)
def test_a_caller_who_leaves_stops_its_query_at_every_door(doors: WireServer, door: str) -> None:
    _, ask = HTTP[door]
    user = f"leaver-{door}"
    with pytest.raises(httpx.ReadTimeout):
        ask(doors, user, SLOW, timeout=0.7)
    wait_cancelled(doors, user)


def test_a_client_of_cubes_socket_who_leaves_stops_its_query(doors: WireServer) -> None:
    address = doors.server.url.replace("http", "ws")
    with connect(address + "/cubejs-api/v1/ws") as line:
        line.send(json.dumps({"authorization": make_token(SECRET, user="ws-leaver")}))
        line.recv(30)
        asked = {"query": {"measures": [".".join(SLOW)]}}
        line.send(json.dumps({"messageId": 1, "method": "load", "params": asked}))
        in_flight = 'ducat_queries_in_flight{face="rest"} 1.0'
        wait_until(lambda: in_flight in doors.server.client.get("/metrics").text)
    wait_cancelled(doors, "ws-leaver")


def test_a_client_of_graphqls_socket_who_leaves_stops_its_query(doors: WireServer) -> None:
    address = doors.server.url.replace("http", "ws")
    with connect(address + "/graphql", subprotocols=[Subprotocol("graphql-transport-ws")]) as line:
        token = {"Authorization": make_token(SECRET, user="gql-leaver")}
        line.send(json.dumps({"type": "connection_init", "payload": token}))
        line.recv(30)
        query = {"query": "subscription { cube { slow { greatest } } }"}
        line.send(json.dumps({"type": "subscribe", "id": "1", "payload": query}))
        in_flight = 'ducat_queries_in_flight{face="graphql"} 1.0'
        wait_until(lambda: in_flight in doors.server.client.get("/metrics").text)
    wait_cancelled(doors, "gql-leaver")


def test_a_postgres_client_who_leaves_stops_its_query(doors: WireServer) -> None:
    with socket.create_connection(("127.0.0.1", doors.port), timeout=30) as line:
        startup = b"\x00\x03\x00\x00user\x00pg-leaver\x00\x00"
        password = make_token(SECRET, user="pg-leaver").encode() + b"\x00"
        query = select(SLOW).encode() + b"\x00"
        for kind, body in ((b"", startup), (b"p", password), (b"Q", query)):
            line.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        in_flight = 'ducat_queries_in_flight{face="postgres"} 1.0'
        wait_until(lambda: in_flight in doors.server.client.get("/metrics").text)
    wait_cancelled(doors, "pg-leaver")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "DUCAT_JWT_SECRET is not set"),
        ({"DUCAT_JWT_SECRET": "short"}, "needs at least 32"),
        ({"DUCAT_JWT_JWKS_URL": "https://idp.example/keys"}, "DUCAT_JWT_ISSUER"),
        (
            {"DUCAT_JWT_SECRET": SECRET, "DUCAT_POSTGRES_PORT": "0", "DUCAT_POSTGRES_HOST": "0.0.0.0"},  # noqa: S104
            "there is no certificate",
        ),
    ],
)  # fmt: skip
def test_production_refuses_to_start_without_what_it_needs_to_be_safe(
    doors: WireServer, more: dict[str, str], expected: str
) -> None:
    environment = doors.site.environment(DUCAT_ENVIRONMENT="production")
    del environment["DUCAT_JWT_SECRET"]
    ran = subprocess.run(
        [DUCAT, "serve", "--port", "0"],
        env=environment | more, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert expected in ran.stderr
    assert "Traceback" not in ran.stderr
