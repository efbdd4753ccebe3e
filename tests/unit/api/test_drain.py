"""SIGTERM with a time to drain: `/readyz` says so first, and what comes meanwhile is answered."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Site, wait_until
from tests.unit.api.postgres.conftest import run_wire

COUNT = {"measures": ["sales.count"]}


def test_a_server_that_drains_is_not_ready_answers_on_and_then_tells_every_socket(
    site: Site, tmp_path: Path
) -> None:
    with run_wire(site, tmp_path, DUCAT_DRAIN_SECONDS="4") as wire:
        server = wire.server
        address = server.url.replace("http", "ws") + "/cubejs-api/v1/ws"
        with connect(address) as line, psycopg.connect(**wire.address, autocommit=True) as db:
            line.send(json.dumps({"authorization": make_token(SECRET, user="ann")}))
            line.recv(30)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: server.client.get("/readyz").status_code == 503)
            assert server.client.get("/readyz").json()["error"] == "the server is stopping"
            assert server.client.get("/livez").status_code == 200
            assert server.load(COUNT)["data"] == [{"sales.count": "400"}]
            assert db.execute("SELECT MEASURE(count) FROM sales").fetchone() == (400,)
            codes: list[str] = []

            def ask() -> None:
                with suppress(httpx.TransportError):
                    query = {"query": {"measures": ["slow.greatest"]}}
                    answer = server.client.post("/cubejs-api/v1/load", json=query)
                    codes.append(answer.json().get("code", "?"))

            asking = threading.Thread(target=ask)
            asking.start()
            closed: ConnectionClosed | None = None
            try:
                line.recv(60)
            except ConnectionClosed as ended:
                closed = ended
            assert closed is not None
            assert closed.rcvd is not None
            assert closed.rcvd.code == 1012  # the server restarts
            assert server.process.wait(30) == 0
            asking.join(30)
            assert codes == ["too_busy"]
            with suppress(psycopg.Error):
                db.execute("SELECT 1")
            assert db.closed
    assert "Traceback" not in server.log.read_text()
