"""The official client of the Model Context Protocol, over HTTP."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from tests.clients.expected import Expected
from tests.clients.python_clients import CARRIERS
from tests.clients.report import Client, Report
from tests.clients.site import Site, run_site

NAME = "mcp"


def run(tables: Path, folder: Path) -> Report:
    """Do what an agent does: look around, check a query, run it."""
    report = Report(NAME, version(NAME))
    with run_site(tables, folder / "mcp") as site:
        asyncio.run(_talk(report, site))
    return report


async def _talk(report: Report, site: Site) -> None:
    headers = {"authorization": f"Bearer {site.token}"}
    async with (
        create_mcp_http_client(headers=headers) as client,
        streamable_http_client(f"{site.url}/mcp", http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            answer = await session.call_tool(tool, arguments)
            found: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]
            return found

        tools = {tool.name for tool in (await session.list_tools()).tools}
        report.check("list_tools", {"list_cubes", "run_query"} <= tools, expected=True)
        cubes = {cube["name"] for cube in (await call("list_cubes"))["cubes"]}
        report.check("list_cubes", {"flights", "flight_operations"} <= cubes, expected=True)
        found = await call("find_members", text="on time")
        names = [item["name"] for item in found["members"]]
        report.check("find_members", "flights.on_time_rate" in names, expected=True)
        checked = await call("check_query", query=CARRIERS)
        report.check("check_query", "error" in checked, expected=False)
        answer = await call("run_query", query=CARRIERS)
        rows = [(carrier, int(count), int(miles)) for carrier, count, miles in answer["rows"]]
        report.check("run_query", rows, Expected(site).by_carrier())
        report.check("freshness and quality", "passed" in json.dumps(answer), expected=True)
        refused = await session.call_tool("run_query", {"query": {"measures": ["flights.cuont"]}})
        report.check("errors", refused.is_error, expected=True)


CLIENTS = [Client(NAME, run)]
