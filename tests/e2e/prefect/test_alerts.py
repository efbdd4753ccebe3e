"""Alerts on metrics, checked by a run on a real Prefect server and told to a real receiver."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.errors import AlertError, AlertUndeliveredError
from flows.orchestration.alerts import check_alerts
from flows.orchestration.limits import ensure_limits
from flows.orchestration.runs import open_workshop, run_pipeline
from semantic.snapshot import read_snapshot
from tests.e2e.prefect.receivers import receive_http

MODEL = """
cubes:
  - name: orders
    sql_table: gold.fct_orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: day, type: time, sql: day}
    measures:
      - name: amount
        type: sum
        sql: amount
        meta:
          owner: shop-team
          ducat:
            alerts: [{name: low, time_dimension: day, granularity: day, below: 10}]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_client_settings: str) -> Path:
    """A project whose only orders are old: of yesterday there is nothing."""
    folder = tmp_path / "shop"
    shutil.copytree(Path(__file__).parent / "shop", folder)
    (folder / "semantic" / "model" / "orders.yml").write_text(MODEL)
    orders = folder / "orders.jsonl"
    orders.write_text(json.dumps({"id": 1, "day": "2024-01-01", "amount": 100}))
    monkeypatch.setenv("DUCAT_PROJECT", str(folder))
    monkeypatch.setenv("SHOP_ORDERS", str(orders))
    ensure_limits([open_workshop("shop").pipeline])
    return folder


def _last_run(url: str) -> dict[str, Any]:
    answer = httpx.post(
        f"{url}/api/flow_runs/filter",
        json={"flows": {"name": {"any_": ["alerts"]}}, "sort": "START_TIME_DESC", "limit": 1},
    )
    run: dict[str, Any] = answer.raise_for_status().json()[0]
    return run


def test_a_run_tells_of_what_it_published_and_its_artifact_says_what_was_found(
    shop: Path, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receive_http() as (port, inbox):
        monkeypatch.setenv("DUCAT_ALERT_URLS", f"json://127.0.0.1:{port}/hook")
        run_pipeline("shop")
        message = json.loads(inbox.get_nowait())
        assert message["title"].startswith("[no data] Amount: low, ")
        assert "Owner: shop-team" in message["message"]
        assert message["attachments"][0]["mimetype"] == "image/png"
        assert _last_run(prefect_url)["state"]["type"] == "COMPLETED"
        check_alerts()
        assert inbox.empty()
    artifact = httpx.get(f"{prefect_url}/api/artifacts/alerts/latest").raise_for_status().json()
    [row] = json.loads(artifact["data"])
    assert (row["alert"], row["verdict"]) == ("orders.amount.low", "missing")
    assert read_snapshot(shop / ".ducat" / "serving").tables
    # An alert that cannot be judged is named in the state of its run.
    model = shop / "semantic" / "model" / "orders.yml"
    model.write_text(MODEL.replace("below: 10", "below: 10, to: [nobody]"))
    with pytest.raises(AlertError, match="nobody"):
        check_alerts()
    assert "`nobody`" in _last_run(prefect_url)["state"]["message"]


def test_a_receiver_that_is_down_is_named_in_the_state_of_the_run_which_publishes_all_the_same(
    shop: Path, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("DUCAT_ALERT_URLS", f"json://127.0.0.1:{port}/secret-path")
    run_pipeline("shop")
    assert read_snapshot(shop / ".ducat" / "serving").tables
    state = _last_run(prefect_url)["state"]
    assert state["type"] == "FAILED"
    assert "#0: [no data] Amount: low" in state["message"]
    assert "secret-path" not in state["message"]
    with pytest.raises(AlertUndeliveredError):
        check_alerts()
    with receive_http() as (up, inbox):
        monkeypatch.setenv("DUCAT_ALERT_URLS", f"json://127.0.0.1:{up}/hook")
        check_alerts()
        assert "[no data]" in inbox.get_nowait()
        assert inbox.empty()
