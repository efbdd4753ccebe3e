"""The client: a question is asked when its answer is first looked at.

A query that takes long is answered `Continue wait`; the client asks again until its time is over, and
then the server stops the query. An answer that is not whole is no answer: it raises. A Ctrl-C closes
the connection, and the server stops the query too.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx
import pyarrow as pa

from semantic.client import frames, wire
from semantic.client.token import Token, authorize
from semantic.client.wire import BASE, Server

BUFFER_BYTES: Final = 1024 * 1024


class Answer:
    """A query to a server, answered when it is first looked at, and then kept."""

    def __init__(self, client: Client, query: dict[str, Any]) -> None:
        self._client = client
        self._query = query
        self._table: pa.Table | None = None

    def to_arrow(self) -> pa.Table:
        """Return the rows; columns are called as the members are, decimals stay decimals.

        What the columns mean is in the metadata of their fields (`title`, `type`, `format` …).

        Raises:
            DucatClientError: there is no answer, or not the whole of it.
        """
        if self._table is None:
            self._table = self._client.fetch(self._query)
        return self._table

    def to_pandas(self) -> Any:
        """Return a pandas data frame, with Arrow's types, so that no number is rounded."""
        return frames.to_pandas(self.to_arrow())

    def to_polars(self) -> Any:
        """Return a polars data frame."""
        return frames.to_polars(self.to_arrow())

    def to_ibis(self) -> Any:
        """Return an Ibis table of the rows, to compose with any further expression."""
        return frames.to_ibis(self.to_arrow())

    @property
    def state(self) -> dict[str, Any]:
        """How fresh the tables are, what their checks said, and whether the answer was cut."""
        return wire.read_state(self.to_arrow())

    @property
    def total(self) -> int | None:
        """How many rows there are without limit and offset, where `total` was asked."""
        return wire.read_total(self.to_arrow())

    def meta(self) -> dict[str, dict[str, Any]]:
        """Return what each column means: member, title, type, format …, as Cube's annotation."""
        return wire.read_meta(self.to_arrow())

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL that answers the query, and the values bound to it.

        Raises:
            AccessRefusedError: this caller may not see SQL.
        """
        text, values = self._client.post("/sql", wire.ask_sql(self._query))["sql"]["sql"]
        return text, tuple(values)


class Client:
    """The metrics of a server, for the bearer of a token. For one thread at a time."""

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
        """`token` is a token, or a function that is asked for one before each request.

        Without it `DUCAT_TOKEN` is presented. `timeout` and `stalled` are seconds, for a whole
        answer and for a pause in it; `codec` ("zstd", "lz4") compresses rows. `verify` is how a
        server's certificate is checked: by default by the system's authorities.

        Raises:
            DucatClientError: this is no address of a server.
        """
        self._server = Server(wire.read_address(url), timeout, stalled, codec)
        self._token = token
        self._http = httpx.Client(timeout=self._server.limit(), verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, document: Mapping[str, Any] | None = None, /, **parts: Any) -> Answer:
        """Return the answer to a query in Cube's JSON, or given by its parts.

        `time_dimensions`, `join_hints` and so on may be written with underscores. An answer is
        whole unless a `limit` is asked, which may be any.
        """
        return Answer(self, wire.write_query(document, parts))

    def meta(self) -> dict[str, Any]:
        """Return the cubes, views and members that the token's bearer may see, as Cube's `meta`."""
        with self._explained():
            headers = authorize(self._token)
            response = self._http.get(f"{self._server.url}{BASE}/meta", headers=headers)
        return wire.check_json(response)

    def fetch(self, query: Mapping[str, Any]) -> pa.Table:
        """Return the rows of a query in Cube's JSON.

        Raises:
            DucatClientError: there is no answer, or not the whole of it.
        """
        deadline = time.monotonic() + self._server.timeout
        while (left := deadline - time.monotonic()) > 0:
            table = self._ask(query, left)
            if table is not None:
                return table
        raise wire.out_of_time(self._server)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a route of Cube's protocol answers in JSON.

        Raises:
            DucatClientError: there is no answer.
        """
        with self._explained():
            response = self._http.post(
                f"{self._server.url}{BASE}{path}", json=body, headers=authorize(self._token)
            )
        return wire.check_json(response)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, query: Mapping[str, Any], left: float) -> pa.Table | None:
        """Return the rows within the seconds that are `left`; None when the query still runs."""
        headers = {**authorize(self._token), "accept": self._server.accept}
        url, limit = f"{self._server.url}{BASE}/load", self._server.limit(left)
        deadline = time.monotonic() + left
        try:
            with self._http.stream(
                "POST", url, json={"query": query}, headers=headers, timeout=limit
            ) as response:
                request_id = response.headers.get("x-request-id")
                if not wire.is_arrow(response):
                    response.read()
                    wire.check_waiting(response)
                    return None
                sink = pa.BufferOutputStream()
                for chunk in response.iter_bytes(BUFFER_BYTES):
                    sink.write(chunk)
                    if time.monotonic() >= deadline:
                        raise wire.out_of_time(self._server, request_id)
        except httpx.RequestError as failed:
            if isinstance(failed, httpx.ReadTimeout) and time.monotonic() >= deadline:
                raise wire.out_of_time(self._server) from failed
            raise wire.explain(failed, self._server) from failed
        return wire.read_table(sink.getvalue(), request_id)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except httpx.RequestError as failed:
            raise wire.explain(failed, self._server) from failed
