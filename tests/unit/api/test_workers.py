"""Two workers behind one port answer as one server would, and one that dies is replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.auth import make_token
from api.workers import divide
from semantic.settings import Settings
from semantic.snapshot import publish_snapshot, read_snapshot
from tests.unit.api.conftest import DUCAT, MODEL, SECRET, make_site, publish, run_server, wait_until
from tests.unit.api.postgres.conftest import WireServer, run_wire

COUNT = {"measures": ["sales.count"]}
SLOW = {"measures": ["slow.greatest"]}
LOAD = "/cubejs-api/v1/load"
SLOWLY = MODEL + "  - {name: slowly, cubes: [{join_path: slow, includes: '*'}]}\n"


@dataclass(frozen=True, slots=True)
class Team:
    """A server of two workers, and a client with a connection to each."""

    wire: WireServer
    one: httpx.Client
    two: httpx.Client

    @property
    def lines(self) -> list[dict[str, Any]]:
        text = self.wire.server.log.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    @property
    def pids(self) -> dict[int, int]:
        """The process of each worker, the newest."""
        started = re.compile(r"Started server process \[(\d+)\]")
        return {
            line["worker"]: int(found[1])
            for line in self.lines
            if (found := started.search(line["event"])) and "worker" in line
        }

    def records(self) -> list[dict[str, Any]]:
        """Every line of the query logs of all workers."""
        logs = sorted(self.wire.site.home.glob("query-log*.ndjson"))
        return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def open_client(wire: WireServer, worker: int, held: ExitStack) -> httpx.Client:
    """Return a client whose one connection is the worker's."""
    for number in range(200):
        client = held.enter_context(
            httpx.Client(
                base_url=wire.server.url,
                headers=wire.server.client.headers,
                timeout=60,
                limits=httpx.Limits(max_connections=1, keepalive_expiry=300),
            )
        )
        name = f"probe-{worker}-{number}-{id(client)}"
        client.get("/livez", headers={"x-request-id": name})
        line = f'"request_id":"{name}"'
        wait_until(lambda line=line: line in wire.server.log.read_text())  # type: ignore[misc]
        found = next(text for text in wire.server.log.read_text().splitlines() if line in text)
        if json.loads(found)["worker"] == worker:
            return client
    raise AssertionError(f"no connection came to worker {worker}")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    site = make_site(folder / "site")
    (site.project / "semantic" / "model" / "sales.yml").write_text(SLOWLY)
    publish(site)
    with ExitStack() as held:
        wire = held.enter_context(
            run_wire(
                site, folder, DUCAT_WORKERS="2", DUCAT_LOG_LEVEL="debug",
                DUCAT_CONTINUE_WAIT_SECONDS="0.5", DUCAT_QUERY_TIMEOUT_SECONDS="4",
            )
        )  # fmt: skip
        text = wire.server.log.read_text
        wait_until(lambda: text().count("Started server process") == 2)
        yield Team(wire, open_client(wire, 1, held), open_client(wire, 2, held))


def test_both_workers_answer_and_one_page_counts_for_both(team: Team) -> None:
    for client in (team.one, team.one, team.two):
        answer = client.post(LOAD, json={"query": COUNT}).json()
        assert answer["data"] == [{"sales.count": "400"}]
    for client in (team.one, team.two):
        page = client.get("/metrics").text
        assert 'ducat_worker_up{worker="1"} 1.0' in page
        assert 'ducat_worker_up{worker="2"} 1.0' in page
        counted = dict(
            re.findall(r'ducat_queries_total\{code="ok",face="rest",worker="(\d)"\} ([\d.]+)', page)
        )
        assert counted == {"1": "2.0", "2": "1.0"}
        assert page.count("# TYPE ducat_queries_total counter") == 1


def test_a_query_that_another_worker_runs_is_found_again_and_runs_once(team: Team) -> None:
    answers = []
    for turn in range(40):
        client = (team.one, team.two)[turn % 2]
        answers.append(client.post(LOAD, json={"query": SLOW}).json())
        if answers[-1].get("error") != "Continue wait":
            break
    assert answers[0] == answers[1] == {"error": "Continue wait"}
    assert answers[-1]["code"] == "query_timeout"
    asked = [record for record in team.records() if record["members"] == ["slow.greatest"]]
    assert [record["code"] for record in asked] == ["query_timeout"]


def test_the_answer_of_a_waited_for_select_is_found_in_the_other_worker(team: Team) -> None:
    body = {"query": "SELECT MEASURE(greatest) FROM slowly", "throwContinueWait": True}
    before = len(team.records())
    texts = []
    for turn in range(40):
        client = (team.two, team.one)[turn % 2]
        response = client.post("/cubejs-api/v1/cubesql", json=body)
        texts.append(response.text)
        if "Continue wait" not in response.text:
            break
    assert texts[0] == texts[1] == '{"error":"Continue wait"}'
    assert "query_timeout" in texts[-1]
    assert len(team.records()) == before + 1


def test_a_cancel_request_finds_its_connection_whichever_worker_it_comes_to(team: Team) -> None:
    with ExitStack() as held:
        lines: dict[int, psycopg.Connection[Any]] = {}
        while set(lines) != {1, 2}:
            db = held.enter_context(team.wire.connect(autocommit=True))
            lines[db.info.backend_pid >> 24] = db
        for db in (*lines.values(), *lines.values()):
            done = threading.Event()

            def cancel(db: psycopg.Connection[Any] = db, done: threading.Event = done) -> None:
                while not done.wait(0.3):
                    db.cancel_safe(timeout=10)

            stopping = threading.Thread(target=cancel)
            stopping.start()
            try:
                with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                    db.execute("SELECT MEASURE(greatest) FROM slow")
            finally:
                done.set()
                stopping.join()


