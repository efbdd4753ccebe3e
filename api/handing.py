"""Requests that another worker must answer, and the page of metrics of all workers."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.types import Receive, Scope, Send

from api.asgi import wait_gone
from api.peers import Handed, PeerGoneError, Peers, write_head
from semantic.errors import QueryCancelledError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from api.gateway import Gateway

SCRAPE_SECONDS: Final = 2.0
OK: Final = 200


async def hand_on(
    peers: Peers | None, key: Hashable, scope: Scope, body: bytes, receive: Receive
) -> Handed | None:
    """Return the answer of the worker that holds this request's query; None where nobody does.

    Raises:
        QueryCancelledError: the caller went away.
    """
    if peers is None or is_from_peer(peers, scope):
        return None  # what a worker handed on is answered here, or it could go round for ever
    holder = peers.find_holder(key)
    if holder is None:
        return None
    target = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    given = ((name, value) for name, value in scope["headers"] if name != b"x-request-id")
    headers = [*given, (b"x-request-id", scope["ducat.request_id"].encode())]
    head = write_head(scope["method"], target, headers, len(body))
    asking = asyncio.ensure_future(peers.ask(holder, head, body))
    watch = asyncio.ensure_future(wait_gone(receive))
    try:
        await asyncio.wait({asking, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise QueryCancelledError("the caller went away")
        return asking.result()
    except PeerGoneError:
        peers.forget(key)
        return None
    finally:
        for task in (asking, watch):
            task.cancel()
            with suppress(asyncio.CancelledError, PeerGoneError):
                await task


async def send_handed(send: Send, handed: Handed) -> None:
    """Answer with what another worker answered; the id of the request is added anew."""
    headers = [
        *(item for item in handed.headers if item[0] != b"x-request-id"),
        (b"content-length", b"%d" % len(handed.body)),
    ]
    await send({"type": "http.response.start", "status": handed.status, "headers": headers})
    await send({"type": "http.response.body", "body": handed.body})


def is_from_peer(peers: Peers, scope: Scope) -> bool:
    """Whether a request came to this worker's own port."""
    server = scope.get("server")
    return server is not None and server[1] == peers.seat.ports[peers.seat.number - 1]


async def render_metrics(gateway: Gateway, scope: Scope) -> bytes:
    """Return the page that Prometheus scrapes: of this process, or of all workers."""
    gateway.flush()
    own = await asyncio.to_thread(gateway.metrics.render)
    peers = gateway.peers
    if peers is None or is_from_peer(peers, scope):
        return own
    others = await asyncio.gather(*(_scrape(peers, number) for number in peers.others))
    pages = {peers.seat.number: own, **dict(zip(peers.others, others, strict=True))}
    return await asyncio.to_thread(merge_pages, pages)


async def _scrape(peers: Peers, number: int) -> bytes | None:
    head = write_head("GET", b"/metrics", [(b"host", b"worker")], 0)
    try:
        async with asyncio.timeout(SCRAPE_SECONDS):
            handed = await peers.ask(number, head)
    except (PeerGoneError, TimeoutError):
        return None
    return handed.body if handed.status == OK else None


def merge_pages(pages: dict[int, bytes | None]) -> bytes:
    """Return one page of those of the workers, each sample with its worker's number."""
    from prometheus_client import generate_latest  # noqa: PLC0415
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415
    from prometheus_client.registry import Collector  # noqa: PLC0415

    merged: dict[str, Metric] = {}
    up = GaugeMetricFamily("ducat_worker_up", "1 when the worker answers.", labels=["worker"])
    for number, page in sorted(pages.items()):
        up.add_metric([str(number)], int(page is not None))
        for family in text_string_to_metric_families((page or b"").decode()):
            samples = [
                sample._replace(labels={**sample.labels, "worker": str(number)})
                for sample in family.samples
            ]
            family.samples = [*getattr(merged.get(family.name), "samples", ()), *samples]
            merged[family.name] = family

    class Merged(Collector):
        def collect(self) -> Iterable[Metric]:
            return [up, *merged.values()]

    return generate_latest(Merged())
