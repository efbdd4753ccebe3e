"""The official client of the Model Context Protocol against a real server, and over a pipe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from tests.unit.api.conftest import DUCAT, SECRET, Server, Site, run_server


def over_http(server: Server, ask: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Run `ask` in a session with the server."""
    return asyncio.run(_talk_http(server, ask))


async def _talk_http(server: Server, ask: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    headers = {"authorization": str(server.client.headers["authorization"])}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_make_client(headers))
        streams = await stack.enter_async_context(
            streamable_http_client(f"{server.url}/mcp", http_client=client)
        )
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        await session.initialize()
        return await ask(session)


async def _greet(server: Server) -> Any:
    headers = {"authorization": str(server.client.headers["authorization"])}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_make_client(headers))
        streams = await stack.enter_async_context(
            streamable_http_client(f"{server.url}/mcp", http_client=client)
        )
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        return (await session.initialize()).server_info


def _make_client(headers: dict[str, str]) -> Any:
    from mcp.shared._httpx_utils import create_mcp_http_client  # noqa: PLC0415

    return create_mcp_http_client(headers=headers)


def call(server: Server, tool: str, **arguments: Any) -> CallToolResult:
    async def ask(session: ClientSession) -> CallToolResult:
        return await session.call_tool(tool, arguments)

    answer: CallToolResult = over_http(server, ask)
    return answer


def answer_of(server: Server, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = call(server, tool, **arguments)
    assert not answer.is_error, answer
    structured = answer.structured_content
    assert isinstance(structured, dict)
    assert json.loads(answer.content[0].text) == structured  # type: ignore[union-attr]
    return structured


def test_an_agent_learns_the_tools_and_how_to_use_them(server: Server) -> None:
    async def ask(session: ClientSession) -> Any:
        return await session.list_tools()

    tools = {tool.name: tool for tool in over_http(server, ask).tools}
    assert set(tools) == {
        "list_cubes", "describe_cube", "find_members", "describe_member", "check_query", "run_query",
    }  # fmt: skip
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())


def test_an_agent_finds_cubes_and_members_with_their_definitions(server: Server) -> None:
    cubes = {cube["name"] for cube in answer_of(server, "list_cubes")["cubes"]}
    assert cubes == {"shops", "sales", "slow", "shop_sales"}
    sales = answer_of(server, "describe_cube", name="sales")
    amount = next(item for item in sales["measures"] if item["name"] == "sales.amount")
    assert amount["aggregation"] == "sum"
    assert amount["formula"] == "{sales}.amount"
    assert amount["format"] == "currency"
    found = answer_of(server, "find_members", text="shop city")["members"]
    assert found[0]["name"] == "shop_sales.shop_city"


