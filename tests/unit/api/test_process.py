"""`ducat serve` as a process: before there are tables, when the model changes, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.unit.api.conftest import DUCAT, MODEL, Server, make_site, publish, run_server, wait_until

COUNT = {"measures": ["sales.count"]}
SLOW = {"measures": ["slow.greatest"]}


def start_slow(client: httpx.Client, codes: list[str]) -> threading.Thread:
    """Ask the slow query in a thread, and return once it runs; its outcome goes into `codes`."""

    def ask() -> None:
        with suppress(httpx.TransportError):
            response = client.post("/cubejs-api/v1/load", json={"query": SLOW})
            codes.append(response.json()["code"])

    asking = threading.Thread(target=ask)
    asking.start()
    in_flight = 'ducat_queries_in_flight{face="rest"} 1.0'
    wait_until(lambda: in_flight in client.get("/metrics").text)
    return asking


@pytest.fixture(scope="module")
def unready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server over a project of which nothing was published yet."""
    folder = tmp_path_factory.mktemp("process")
    with run_server(
        make_site(folder / "site"), folder,
        DUCAT_QUERY_TIMEOUT_SECONDS="2", DUCAT_CORS_ORIGINS="https://app.example",
    ) as server:  # fmt: skip
        yield server


def test_a_server_without_tables_lives_is_not_ready_and_becomes_ready(unready: Server) -> None:
    assert unready.client.get("/livez").status_code == 200
    ready = unready.client.get("/readyz")
    assert (ready.status_code, ready.json()["health"]) == (503, "DOWN")
    refused = unready.client.post("/cubejs-api/v1/load", json={"query": COUNT})
    assert (refused.status_code, refused.json()["code"]) == (503, "no_snapshot")
    assert "ducat_ready 0.0" in unready.client.get("/metrics").text
    assert unready.client.get("/").status_code == 200
    publish(unready.site)
    assert unready.client.get("/readyz").status_code == 200
    assert unready.load(COUNT)["data"] == [{"sales.count": "400"}]


@pytest.fixture(scope="module")
def server(unready: Server) -> Server:
    publish(unready.site)
    return unready


def test_a_query_past_the_deadline_is_stopped(server: Server) -> None:
    response = server.client.post("/cubejs-api/v1/load", json={"query": SLOW})
    assert (response.status_code, response.json()["code"]) == (504, "query_timeout")
    body = server.graphql("{ cube { slow { greatest } } }")
    assert body["errors"][0]["extensions"]["code"] == "TIMEOUT"


def test_browsers_of_the_allowed_origin_may_ask(server: Server) -> None:
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    allowed = httpx.options(server.url + "/cubejs-api/v1/load", headers=headers, timeout=60)
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    other = httpx.options(
        server.url + "/cubejs-api/v1/load",
        headers={**headers, "origin": "https://evil.example"},
        timeout=60,
    )
    assert "access-control-allow-origin" not in other.headers


def test_a_changed_model_goes_into_service_and_a_broken_one_does_not(server: Server) -> None:
    model = server.site.project / "semantic" / "model" / "sales.yml"
    model.write_text(MODEL.replace("name: online_share", "name: online_rate"))
    wait_until(
        lambda: server.client.post(
            "/cubejs-api/v1/load", json={"query": {"measures": ["sales.online_rate"]}}
        ).status_code == 200
    )  # fmt: skip
    assert "sales { online_rate }" in server.client.get("/graphql").text or (
        "errors" not in server.graphql("{ cube { sales { online_rate } } }")
    )
    model.write_text(MODEL.replace("{CUBE}.amount", "{nowhere}.amount"))
    wait_until(lambda: "ducat_model_is_current 0.0" in server.client.get("/metrics").text)
    assert server.load(COUNT)["data"] == [{"sales.count": "400"}]
    assert "sales.yml" in server.log.read_text()
    model.write_text(MODEL)
    wait_until(lambda: "ducat_model_is_current 1.0" in server.client.get("/metrics").text)
    assert "ducat_model_reload_failures_total 1.0" in server.client.get("/metrics").text


def test_a_used_port_is_named_with_what_to_do(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    failed = subprocess.run(
        [DUCAT, "serve", "--port", port],
        env=server.site.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error[port_in_use]: port {port} on 127.0.0.1 is in use")
    assert "ducat serve --port 0" in failed.stderr


@pytest.mark.parametrize("variable", ["DUCAT_POSTGRES_PORT", "DUCAT_FLIGHT_PORT"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_used_port_of_another_door_names_its_setting(
    server: Server, variable: str, workers: str
) -> None:
    port = server.url.rpartition(":")[2]
    failed = subprocess.run(
        [DUCAT, "serve", "--port", "0", "--workers", workers],
        env=server.site.environment(**{variable: port}),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    error, hint = failed.stderr.splitlines()
    assert error == f"error[port_in_use]: port {port} on 127.0.0.1 is in use by another process"
    assert f"{variable}=0 takes any" in hint


def test_an_address_of_another_machine_is_refused(server: Server) -> None:
    failed = subprocess.run(
        [DUCAT, "serve", "--host", "192.0.2.1", "--port", "0"],
        env=server.site.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.startswith("error[invalid_setting]: cannot listen on 192.0.2.1")


def test_sigterm_ends_the_process_in_order_while_a_query_runs(server: Server) -> None:
    """The last test of this module: it stops the server."""
    codes: list[str] = []
    asking = start_slow(server.client, codes)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    asking.join(20)
    assert codes[0] in {"too_busy", "query_timeout"}
    assert "Traceback" not in server.log.read_text()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(server.url.rpartition(":")[2])))


def test_without_a_secret_a_developer_gets_a_token_and_ctrl_c_stops_long_queries(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("developer")
    site = make_site(folder / "site")
    publish(site)
    environment = site.environment()
    del environment["DUCAT_JWT_SECRET"]
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen([DUCAT, "serve", "--port", "0"], env=environment, stderr=stream)
    try:
        wait_until(lambda: "Ducat answers at" in log.read_text())
        words = log.read_text().split()
        url = next(word for word in words if word.startswith("http://"))
        token = words[words.index("run:") + 1]
        client = httpx.Client(base_url=url, headers={"authorization": token}, timeout=60)
        with client:
            wait_until(lambda: client.get("/readyz").status_code == 200)
            answer = client.get(
                "/cubejs-api/v1/load", params={"query": '{"measures":["sales.count"]}'}
            )
            assert answer.json()["data"] == [{"sales.count": "400"}]
            codes: list[str] = []
            asking = start_slow(client, codes)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            asking.join(30)
            assert codes == ["too_busy"]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()
