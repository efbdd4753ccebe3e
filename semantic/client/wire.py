"""What goes over the wire, without any I/O: requests, answers, and how often to ask again.

The same for the plain and the asynchronous client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import httpx
import pyarrow as pa

from semantic.client.errors import (
    AccessRefusedError,
    AnswerTimeoutError,
    BrokenAnswerError,
    DucatClientError,
    RefusedError,
    ServerFailedError,
    UnreachableError,
)

ARROW: Final = "application/vnd.apache.arrow.stream"
BASE: Final = "/cubejs-api/v1"
OBJECTS: Final = frozenset({b"granularity", b"meta", b"drillMembers", b"drillMembersGrouped"})
CONTINUE_WAIT: Final = "Continue wait"
END_OF_STREAM: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
LARGEST_ERROR: Final = 1024 * 1024
FORBIDDEN: Final = (401, 403)
SERVER_ERROR: Final = 500
CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and how patient a client of it is. Times in seconds.

    `timeout` is for the whole answer to one question, from its first request to its last row;
    `stalled` for a pause in it. `codec` compresses the rows ("zstd" or "lz4"), for slow networks.
    """

    url: str
    timeout: float = 300.0
    stalled: float = 60.0
    codec: str | None = None

    def limit(self, left: float | None = None) -> httpx.Timeout:
        """Return the pauses that end a request, of which `left` seconds are left."""
        longest = self.stalled if left is None else min(self.stalled, max(0.001, left))
        return httpx.Timeout(longest, connect=min(CONNECT_SECONDS, longest))

    @property
    def accept(self) -> str:
        """The `Accept` header: Arrow, and nothing else, so that nothing else comes instead."""
        return f"{ARROW};codec={self.codec}" if self.codec else ARROW


def read_address(address: str) -> str:
    """Return the base of a server's routes.

    Raises:
        DucatClientError: it is no address of a server.
    """
    try:
        parts = httpx.URL(address)
        is_one = parts.scheme in {"http", "https"} and bool(parts.host)
    except httpx.InvalidURL:
        is_one = False
    if not is_one:
        raise DucatClientError(
            "this is no address of a server", suggestion='write "https://host:port"'
        )
    return address.rstrip("/")


def write_query(document: Mapping[str, Any] | None, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query as Cube's JSON; `time_dimensions` may be written with underscores."""
    asked = {_camel(name): _plain(value) for name, value in parts.items() if value is not None}
    return {**(document or {}), **asked}


def ask_sql(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to send to `sql`, for the SQL of an answer in Arrow."""
    return {"query": query, "format": "arrow"}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def is_arrow(response: httpx.Response) -> bool:
    """Whether the body is rows, and not something short in JSON."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.status_code == httpx.codes.OK and kind == ARROW


def check_waiting(response: httpx.Response) -> None:
    """Return if an answer without rows, read already, says that the query still runs.

    Raises:
        RefusedError: the server answered with an error.
        BrokenAnswerError: the answer is neither that nor an error.
    """
    body = check_json(response)
    if body.get("error") != CONTINUE_WAIT:
        raise BrokenAnswerError(
            "the server answered with JSON where Arrow was asked",
            suggestion="its version may be older than this client's",
            request_id=response.headers.get("x-request-id"),
        )


def read_json(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer that was read.

    Raises:
        BrokenAnswerError: it is none.
    """
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise BrokenAnswerError(
            f"{response.request.url} answered {response.status_code} with something that is not "
            "Ducat's",
            suggestion="compare the address with the server's",
            request_id=response.headers.get("x-request-id"),
        )
    return body


def check_json(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer that is no error.

    Raises:
        RefusedError: the server answered with an error.
        BrokenAnswerError: the answer is not Ducat's.
    """
    if response.status_code != httpx.codes.OK:
        refuse(response)
    return read_json(response)


def refuse(response: httpx.Response) -> NoReturn:
    """Raise the error that the server answered with."""
    body = read_json(response)
    status = response.status_code
    kind: type[RefusedError] = RefusedError
    if status in FORBIDDEN:
        kind = AccessRefusedError
    elif status >= SERVER_ERROR and body.get("code") != "unsupported":
        kind = ServerFailedError
    raise kind(
        str(body.get("error", f"the server answered {status}")),
        code=str(body.get("code", kind.code)),
        status=status,
        suggestion=body.get("suggestion"),
        request_id=body.get("requestId") or response.headers.get("x-request-id"),
    )


def explain(failed: Exception, server: Server, request_id: str | None = None) -> DucatClientError:
    """Return the error of a request that came to nothing."""
    match failed:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return UnreachableError(
                f"{server.url} does not answer: {failed}",
                suggestion="compare the address and the certificate with the server's",
            )
        case httpx.TimeoutException():
            return AnswerTimeoutError(
                f"the server was silent for {server.stalled:g} seconds", request_id=request_id
            )
        case _:
            return BrokenAnswerError(
                f"the answer ended before its end: {failed}",
                suggestion="ask again; the server's log says why it ended",
                request_id=request_id,
            )


def out_of_time(server: Server, request_id: str | None = None) -> AnswerTimeoutError:
    """Return the error of an answer that takes longer than it may."""
    return AnswerTimeoutError(
        f"the answer takes longer than {server.timeout:g} seconds",
        suggestion="ask for less, or give connect a longer timeout",
        request_id=request_id,
    )


def read_table(body: pa.Buffer, request_id: str | None) -> pa.Table:
    """Return the rows of a whole answer.

    Raises:
        BrokenAnswerError: Arrow's mark of its end is missing, or it is not Arrow.
    """
    cut = BrokenAnswerError(
        "the answer ended before its end",
        suggestion="ask again; the server's log says why it ended",
        request_id=request_id,
    )
    # Arrow's reader takes the end of the bytes for the end of the rows.
    if body.size < len(END_OF_STREAM) or body[-len(END_OF_STREAM) :].to_pybytes() != END_OF_STREAM:
        raise cut
    try:
        with pa.ipc.open_stream(body) as reader:
            return reader.read_all()
    except (pa.ArrowInvalid, OSError) as malformed:
        raise cut from malformed


def read_meta(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Return what each column means: its member, title, type and format, as Cube's annotation."""
    return {
        field.name: {
            name.decode(): _read_value(name, value)
            for name, value in (field.metadata or {}).items()
        }
        for field in table.schema
    }


def _read_value(name: bytes, value: bytes) -> Any:
    return json.loads(value) if name in OBJECTS else value.decode()


def read_total(table: pa.Table) -> int | None:
    """Return how many rows there are without limit and offset, where that was asked."""
    found = (table.schema.metadata or {}).get(b"total")
    return None if found in (None, b"null") else int(found)


def read_state(table: pa.Table) -> dict[str, Any]:
    """Return what the server says about the tables that an answer was computed from."""
    found: dict[str, Any] = json.loads((table.schema.metadata or {}).get(b"ducat", b"{}"))
    return found
