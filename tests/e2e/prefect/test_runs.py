"""A small project run through the real flows on a real Prefect server."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from flows.errors import FreshnessMissedError, GateFailedError, IngestFailedError
from flows.orchestration.deployments import describe_deployments
from flows.orchestration.limits import ensure_limits
from flows.orchestration.runs import open_workshop, run_pipeline, watch_freshness
from semantic.rollups import read_rollups
from semantic.snapshot import publish_snapshot, read_checks, read_snapshot

ROOT = Path(__file__).parent / "shop"
MODEL = """
cubes:
  - name: orders
    sql_table: gold.fct_orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: day, type: time, sql: day}
    measures:
      - {name: amount, type: sum, sql: amount}
    pre_aggregations:
      - {name: by_day, measures: [amount], time_dimension: day, granularity: day}
"""


class Shop:
    """A project folder of one test, and its only source."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.orders = folder / "orders.jsonl"
        self.serving = folder / ".ducat" / "serving"

    def deliver(self, *orders: dict[str, Any]) -> None:
        """Replace the source's file."""
        self.orders.write_text("\n".join(json.dumps(order) for order in orders))

    def served(self) -> list[tuple[Any, ...]]:
        """Return the rows in service."""
        file = self.serving / read_snapshot(self.serving).file
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(
                "SELECT id, amount FROM gold.fct_orders ORDER BY id"
            ).fetchall()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_client_settings: str) -> Shop:
    """The project, alone, with two orders delivered and its limits registered."""
    folder = tmp_path / "shop"
    shutil.copytree(ROOT, folder)
    monkeypatch.setenv("DUCAT_PROJECT", str(folder))
    made = Shop(folder)
    monkeypatch.setenv("SHOP_ORDERS", str(made.orders))
    made.deliver(
        {"id": 1, "day": "2024-01-01", "amount": 100}, {"id": 2, "day": "2024-01-02", "amount": 50}
    )
    ensure_limits([open_workshop("shop").pipeline])
    return made


def _last_run(url: str, flow: str) -> dict[str, Any]:
    answer = httpx.post(
        f"{url}/api/flow_runs/filter",
        json={"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC", "limit": 1},
    )
    run: dict[str, Any] = answer.raise_for_status().json()[0]
    return run


def test_a_run_publishes_and_leaves_its_row_counts(shop: Shop, prefect_url: str) -> None:
    snapshot = run_pipeline("shop")
    assert shop.served() == [(1, 100), (2, 50)]
    assert read_snapshot(shop.serving).id == snapshot
    assert _last_run(prefect_url, "run")["state"]["type"] == "COMPLETED"
    artifact = httpx.get(f"{prefect_url}/api/artifacts/shop-ingest-tables/latest")
    rows = json.loads(artifact.raise_for_status().json()["data"])
    assert [row["rows written"] for row in rows] == [2]


def test_running_again_changes_nothing(shop: Shop) -> None:
    first = run_pipeline("shop")
    assert run_pipeline("shop") == first


def test_a_broken_contract_keeps_the_last_good_tables_and_says_which_rows(
    shop: Shop, prefect_url: str
) -> None:
    good = run_pipeline("shop")
    shop.deliver(
        {"id": 1, "day": "2024-01-01", "amount": 100}, {"id": 2, "day": "2024-01-02", "amount": -7}
    )
    with pytest.raises(GateFailedError, match="fct_orders"):
        run_pipeline("shop")
    assert read_snapshot(shop.serving).id == good
    assert shop.served() == [(1, 100), (2, 50)]
    assert read_checks(shop.serving)["fct_orders"].state == "failed"
    run = _last_run(prefect_url, "run")
    assert run["state"]["type"] == "FAILED"
    assert "fct_orders" in run["state"]["message"]
    failures = httpx.get(f"{prefect_url}/api/artifacts/shop-quality-failures/latest")
    assert "'id': 2" in failures.raise_for_status().json()["data"]


def test_a_changed_type_stops_the_source_and_the_rest_goes_on(shop: Shop, prefect_url: str) -> None:
    run_pipeline("shop")
    shop.deliver({"id": 3, "day": "2024-01-03", "amount": "a lot"})
    with pytest.raises(IngestFailedError, match="schema_changed"):
        run_pipeline("shop")
    assert shop.served() == [(1, 100), (2, 50)]
    assert _last_run(prefect_url, "publish")["state"]["type"] == "COMPLETED"
    assert _last_run(prefect_url, "run")["state"]["type"] == "FAILED"
    assert list((shop.root / ".ducat" / "lake" / "quarantine").rglob("reason.json"))


def test_a_table_older_than_its_contract_allows_fails_the_watch(shop: Shop) -> None:
    run_pipeline("shop")
    watch_freshness()
    fresh = read_snapshot(shop.serving)
    aged = tuple(
        replace(table, loaded_at=table.loaded_at - timedelta(hours=1)) for table in fresh.tables
    )
    publish_snapshot(shop.serving, replace(fresh, tables=aged))
    with pytest.raises(FreshnessMissedError, match=r"fct_orders .*shop-team"):
        watch_freshness()


def test_every_step_has_a_deployment_and_the_whole_run_a_schedule(shop: Shop) -> None:
    found = describe_deployments([open_workshop("shop").pipeline])
    assert {(item.flow_name, item.name) for item in found} == {
        ("watch", "served-tables"),
        ("run", "shop"),
        ("ingest", "shop"),
        ("transform", "shop"),
        ("publish", "shop"),
        ("rollups", "pre-aggregations"),
        ("alerts", "metrics"),
    }
    schedules = {item.flow_name: item.schedules for item in found if item.schedules}
    assert set(schedules) == {"run", "watch", "rollups", "alerts"}


def test_a_run_builds_the_rollups_of_what_it_published(shop: Shop, prefect_url: str) -> None:
    """One that fails is its own failure: what was published stays, and answers come from the rows."""
    model = shop.root / "semantic" / "model" / "orders.yml"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_text(MODEL)
    run_pipeline("shop")
    [built] = read_rollups(shop.serving)
    snapshot = read_snapshot(shop.serving)
    assert (built.name, built.rows, built.find_change(snapshot)) == ("orders.by_day", 2, None)
    assert _last_run(prefect_url, "rollups")["state"]["type"] == "COMPLETED"
    model.write_text(MODEL.replace("sql: amount", "sql: price"))
    shop.deliver({"id": 3, "day": "2024-01-03", "amount": 7})
    run_pipeline("shop")
    assert _last_run(prefect_url, "run")["state"]["type"] == "COMPLETED"
    failed = _last_run(prefect_url, "rollups")["state"]
    assert failed["type"] == "FAILED"
    assert "price" in failed["message"]


def test_prefect_schedules_what_has_a_schedule(shop: Shop, prefect_url: str) -> None:
    """With a database library that Prefect cannot use no run was ever scheduled, and nothing said so."""
    del shop
    [watch] = [
        item
        for item in describe_deployments([open_workshop("shop").pipeline])
        if item.flow_name == "watch"
    ]
    deployment = watch.apply()
    wanted = {
        "deployments": {"id": {"any_": [str(deployment)]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    runs: list[dict[str, Any]] = []
    deadline = time.monotonic() + 90
    while not runs and time.monotonic() < deadline:
        time.sleep(0.5)
        answer = httpx.post(f"{prefect_url}/api/flow_runs/filter", json=wanted)
        runs = answer.raise_for_status().json()
    httpx.delete(f"{prefect_url}/api/deployments/{deployment}").raise_for_status()
    assert {run["auto_scheduled"] for run in runs} == {True}
