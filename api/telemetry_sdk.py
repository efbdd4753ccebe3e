"""Traces with OpenTelemetry's SDK. Imported only where traces are wanted: see `telemetry.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from api.errors import face_of, present
from api.telemetry import end_in_time
from semantic.errors import DucatError
from semantic.steps import Fact, StepName, watched_by

NAMED: Final = (
    "/cubejs-api/v1/load", "/cubejs-api/v1/subscribe", "/cubejs-api/v1/sql",
    "/cubejs-api/v1/dry-run", "/cubejs-api/v1/meta", "/cubejs-api/v1/cubesql",
    "/cubejs-api/v1/convert-query", "/cubejs-api/v1/pre-aggregations/jobs", "/cubejs-api/graphql",
    "/graphql", "/mcp", "/ducat/v1/sql", "/ducat/v1/sql/meta", "/ducat/v1/arrow", "/",
)  # fmt: skip
QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
LONGEST: Final = 200
MOST_ITEMS: Final = 100
SERVER_ERROR: Final = 500


def open_sdk(exporter: str) -> SdkTracing:
    """Return tracing whose spans go to an exporter: `otlp` or `console`."""
    if exporter == "console":
        return SdkTracing(SimpleSpanProcessor(ConsoleSpanExporter()))
    return SdkTracing(BatchSpanProcessor(OTLPSpanExporter()))


class SdkStep:
    """A span that can be told facts."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def note(self, name: str, value: Fact) -> None:
        """Add an attribute. Texts and lists are bounded: they may be a caller's."""
        if isinstance(value, str):
            value = value[:LONGEST]
        elif isinstance(value, tuple):
            value = tuple(item[:LONGEST] for item in value[:MOST_ITEMS])
        self._span.set_attribute(name, value)


class SdkTracing:
    """The spans of one server."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({SERVICE_NAME: "ducat"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("ducat")

    @contextmanager
    def request(
        self, method: str, path: str, headers: Mapping[str, str], request_id: str
    ) -> Iterator[SdkStep]:
        """Trace one HTTP request. Probes and scrapes are not traced."""
        if path in QUIET:
            yield SdkStep(trace.INVALID_SPAN)
            return
        shown = path if path in NAMED else "other"
        with self._tracer.start_as_current_span(
            f"{method[:LONGEST]} {shown}",
            context=_parent(headers),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method[:LONGEST],
                "http.route": shown,
                "ducat.request_id": request_id,
            },
            record_exception=False,
        ) as span:
            step = _RequestStep(span)
            yield step

    @contextmanager
    def connection(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Let what runs within have the caller's span as its parent."""
        token = context.attach(_parent(headers))
        try:
            yield
        finally:
            context.detach(token)

    @contextmanager
    def query(self, face: str, request_id: str) -> Iterator[SdkStep]:
        """Trace one query, and watch its steps."""
        facts = {"ducat.face": face, "ducat.request_id": request_id}
        with self._span("query", facts) as step, watched_by(self):
            yield step

    @contextmanager
    def step(self, name: StepName) -> Iterator[SdkStep]:
        """Trace a step."""
        with self._span(name, {}) as step:
            yield step

    def mark(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Add the ids of trace and span, where there is one."""
        del logger, method
        found = trace.get_current_span().get_span_context()
        if found.is_valid:
            event["trace_id"] = trace.format_trace_id(found.trace_id)
            event["span_id"] = trace.format_span_id(found.span_id)
        return event

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        end_in_time(self._provider.shutdown)

    @contextmanager
    def _span(self, name: str, facts: Mapping[str, str]) -> Iterator[SdkStep]:
        # An exception's text may quote what the caller sent: only the error's code is kept.
        with self._tracer.start_as_current_span(
            name, attributes=dict(facts), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield SdkStep(span)
            except BaseException as failure:
                _note_failure(span, failure)
                raise


class _RequestStep(SdkStep):
    __slots__ = ()

    def note(self, name: str, value: Fact) -> None:
        """Add an attribute; a status of 500 and more is an error of the server."""
        if name == "http.response.status_code" and int(str(value)) >= SERVER_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))
        super().note(name, value)


def _parent(headers: Mapping[str, str]) -> context.Context:
    """Return the caller's trace; what is malformed counts as none."""
    return extract({name: headers[name] for name in CARRIED if name in headers})


CARRIED: Final = ("traceparent", "tracestate")


def _note_failure(span: Span, failure: BaseException) -> None:
    if not isinstance(failure, Exception):
        span.set_attribute("error.type", "query_cancelled")
        return
    error = present(failure)
    span.set_attribute("error.type", error.code)
    if not isinstance(failure, DucatError) or face_of(error).status >= SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR, error.code))
