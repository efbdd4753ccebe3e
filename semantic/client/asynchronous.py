"""The client for programs that do other things meanwhile. A task that is cancelled stops its query."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import pyarrow as pa

from semantic.client import frames, wire
from semantic.client.client import BUFFER_BYTES
from semantic.client.token import Token, authorize
from semantic.client.wire import BASE, Server


class AsyncAnswer:
    """A query to a server, answered when it is first awaited, and then kept."""

    def __init__(self, client: AsyncClient, query: dict[str, Any]) -> None:
        self._client = client
        self._query = query
        self._table: pa.Table | None = None

    async def to_arrow(self) -> pa.Table:
        """Return the rows; columns are called as the members are, decimals stay decimals.

        Raises:
            DucatClientError: there is no answer, or not the whole of it.
        """
        if self._table is None:
            self._table = await self._client.fetch(self._query)
        return self._table

    async def to_pandas(self) -> Any:
        """Return a pandas data frame, with Arrow's types, so that no number is rounded."""
        return frames.to_pandas(await self.to_arrow())

    async def to_polars(self) -> Any:
        """Return a polars data frame."""
        return frames.to_polars(await self.to_arrow())

    async def to_ibis(self) -> Any:
        """Return an Ibis table of the rows, to compose with any further expression."""
        return frames.to_ibis(await self.to_arrow())

    async def state(self) -> dict[str, Any]:
        """Return how fresh the tables are, and what their checks said."""
        return wire.read_state(await self.to_arrow())

    async def total(self) -> int | None:
        """Return how many rows there are without limit and offset, where `total` was asked."""
        return wire.read_total(await self.to_arrow())

    async def meta(self) -> dict[str, dict[str, Any]]:
        """Return what each column means: member, title, type, format …, as Cube's annotation."""
        return wire.read_meta(await self.to_arrow())

    async def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL that answers the query, and the values bound to it."""
        answer = await self._client.request("POST", "/sql", wire.ask_sql(self._query))
        text, values = answer["sql"]["sql"]
        return text, tuple(values)


class AsyncClient:
    """The metrics of a server, for the bearer of a token. Its parameters are those of `Client`."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        timeout: float = 300.0,
        stalled: float = 60.0,
        codec: str | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """See `Client`.

        Raises:
            DucatClientError: this is no address of a server.
        """
        self._server = Server(wire.read_address(url), timeout, stalled, codec)
        self._token = token
        self._http = httpx.AsyncClient(timeout=self._server.limit(), verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def query(self, document: Mapping[str, Any] | None = None, /, **parts: Any) -> AsyncAnswer:
        """Return the answer to a query in Cube's JSON, or given by its parts."""
        return AsyncAnswer(self, wire.write_query(document, parts))

    async def meta(self) -> dict[str, Any]:
        """Return the cubes, views and members that the token's bearer may see, as Cube's `meta`."""
        return await self.request("GET", "/meta")

    async def fetch(self, query: Mapping[str, Any]) -> pa.Table:
        """Return the rows of a query in Cube's JSON.

        Raises:
            DucatClientError: there is no answer, or not the whole of it.
        """
        try:
            async with asyncio.timeout(self._server.timeout):
                while True:
                    table = await self._ask(query)
                    if table is not None:
                        return table
        except TimeoutError as late:
            raise wire.out_of_time(self._server) from late

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a route of Cube's protocol answers in JSON.

        Raises:
            DucatClientError: there is no answer.
        """
        async with self._explained():
            response = await self._http.request(
                method, f"{self._server.url}{BASE}{path}", json=body, headers=authorize(self._token)
            )
        return wire.check_json(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, query: Mapping[str, Any]) -> pa.Table | None:
        headers = {**authorize(self._token), "accept": self._server.accept}
        url = f"{self._server.url}{BASE}/load"
        async with (
            self._explained(),
            self._http.stream("POST", url, json={"query": query}, headers=headers) as response,
        ):
            request_id = response.headers.get("x-request-id")
            if not wire.is_arrow(response):
                await response.aread()
                wire.check_waiting(response)
                return None
            sink = pa.BufferOutputStream()
            async for chunk in response.aiter_bytes(BUFFER_BYTES):
                sink.write(chunk)
        return wire.read_table(sink.getvalue(), request_id)

    @asynccontextmanager
    async def _explained(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.RequestError as failed:
            raise wire.explain(failed, self._server) from failed
