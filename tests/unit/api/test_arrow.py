"""`load` as Arrow on a real server: types, metadata, what is refused, and how."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest

from api.rest import arrow
from api.rest.arrow import ArrowForm, read_accept
from semantic.errors import QueryCancelledError, QuerySyntaxError
from tests.unit.api.conftest import Server
from tests.unit.api.test_server import read_log

ARROW = "application/vnd.apache.arrow.stream"
LOAD = "/cubejs-api/v1/load"
QUERY: dict[str, Any] = {
    "measures": ["sales.count", "sales.amount", "sales.average_weight"],
    "dimensions": ["shops.city", "sales.is_online"],
    "timeDimensions": [{"dimension": "sales.sold_at", "granularity": "month"}],
    "segments": ["sales.heavy"],
    "order": [["sales.sold_at", "asc"], ["shops.city", "asc"], ["sales.is_online", "asc"]],
    "timezone": "America/New_York",
}


def ask(server: Server, query: Any, accept: str = ARROW, **more: Any) -> httpx.Response:
    body = {"query": query, **more}
    return server.client.post(LOAD, json=body, headers={"accept": accept})


def read(response: httpx.Response) -> pa.Table:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith(ARROW)
    return pa.ipc.open_stream(response.content).read_all()


def test_rows_and_types_are_those_of_hand_written_sql(server: Server) -> None:
    table = read(ask(server, QUERY))
    assert table.schema.names == [
        "shops.city", "sales.is_online", "sales.sold_at.month",
        "sales.count", "sales.amount", "sales.average_weight",
    ]  # fmt: skip
    assert table.schema.types == [
        pa.string(), pa.bool_(), pa.timestamp("us"), pa.int64(), pa.decimal128(38, 4), pa.float64(),
    ]  # fmt: skip
    expected = server.site.ask(
        "SELECT city, is_online, date_trunc('month', sold_at AT TIME ZONE 'UTC' AT TIME ZONE "
        "'America/New_York')::TIMESTAMP AS month, count(*), sum(amount), avg(weight) "
        "FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) WHERE weight > 100 "
        "GROUP BY 1, 2, 3 ORDER BY 3, 1 NULLS LAST, 2 NULLS LAST"
    )
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert [row[:5] for row in rows] == [row[:5] for row in expected]
    assert [row[5] for row in rows] == pytest.approx([row[5] for row in expected])
    assert any(None in row[:2] for row in rows)
    assert all(isinstance(row[4], Decimal) for row in rows)


def test_the_metadata_says_what_the_json_answer_says(server: Server) -> None:
    query = {**QUERY, "total": True, "limit": 2, "offset": 1}
    table, answer = read(ask(server, query)), server.load(query)
    annotation = answer["annotation"]
    known = annotation["dimensions"] | annotation["timeDimensions"] | annotation["measures"]
    for field in table.schema:
        found = {name.decode(): value.decode() for name, value in field.metadata.items()}
        assert found.pop("kind") in {"dimension", "time_dimension", "measure"}
        assert field.name.startswith(found.pop("member"))
        assert found == {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            for name, value in known[field.name].items()
        }
    whole = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert json.loads(whole["query"]) == answer["query"]
    assert json.loads(whole["total"]) == answer["total"] > table.num_rows == 2
    assert whole["lastRefreshTime"] == answer["lastRefreshTime"]
    assert json.loads(whole["segments"]) == annotation["segments"]
    assert whole["dbType"] == answer["dbType"]
    state, expected = json.loads(whole["ducat"]), answer["ducat"]
    for found in (state, expected):
        del found["seconds"]
        found.pop("cache", None)
    assert state == expected
    assert whole["truncated"] == "false"


def test_an_answer_without_rows_has_its_columns(server: Server) -> None:
    table = read(ask(server, {**QUERY, "limit": 0}))
    assert (table.num_rows, table.num_columns) == (0, 6)


def test_get_and_multi_are_answered_too(server: Server) -> None:
    expected = read(ask(server, QUERY))
    got = server.client.get(
        LOAD, params={"query": json.dumps(QUERY), "queryType": "multi"}, headers={"accept": ARROW}
    )
    assert read(got).equals(expected)


def test_an_answer_is_whole_and_a_limit_may_be_any(server: Server) -> None:
    query = {"dimensions": ["sales.sale_id"]}
    table = read(ask(server, query))
    assert table.num_rows == 400
    assert json.loads(table.schema.metadata[b"query"])["limit"] is None
    assert read(ask(server, {**query, "limit": 60_000})).num_rows == 400
    assert ask(server, {**query, "limit": 60_000}, "application/json").status_code == 400


def test_whoever_takes_nothing_of_an_answer_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "STALLED_SECONDS", 0.05)

    async def send(_: object) -> None:
        await asyncio.Event().wait()  # as a server's `send` does while its buffer is full

    with pytest.raises(QueryCancelledError, match="took nothing"):
        asyncio.run(arrow._send_chunk(send, b"x", more=True))


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_buffers_are_compressed_only_if_asked(server: Server, codec: str) -> None:
    query = {"dimensions": ["sales.sale_id", "sales.sold_at"]}
    plain, small = ask(server, query), ask(server, query, f"{ARROW}; codec={codec}")
    assert small.headers["content-type"] == f"{ARROW}; codec={codec}"
    assert read(small).equals(read(plain))
    assert len(small.content) < len(plain.content)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"measures": ["sales.nope"]}, 400, "unknown_member"),
        ({"measures": ["secrets.hidden_count"]}, 400, "unknown_member"),
        ({"measures": ["sales.count"], "foo": 1}, 400, "query_syntax"),
        ({"measures": ["sales.count"], "limit": -1}, 400, "query_syntax"),
        ({"measures": ["sales.count"], "responseFormat": "compact"}, 400, "query_syntax"),
    ],
)
def test_what_fails_before_the_first_byte_is_json(
    server: Server, query: Any, status: int, code: str
) -> None:
    response = ask(server, query)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code)
    assert body["requestId"] == response.headers["x-request-id"]


def test_several_queries_are_refused_by_name(server: Server) -> None:
    time = {"dimension": "sales.sold_at", "granularity": "month"}
    one = {"measures": ["sales.count"], "timeDimensions": [time]}
    ranges = {"compareDateRange": [["2024-01-01", "2024-01-31"], ["2024-02-01", "2024-02-28"]]}
    compared = {**one, "timeDimensions": [time | ranges]}
    for query, name in (([one, one], "blendingQuery"), (compared, "compareDateRangeQuery")):
        response = ask(server, query, queryType="multi")
        assert (response.status_code, response.json()["code"]) == (501, "unsupported")
        assert name in response.json()["error"]


def test_the_door_is_shut_without_a_token(server: Server) -> None:
    headers = {"accept": ARROW, "authorization": "nonsense"}
    response = server.client.post(LOAD, json={"query": QUERY}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "invalid_token")


def test_the_query_log_has_one_line_for_each(server: Server) -> None:
    headers = {"accept": ARROW, "x-request-id": "arrow-1"}
    response = server.client.post(LOAD, json={"query": QUERY}, headers=headers)
    headers["x-request-id"] = "arrow-2"
    server.client.post(LOAD, json={"query": {"measures": ["sales.x"]}}, headers=headers)
    good, bad = (line for line in read_log(server) if line["requestId"].startswith("arrow-"))
    assert (good["face"], good["code"], good["user"]) == ("arrow", "ok", "ann")
    assert (good["rows"], good["bytes"]) == (read(response).num_rows, len(response.content))
    assert good["snapshot"]
    assert datetime.fromisoformat(good["time"]) < datetime.now(UTC)
    assert (bad["code"], bad["rows"], bad["bytes"]) == ("unknown_member", None, None)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, None),
        ("*/*", None),
        ("application/json", None),
        (ARROW, ArrowForm()),
        (ARROW.upper(), ArrowForm()),
        (f"application/json;q=0.5, {ARROW}", ArrowForm()),
        (f"application/json, {ARROW};q=0.5", None),
        (f"{ARROW};q=0", None),
        (f"{ARROW};q=x", None),
        (f'{ARROW}; codec="zstd", */*', ArrowForm("zstd")),
    ],
)
def test_accept_chooses_between_arrow_and_json(accept: str | None, form: ArrowForm | None) -> None:
    assert read_accept(accept) == form


@pytest.mark.parametrize("accept", [f"{ARROW};codec=gzip", f"{ARROW};level=3", f"{ARROW};codec="])
def test_a_form_that_is_not_known_is_refused(accept: str) -> None:
    with pytest.raises(QuerySyntaxError):
        read_accept(accept)
