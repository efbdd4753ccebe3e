"""Traces reach a real collector over OTLP, say what was asked, and never which values."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from websockets.sync.client import connect

from api.auth import make_token
from api.telemetry import UNTRACED, open_tracing
from semantic.errors import SettingsError
from tests.unit.api.collector import Collector, Received, run_collector
from tests.unit.api.conftest import SECRET, Site, run_server, wait_until
from tests.unit.api.postgres.conftest import WireServer, run_wire

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
CITY = 'Lyon "Nord"'
SERVER = 2


@dataclass(frozen=True, slots=True)
class Traced:
    wire: WireServer
    collector: Collector

    def wait(self, trace: str, *names: str) -> dict[str, list[Received]]:
        """Return the spans of a trace once these have come."""
        wait_until(lambda: set(names) <= set(self.collector.of(trace)))
        return self.collector.of(trace)

    def wait_query(self, request_id: str | None = None, face: str | None = None) -> Received:
        """Return a query's span."""
        found: list[Received] = []

        def has_come() -> bool:
            found[:] = [
                span
                for span in self.collector.spans
                if span.name == "query"
                and (request_id is None or span.facts["ducat.request_id"] == request_id)
                and (face is None or span.facts["ducat.face"] == face)
            ]
            return bool(found)

        wait_until(has_come)
        return found[-1]