def test_a_number_comes_with_its_definition_freshness_and_quality(server: Server) -> None:
    query = {"measures": ["shop_sales.count"], "dimensions": ["shop_sales.shop_city"],
             "order": [["shop_sales.count", "desc"], ["shop_sales.shop_city", "asc"]]}  # fmt: skip
    answer = answer_of(server, "run_query", query=query)
    expected = server.site.ask(
        "SELECT city, count(*) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) "
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    assert answer["columns"] == ["shop_sales.shop_city", "shop_sales.count"]
    assert [(city, int(count)) for city, count in answer["rows"]] == expected
    assert answer["truncated"] is False
    assert answer["definitions"]["shop_sales.count"]["alias_of"] == "sales.count"
    assert answer["state"]["quality"] == "passed"
    assert answer["state"]["newestCheck"][0]["table"] == "dim_shop"
    definition = answer_of(server, "describe_member", name="sales.count")
    assert definition["definition"]["aggregation"] == "count"
    assert definition["state"]["tables"][0]["name"] == "fct_sale"


def test_rows_that_were_left_out_are_said(server: Server) -> None:
    query = {"dimensions": ["sales.sale_id"], "order": {"sales.sale_id": "asc"}, "total": True}
    answer = answer_of(server, "run_query", query=query)
    assert answer["rows_shown"] == len(answer["rows"]) == 100
    assert answer["truncated"] is True
    assert answer["total_rows"] == 400
    assert "do not add these up" in answer["advice"]
    last = answer_of(server, "run_query", query=query | {"limit": 400})
    assert last["truncated"] is False
    assert last["rows_shown"] == 400


def test_a_query_is_checked_without_running_it(server: Server) -> None:
    checked = answer_of(server, "check_query", query={"measures": ["slow.greatest"]})
    assert checked["valid"] is True
    assert "fct_sale" in checked["sql"]
    query = {"measures": ["sales.count"], "dimensions": ["shops.city"]}
    told = answer_of(server, "check_query", query=query)["explanation"]
    (join,) = told["joins"]
    assert (told["root"], join["from"], join["to"]) == ("sales", "sales", "shops")
    assert join["why"] == "for shops.city"
    assert set(told["tables"]) == {"gold.dim_shop", "gold.fct_sale"}


@pytest.mark.parametrize(
    ("query", "code", "hint"),
    [
        ({"measures": ["sales.cuont"]}, "unknown_member", "did you mean sales.count?"),
        ({"measures": ["secrets.hidden_count"]}, "unknown_member", None),
        ({"sql": "SELECT 1"}, "query_syntax", None),
        ({"measures": ["sales.count"], "limit": 5000}, "limit_exceeded", "aggregate more"),
    ],
)
def test_a_check_says_why_a_query_cannot_be_answered(
    server: Server, query: dict[str, Any], code: str, hint: str | None
) -> None:
    checked = answer_of(server, "check_query", query=query)
    assert (checked["valid"], checked["code"]) == (False, code)
    assert checked["error"]
    assert hint is None or hint in checked["suggestion"]


def test_the_server_says_its_version(server: Server) -> None:
    told: Any = asyncio.run(_greet(server))
    assert (told.name, told.version) == ("ducat", version("ducat"))


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("run_query", {"query": {"measures": ["sales.cuont"]}}, "unknown_member"),
        ("run_query", {"query": {"measures": ["secrets.hidden_count"]}}, "unknown_member"),
        ("run_query", {"query": {"measures": ["sales.count"], "limit": 5000}}, "limit_exceeded"),
        ("run_query", {"query": "SELECT 1"}, "query_syntax"),
        ("run_query", {"query": {"sql": "SELECT 1"}}, "query_syntax"),
        ("run_query", {}, "query_syntax"),
        ("check_query", {"query": {"measures": ["sales.count"]}, "more": 1}, "query_syntax"),
        ("describe_cube", {"name": "secrets"}, "unknown_member"),
        ("describe_cube", {"name": 3}, "query_syntax"),
        ("describe_member", {"name": "secrets.hidden_count"}, "unknown_member"),
        ("drop_everything", {}, "query_syntax"),
    ],
)
def test_what_cannot_be_answered_says_its_code_and_what_to_do(
    server: Server, tool: str, arguments: dict[str, Any], code: str
) -> None:
    answer = call(server, tool, **arguments)
    assert answer.is_error
    assert answer.structured_content is not None
    assert answer.structured_content["code"] == code


def test_without_a_token_nothing_is_answered(server: Server) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"accept": "application/json, text/event-stream"}
    response = httpx.post(f"{server.url}/mcp", json=body, headers=headers, timeout=30)
    assert (response.status_code, response.json()["code"]) == (403, "invalid_token")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\x00" * 100, b'{"jsonrpc": "1.0"}'])
def test_bytes_that_are_no_message_are_refused(server: Server, body: bytes) -> None:
    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    response = server.client.post("/mcp", content=body, headers=headers)
    assert 400 <= response.status_code < 500


def test_the_command_speaks_over_a_pipe_as_the_user_that_it_is_given(site: Site) -> None:
    async def talk() -> CallToolResult:
        parameters = StdioServerParameters(
            command=str(DUCAT),
            args=["mcp", "--user", "agent", "--group", "analysts"],
            env=site.environment(DUCAT_JWT_SECRET=SECRET),
        )
        async with (
            stdio_client(parameters) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return await session.call_tool("run_query", {"query": {"measures": ["sales.count"]}})

    answer = asyncio.run(talk())
    ((count,),) = site.ask("SELECT count(*) FROM gold.fct_sale")
    assert answer.structured_content is not None
    assert answer.structured_content["rows"] == [[str(count)]]


def test_an_agent_that_may_not_see_sql_gets_none(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("without_sql")
    with run_server(site, folder, DUCAT_SQL_GROUPS="nobody") as server:
        checked = answer_of(server, "check_query", query={"measures": ["sales.amount"]})
        assert checked["valid"] is True
        described = answer_of(server, "describe_cube", name="sales")
        assert {"sql", "explanation", "formula", "only_rows_where"}.isdisjoint(
            key
            for item in (checked, *described["measures"], *described["segments"])
            for key in item
        )
        assert "fct_sale" not in str(checked["definitions"])