def subscribe(team: Team, held: ExitStack) -> Connection:
    address = team.wire.server.url.replace("http", "ws") + "/cubejs-api/v1/ws"
    line = held.enter_context(connect(address))
    line.send(json.dumps({"authorization": make_token(SECRET, user="ann")}))
    line.recv(30)
    line.send(json.dumps({"messageId": 1, "method": "subscribe", "params": {"query": COUNT}}))
    assert json.loads(line.recv(30))["message"]["data"] == [{"sales.count": "400"}]
    assert json.loads(line.recv(30)) == {"messageProcessedId": 1}
    return line


def test_subscriptions_of_every_worker_hear_of_new_tables(team: Team) -> None:
    with ExitStack() as held:
        lines = [subscribe(team, held) for _ in range(8)]
        serving = team.wire.site.database.parent
        publish_snapshot(serving, replace(read_snapshot(serving), id="another"))
        for line in lines:
            assert json.loads(line.recv(30))["message"]["data"] == [{"sales.count": "400"}]


def test_a_changed_model_goes_into_service_in_every_worker(team: Team) -> None:
    model = team.wire.site.project / "semantic" / "model" / "sales.yml"
    query = {"query": {"measures": ["sales.online_rate"]}}
    model.write_text(SLOWLY.replace("name: online_share", "name: online_rate"))
    for client in (team.one, team.two):
        wait_until(lambda client=client: client.post(LOAD, json=query).status_code == 200)  # type: ignore[misc]
    model.write_text(SLOWLY.replace("{CUBE}.amount", "{nowhere}.amount"))
    for client in (team.one, team.two):
        wait_until(lambda client=client: "model" in client.get("/readyz").json())  # type: ignore[misc]
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["health"]) == (200, "HEALTH")
        assert "nowhere" not in ready.text
        assert client.post(LOAD, json=query).status_code == 200
    page = team.one.get("/metrics").text
    assert 'ducat_model_is_current{worker="1"} 0.0' in page
    assert 'ducat_model_is_current{worker="2"} 0.0' in page
    model.write_text(SLOWLY)
    for client in (team.one, team.two):
        wait_until(lambda client=client: client.get("/readyz").json() == {"health": "HEALTH"})  # type: ignore[misc]


def test_a_worker_that_is_killed_is_replaced_and_the_port_never_closes(team: Team) -> None:
    victim = team.pids[1]
    os.kill(victim, signal.SIGKILL)
    for _ in range(20):  # the other one takes them all
        assert httpx.get(team.wire.server.url + "/livez", timeout=60).status_code == 200
    wait_until(lambda: team.pids[1] != victim)
    wait_until(
        lambda: 'ducat_worker_up{worker="1"} 1.0' in team.two.get("/metrics").text
    )  # fmt: skip
    assert "worker 1 ended (SIGKILL)" in team.wire.server.log.read_text()


def test_sigterm_ends_all_workers_in_order_while_a_query_runs(team: Team) -> None:
    """The last test of this server: it stops it."""
    codes: list[str] = []

    def ask() -> None:
        with suppress(httpx.TransportError):
            query = {"query": "SELECT MEASURE(greatest) FROM slowly"}
            codes.append(team.two.post("/cubejs-api/v1/cubesql", json=query).json()["code"])

    asking = threading.Thread(target=ask)
    asking.start()
    client = team.wire.server.client
    running = 'ducat_queries_in_flight{face="sql",worker="2"} 1.0'
    wait_until(lambda: running in client.get("/metrics").text)
    pids = team.pids
    team.wire.server.process.send_signal(signal.SIGTERM)
    assert team.wire.server.process.wait(30) == 0
    asking.join(30)
    assert codes[0] in {"too_busy", "query_timeout"}
    for pid in pids.values():
        assert not Path(f"/proc/{pid}").exists()
    assert "Traceback" not in team.wire.server.log.read_text()


def test_workers_leave_when_their_supervisor_is_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("orphans")
    site = make_site(folder / "site")
    publish(site)
    with run_server(site, folder, DUCAT_WORKERS="2") as server:
        wait_until(lambda: server.log.read_text().count("Started server process") == 2)
        wait_until(lambda: 'worker="2"} 1.0' in server.client.get("/metrics").text)
        server.process.kill()
        server.process.wait()

        def is_free() -> bool:
            try:
                return server.client.get("/livez").status_code == 0
            except httpx.ConnectError:
                return True

        wait_until(is_free)


def test_a_server_that_can_never_start_says_why_once_and_ends(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    site = make_site(tmp_path_factory.mktemp("broken"))
    (site.project / "semantic" / "model" / "sales.yml").write_text("cubes: [{name: x}]")
    failed = subprocess.run(
        [DUCAT, "serve", "--port", "0", "--workers", "2"],
        env=site.environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.count("error[") == 1


def test_what_the_machine_has_is_divided_among_workers(tmp_path: Path) -> None:
    whole = Settings(home=tmp_path, query_concurrency=5, memory_limit="4GB")
    part = divide(whole, 2, 2)
    assert (part.query_concurrency, part.memory_limit) == (3, "2.000GB")
    assert part.cache_bytes == whole.cache_bytes // 2
    assert part.query_log_path == tmp_path / "query-log-2.ndjson"
    assert divide(whole, 2, 1).query_log_path == whole.query_log_path
