"""Requests that repeat to the byte, answered where their bytes arrive.

A dashboard that is open on many screens sends the same bytes again and again over connections that it
keeps. When such a request was answered by a ready answer (`ready.py`), its bytes are remembered with
that answer; the next equal ones, which arrive on a connection with nothing else under way, need no
parsing, no task and no ASGI. All that holds for a ready answer holds here, checked each time: the
snapshot, the model and the checks in service, the token's five seconds, the caller's limits; and each
one is counted and written to the query log.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from api.asgi import make_request_id
from api.gateway import Gateway
from api.query_log import QueryRecord
from api.tally import ReadyTally

MOST: Final = 1_024  # kinds of requests

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A ready answer as it goes over the wire. `may_answer` says whether it still may.

    `lines` are what the query log says of it, before and after the time, the id and the seconds.
    """

    headers: bytes
    body: bytes
    may_answer: Callable[[], bool]
    lines: tuple[tuple[bytes, bytes], ...]
    face: str
    method: str


class RepeatedRequests:
    """Answers by the bytes of whole requests. For one event loop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known: OrderedDict[bytes, Repeatable] = OrderedDict()
        self._prefix: tuple[Headers, bytes] = ((), b"")
        metrics = gateway.metrics
        self._requests = {name: metrics.requests.labels(name, "200") for name in ("GET", "POST")}
        self._tallies = {
            "rest": ReadyTally(gateway, "rest"),
            "graphql": ReadyTally(gateway, "graphql"),
        }
        self.is_on = gateway.settings.log_level != "debug"  # who debugs sees every request

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._known

    def learn(
        self,
        raw: bytes,
        method: str,
        headers: Headers,
        body: bytes,
        records: Sequence[QueryRecord],
        may_answer: Callable[[], bool],
    ) -> None:
        """Remember the bytes of a request that was just answered so."""
        if not self.is_on or not records or any(item.face not in self._tallies for item in records):
            return
        self._known[raw] = Repeatable(
            headers=b"".join(name + b": " + value + b"\r\n" for name, value in headers),
            body=body,
            may_answer=may_answer,
            lines=tuple(_split_line(record) for record in records),
            face=records[0].face,
            method=method,
        )
        self._known.move_to_end(raw)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def answer(self, raw: bytes, defaults: Headers) -> bytes | None:
        """Return the whole response to these bytes, with the server's own headers; None: ask."""
        found = self._known.get(raw)
        if found is None:
            return None
        started = time.perf_counter()
        if self._gateway.is_stopping or not found.may_answer():
            del self._known[raw]
            return None
        request_id = make_request_id().encode()
        if self._prefix[0] is not defaults:  # uvicorn makes them anew each second, for the date
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in defaults)
            self._prefix = (defaults, b"HTTP/1.1 200 OK\r\n" + lines)
        response = b"".join(
            (self._prefix[1], found.headers, b"x-request-id: ", request_id, b"\r\n\r\n", found.body)
        )
        self._record(found, request_id, started)
        return response

    def _record(self, found: Repeatable, request_id: bytes, started: float) -> None:
        tally = self._tallies[found.face]
        self._requests[found.method].inc()
        now = tally.write_now()
        for before, after in found.lines:
            taken = time.perf_counter() - started
            tally.add(
                b'{"time":"%s","requestId":"%s%s%.6f%s' % (now, request_id, before, taken, after),
                taken,
            )


def _split_line(record: QueryRecord) -> tuple[bytes, bytes]:
    """Return the record's line from behind its id up to its seconds, and the rest."""
    text = orjson.dumps(record.describe())
    _, _, rest = text.partition(b'"requestId":"' + record.request_id.encode())
    before, mark, after = rest.rpartition(b'"seconds":')
    _, comma, end = after.partition(b",")
    return before + mark, comma + end + b"\n"
