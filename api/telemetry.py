"""OpenTelemetry traces, when OpenTelemetry's own variables ask for them.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
`OTEL_TRACES_EXPORTER` (`otlp`, `console`) is set; the SDK takes half a second to import, and
nobody who is not traced pays for it. Everything else (headers, sampling, batches, service name) is
read by the SDK from its standard variables.

    SERVER   POST /cubejs-api/v1/load     one HTTP request; its parent is the caller's `traceparent`
    INTERNAL └ query                      one query of any door: members, rows, bytes, snapshot, code
    INTERNAL   ├ queue                    waiting for a slot
    INTERNAL   ├ plan                     binding, planning, SQL; whether a kept plan was used
    INTERNAL   ├ warehouse                the database
    INTERNAL   └ render                   the answer's text

A statement of the Postgres wire and an answer on a WebSocket is a `query` of its own. Attributes
name members, never values; no token, no SQL and no query string is in a span.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, Self

from semantic.errors import SettingsError
from semantic.steps import Fact, Step, StepName

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_SECONDS: Final = 2.0


class Tracing(Protocol):
    """Makes spans. What it makes is the parent of whatever is made within."""

    def request(
        self, method: str, path: str, headers: Mapping[str, str], request_id: str
    ) -> AbstractContextManager[Step]:
        """Trace one HTTP request; note `status` at its end."""

    def connection(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Let the queries of one WebSocket be children of whoever opened it."""

    def query(self, face: str, request_id: str) -> AbstractContextManager[Step]:
        """Trace one query, and watch its steps."""

    def step(self, name: StepName) -> AbstractContextManager[Step]:
        """Trace a step of the query."""

    def mark(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Add the ids of trace and span to a log line."""

    def close(self) -> None:
        """Send what was not sent yet, as far as that is quick."""


class Untraced:
    """No traces."""

    __slots__ = ()

    def request(
        self, method: str, path: str, headers: Mapping[str, str], request_id: str
    ) -> AbstractContextManager[Step]:
        """Trace nothing."""
        del method, path, headers, request_id
        return _IGNORED

    def connection(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Trace nothing."""
        del headers
        return nullcontext()

    def query(self, face: str, request_id: str) -> AbstractContextManager[Step]:
        """Trace nothing."""
        del face, request_id
        return _IGNORED

    def step(self, name: StepName) -> AbstractContextManager[Step]:
        """Trace nothing."""
        del name
        return _IGNORED

    def mark(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Leave the line as it is."""
        del logger, method
        return event

    def close(self) -> None:
        """There is nothing to send."""


class _Ignored:
    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        return None

    def note(self, name: str, value: Fact) -> None:
        """Tell nobody."""


_IGNORED: Final = _Ignored()
UNTRACED: Final = Untraced()


def open_tracing(environment: Mapping[str, str] | None = None) -> Tracing:
    """Return what traces this process, as OpenTelemetry's variables say.

    Raises:
        SettingsError: they name an exporter or a protocol that is not known here, or the SDK is
            not installed.
    """
    variables = os.environ if environment is None else environment
    exporter = _read_exporter(variables)
    if exporter is None:
        return UNTRACED
    try:
        from api.telemetry_sdk import open_sdk  # noqa: PLC0415  (half a second, only when wanted)
    except ImportError as missing:
        raise SettingsError(
            f"traces are asked for, and OpenTelemetry is not installed: {missing}",
            suggestion="install `ducat[server]`, or set OTEL_SDK_DISABLED=true",
        ) from missing
    return open_sdk(exporter)


def _read_exporter(variables: Mapping[str, str]) -> str | None:
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = variables.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not named:
        named = "otlp" if any(variables.get(name) for name in ENDPOINTS) else "none"
    if named == "none":
        return None
    if named not in {"otlp", "console"}:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER is {named[:100]}, which is not known here",
            suggestion="set it to otlp, console or none",
        )
    protocol = (
        variables.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or variables.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    if named == "otlp" and protocol != "http/protobuf":
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol[:100]}; traces are sent by http/protobuf",
            suggestion="send them to the collector's HTTP port, usually 4318",
        )
    return named


def end_in_time(end: Callable[[], None], seconds: float = FLUSH_SECONDS) -> None:
    """Call `end` and wait no longer than that: a collector that is down must not hold the exit."""
    ending = threading.Thread(target=end, name="telemetry-flush", daemon=True)
    ending.start()
    ending.join(seconds)
