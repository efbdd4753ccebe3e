"""`load` as an Arrow IPC stream: rows as the engine computes them, types as they are.

Asked by `Accept: application/vnd.apache.arrow.stream`; with `;codec=zstd` (or `lz4`) the buffers are
compressed. What is refused, or fails before the first byte, is JSON with its code, and so is Cube's
`Continue wait`. What fails later ends the connection without Arrow's end-of-stream mark: a reader that
does not find the mark has no answer.

Each query is answered whole, unless it has a limit, which may be any. Several queries have each a
schema of their own, so they are refused: ask them one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import orjson
import pyarrow as pa
from starlette.types import Receive, Scope, Send

from api.annotation import annotate
from api.asgi import read_body, send_bytes, wait_gone
from api.gateway import Asker, Gateway
from api.members import Model
from api.rest.answer import describe_query
from api.rest.request import SHOWN, LoadRequest, read_request
from api.rest.waiting import CONTINUE_WAIT, Waiting, identify
from api.state import describe_answer, format_instant
from api.streams import Flow
from semantic.engine.result import Result, ResultColumn
from semantic.engine.stream import ResultStream
from semantic.errors import QueryCancelledError, QuerySyntaxError, UnsupportedError

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"
STALLED_SECONDS: Final = 30.0
CODECS: Final = ("zstd", "lz4")
CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ArrowForm:
    """How the answer is to be written."""

    codec: str | None = None

    @property
    def content_type(self) -> bytes:
        """The media type, with what was asked of it."""
        return (MEDIA_TYPE + (f"; codec={self.codec}" if self.codec else "")).encode()


class Encoder:
    """Writes a stream's rows as Arrow IPC, a chunk at a time. Used by one thread at a time."""

    def __init__(self, schema: pa.Schema, codec: str | None) -> None:
        self._parts: list[bytes] = []
        self._sink = pa.PythonFile(_Sink(self._parts), mode="w")
        options = pa.ipc.IpcWriteOptions(compression=codec)
        self._writer = pa.ipc.new_stream(self._sink, schema, options=options)
        self.rows = 0
        self.is_done = False

    def encode(self, stream: ResultStream) -> bytes:
        """Return the next rows that were read; after the last ones Arrow's end-of-stream mark."""
        size = 0
        while size < CHUNK_BYTES and not self.is_done:
            batch = stream.read()
            if batch is None:
                self._writer.close()
                self.is_done = True
            else:
                self._writer.write_batch(batch)
                self.rows += batch.num_rows
                size += batch.nbytes
        chunk = b"".join(self._parts)
        self._parts.clear()
        return chunk


class _Sink:
    """What Arrow takes for a file."""

    closed = False

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class _First:
    """The first bytes of an answer, and what writes the others."""

    encoder: Encoder
    chunk: bytes