@pytest.fixture(scope="module")
def traced(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    with (
        run_collector() as collector,
        run_wire(
            site, tmp_path_factory.mktemp("traced"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50",
        ) as wire,
    ):  # fmt: skip
        yield Traced(wire, collector)


def headers(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{SPAN}-01", "x-request-id": f"of-{trace}"}


def ask_sales(traced: Traced, trace: str) -> None:
    query = {
        "measures": ["sales.count"],
        "filters": [{"member": "shops.city", "operator": "equals", "values": [CITY]}],
    }
    response = traced.wire.server.client.post(
        "/cubejs-api/v1/load", json={"query": query}, headers=headers(trace)
    )
    assert response.status_code == 200


def test_a_query_over_rest_is_a_child_of_the_caller_and_has_its_steps(traced: Traced) -> None:
    ask_sales(traced, TRACE)
    spans = traced.wait(TRACE, "POST /cubejs-api/v1/load", "query", "render")
    (request,), (query,) = spans["POST /cubejs-api/v1/load"], spans["query"]
    assert (request.kind, request.parent, request.service) == (SERVER, SPAN, "ducat")
    assert request.facts["http.response.status_code"] == 200
    assert query.parent == request.id
    assert {name: spans[name][0].parent for name in ("queue", "plan", "warehouse", "render")} == (
        dict.fromkeys(("queue", "plan", "warehouse", "render"), query.id)
    )
    assert query.facts["ducat.members"] == ["sales.count"]
    assert query.facts["ducat.filtered_by"] == ["shops.city"]
    assert query.facts["ducat.cubes"] == ["sales", "shops"]
    assert (query.facts["ducat.rows"], query.facts["ducat.code"]) == (1, "ok")
    assert query.facts["ducat.bytes"] > 50
    assert query.facts["ducat.snapshot"]
    assert sorted(spans["warehouse"][0].facts["ducat.tables"]) == [
        "gold.dim_shop",
        "gold.fct_sale",
    ]


def test_the_second_query_of_a_shape_says_that_its_plan_was_kept(traced: Traced) -> None:
    first, second = "1" * 32, "2" * 32
    ask_sales(traced, first)
    ask_sales(traced, second)
    spans = traced.wait(second, "plan", "render")
    (plan,) = spans["plan"]
    assert spans["render"][0].facts["ducat.cache"] == "hit"
    assert "warehouse" not in spans
    assert plan.facts["ducat.plan_cache.hit"] is True


def test_a_refused_query_says_its_code_and_nothing_of_its_text(traced: Traced) -> None:
    trace = "3" * 32
    traced.wire.server.client.post(
        "/cubejs-api/v1/load", json={"query": {"measures": ["sales.nope"]}}, headers=headers(trace)
    )
    (query,) = traced.wait(trace, "query")["query"]
    assert query.facts["error.type"] == query.facts["ducat.code"] == "unknown_member"


def test_graphql_and_agents_are_traced_too(traced: Traced) -> None:
    client = traced.wire.server.client
    graphql, agent = "4" * 32, "5" * 32
    client.post(
        "/graphql", json={"query": "{ cube { sales { count } } }"}, headers=headers(graphql)
    )
    spans = traced.wait(graphql, "POST /graphql", "query", "warehouse")
    assert spans["query"][0].facts["ducat.face"] == "graphql"
    call = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "run_query", "arguments": {"query": {"measures": ["sales.count"]}}},
    }  # fmt: skip
    accept = {"accept": "application/json, text/event-stream"}
    assert client.post("/mcp", json=call, headers=headers(agent) | accept).status_code == 200
    spans = traced.wait(agent, "POST /mcp", "query", "warehouse")
    assert spans["query"][0].facts["ducat.face"] == "mcp"


def test_a_statement_of_the_postgres_wire_is_a_trace_of_its_own(traced: Traced) -> None:
    with psycopg.connect(**traced.wire.address) as db:
        db.execute("SELECT MEASURE(count) FROM shop_sales WHERE shop_city = 'Paris'").fetchall()
    query = traced.wait_query(face="postgres")
    assert query.parent == ""
    assert "shop_sales.count" in query.facts["ducat.members"]
    assert {"queue", "plan", "warehouse"} <= set(traced.wait(query.trace, "queue", "warehouse"))


def test_a_websocket_is_a_child_of_whoever_opened_it(traced: Traced) -> None:
    trace = "6" * 32
    address = traced.wire.server.url.replace("http", "ws") + "/cubejs-api/v1/ws"
    with connect(address, additional_headers=headers(trace)) as line:
        line.send(json.dumps({"authorization": make_token(SECRET, user="ann")}))
        line.recv()
        asked: dict[str, Any] = {"query": {"measures": ["sales.count"]}}
        line.send(json.dumps({"messageId": 1, "method": "load", "params": asked}))
        line.recv()
    (query,) = traced.wait(trace, "query")["query"]
    assert query.parent == SPAN


def test_a_malformed_traceparent_begins_a_new_trace(traced: Traced) -> None:
    given = {"traceparent": "00-zz-nonsense", "x-request-id": "malformed"}
    query = {"measures": ["sales.count"]}
    response = traced.wire.server.client.post(
        "/cubejs-api/v1/load", json={"query": query}, headers=given
    )
    assert response.status_code == 200
    assert traced.wait_query("malformed").trace


def test_log_lines_carry_the_trace(traced: Traced) -> None:
    trace = "7" * 32
    ask_sales(traced, trace)

    def lines() -> list[dict[str, Any]]:
        written = traced.wire.server.log.read_text().splitlines()
        return [json.loads(line) for line in written if f'"trace_id":"{trace}"' in line]

    wait_until(lambda: any(line["event"] == "query" for line in lines()))


def test_no_value_and_no_token_leaves_the_server(traced: Traced) -> None:
    """After the tests above: everything that was sent is looked through."""
    ask_sales(traced, "8" * 32)
    traced.wait("8" * 32, "query", "POST /cubejs-api/v1/load")
    sent = b"".join(traced.collector.bodies)
    assert b"sales.count" in sent
    for secret in (CITY, "Nord", "Paris", "eyJ", "Bearer", "SELECT"):
        assert secret.encode() not in sent


def test_a_collector_that_is_down_changes_nothing(site: Site, tmp_path: Any) -> None:
    with run_server(site, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server:
        assert server.load({"measures": ["sales.count"]})["data"] == [{"sales.count": "400"}]
    assert server.process.returncode == 0


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
    ],
)
def test_traces_are_off_unless_asked_for(variables: dict[str, str]) -> None:
    assert open_tracing(variables) is UNTRACED


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_cannot_be_exported_to_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="OTEL_"):
        open_tracing(variables)


def test_a_server_that_is_not_traced_never_imports_opentelemetry() -> None:
    code = (
        "import sys, api.app, api.gateway, api.routes; from api.telemetry import open_tracing; "
        "open_tracing({}); print('opentelemetry.sdk' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