class ArrowDoor:
    """Answers `load` with Arrow."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._patience = gateway.settings.continue_wait_seconds
        self._waiting: Waiting[Flow[_First]] = Waiting(dispose=_drop)

    async def answer(self, form: ArrowForm, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = self._gateway.authenticator.authenticate(scope["ducat.headers"])
        body = await read_body(receive)
        asked = scope["query_string"]
        request = read_request(scope["method"], asked, body, unlimited=True)
        check_single(request)
        asker = Asker(context, "arrow", scope["ducat.request_id"])
        # Rows are read only once: of two who asked the same and waited together one asks again.
        while True:
            flow = await self._waiting.answer(
                (identify(context), form, body or asked),
                partial(self._open, request, asker, form),
                patience=self._patience,
                gone=wait_gone(receive),
            )
            if flow is None:
                await send_bytes(send, CONTINUE_WAIT)
                return
            if flow.claim():
                break
        with flow:
            sending = asyncio.ensure_future(self._send(flow, form, send))
            leaving = asyncio.ensure_future(wait_gone(receive))
            try:
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                is_sent = sending.done()
                sending.cancel()
                leaving.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)
            if not is_sent:
                raise QueryCancelledError("the caller went away")
            sending.result()

    async def _open(self, request: LoadRequest, asker: Asker, form: ArrowForm) -> Flow[_First]:
        layer = self._gateway.layer
        model = Model(layer.catalog, layer.visible(asker.context))
        now = datetime.now(UTC)

        def begin(stream: ResultStream) -> _First:
            head = stream.head
            described = describe(head, request, model, now=now, request_id=asker.request_id)
            encoder = Encoder(described, form.codec)
            return _First(encoder, encoder.encode(stream))

        renew = request.cache_mode == "no-cache"
        return await Flow.open(self._gateway, request.query, asker, begin, now=now, renew=renew)

    async def _send(self, flow: Flow[_First], form: ArrowForm, send: Send) -> None:
        encoder, chunk = flow.first.encoder, flow.first.chunk
        headers = {"vary": "accept"}
        if encoder.is_done:
            _count(flow, chunk)
            await send_bytes(send, chunk, content_type=form.content_type, headers=headers)
            return
        started = [
            (b"content-type", form.content_type),
            (b"cache-control", b"no-store"),
            (b"vary", b"accept"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": started})
        while True:
            more = not encoder.is_done
            await _send_chunk(send, chunk, more=more)
            _count(flow, chunk)
            if not more:
                return
            chunk = await flow.step(encoder.encode)


def _drop(flow: Flow[_First]) -> None:
    """End a query whose caller did not come back for its answer."""
    flow.close(asyncio.CancelledError())


def _count(flow: Flow[_First], chunk: bytes) -> None:
    flow.size = (flow.size or 0) + len(chunk)
    flow.rows = flow.first.encoder.rows


async def _send_chunk(send: Send, chunk: bytes, *, more: bool) -> None:
    """Send bytes when the caller has taken those before.

    Raises:
        QueryCancelledError: it takes nothing for so long that it has probably gone.
    """
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
    except TimeoutError as stalled:
        raise QueryCancelledError(
            f"the caller took nothing of its answer for {STALLED_SECONDS:g} seconds"
        ) from stalled


def read_accept(accept: str | None) -> ArrowForm | None:
    """Return how an Arrow answer is wanted, by an `Accept` header; None where JSON is.

    Raises:
        QuerySyntaxError: a codec is asked that Arrow has not.
    """
    if accept is None or MEDIA_TYPE not in accept.lower():
        return None
    arrow, best_arrow, best_json = None, 0.0, 0.0
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        options = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (part.partition("=") for part in parameters)
        }
        quality = _read_quality(options.pop("q", "1"))
        if kind.lower() == MEDIA_TYPE and quality > best_arrow:
            arrow, best_arrow = options, quality
        elif kind.lower() == "application/json":
            best_json = max(best_json, quality)
    if arrow is None or best_json > best_arrow:
        return None
    return _read_options(arrow)


def _read_quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _read_options(options: Mapping[str, str]) -> ArrowForm:
    unknown = sorted(set(options) - {"codec"})
    if unknown:
        raise QuerySyntaxError(
            f'{MEDIA_TYPE} with "{unknown[0][:SHOWN]}" is not known',
            suggestion=f"codec may be {' or '.join(CODECS)}",
        )
    codec = options.get("codec")
    if codec not in (None, *CODECS):
        raise QuerySyntaxError(
            f'"codec" {str(codec)[:SHOWN]!r} is not known',
            suggestion=f"it may be {' or '.join(CODECS)}",
        )
    return ArrowForm(codec)


def check_single(request: LoadRequest) -> None:
    """Refuse what has no form in Arrow.

    Raises:
        UnsupportedError: several queries, for each has a schema of its own.
        QuerySyntaxError: one of the forms of JSON is asked for.
    """
    if request.asked.kind != "regularQuery":
        raise UnsupportedError(
            f"a {request.asked.kind} has several answers, and an Arrow stream is one",
            suggestion="ask each query alone, or ask for JSON",
        )
    if request.form != "default":
        raise QuerySyntaxError(
            f'"responseFormat" {request.form} is a form of JSON, and Arrow was asked for',
            suggestion="leave one of the two out",
        )


def describe(
    head: Result, request: LoadRequest, model: Model, *, now: datetime, request_id: str
) -> pa.Schema:
    """Return the schema of an answer with what its columns and the answer mean, as metadata.

    Texts stand as they are, everything else as JSON. A field has the keys of Cube's annotation, and
    `member` and `kind`; the schema has those of Cube's answer.
    """
    annotation = annotate(head, model)
    fields = []
    for field, column in zip(head.table.schema, head.columns, strict=True):
        described = {"member": column.member, "kind": column.kind, **_find(annotation, column)}
        fields.append(field.with_metadata(_write(described)))
    query = describe_query(head.query, request.cache_mode, now=now)
    if head.query.limit is None:
        query |= {"limit": None, "rowLimit": None}
    whole: dict[str, Any] = {
        "query": query,
        "lastRefreshTime": format_instant(head.state.built_at),
        "dbType": head.engine,
        "segments": annotation["segments"],
        "truncated": head.truncated,
        "ducat": describe_answer(head, model.whole),
        "requestId": request_id,
    }
    if head.query.total:
        whole["total"] = head.total
    return pa.schema(fields, _write(whole))


def _find(annotation: Mapping[str, Any], column: ResultColumn) -> dict[str, Any]:
    match column.kind:
        case "measure":
            part = "measures"
        case "dimension":
            part = "dimensions"
        case "time_dimension":
            part = "timeDimensions"
    found: dict[str, Any] = annotation[part][column.name]
    return found


def _write(items: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in items.items()
    }
