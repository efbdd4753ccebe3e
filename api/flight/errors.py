"""How every error looks over Flight: gRPC's status by our table, and the code in the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import orjson
import pyarrow as pa
from pyarrow import flight

from api.errors import (
    AuthenticationError,
    error_body,
    face_of,
    present,
    shorten,
)
from api.flight.tickets import TicketError
from semantic.errors import DucatError

P = ParamSpec("P")
T = TypeVar("T")
_DETAILED: Final[dict[int, Any]] = {
    403: flight.FlightUnauthorizedError,
    408: flight.FlightTimedOutError,
    429: flight.FlightUnavailableError,
    499: flight.FlightCancelledError,
    500: flight.FlightInternalError,
    503: flight.FlightUnavailableError,
    504: flight.FlightTimedOutError,
}
"""By HTTP status; the error as JSON goes along."""

_PLAIN: Final[dict[int, Any]] = {404: pa.ArrowKeyError, 501: pa.ArrowNotImplementedError}


def to_flight(failure: BaseException, request_id: str | None = None) -> Exception:
    """Return the exception that pyarrow turns into the right status."""
    error = present(failure)
    text = _write(error, request_id)
    details = orjson.dumps(error_body(error, request_id))
    status = face_of(error).status
    kind = flight.FlightUnauthenticatedError if isinstance(error, AuthenticationError) else None
    if isinstance(error, TicketError):
        kind = flight.FlightUnauthorizedError
    kind = kind or _DETAILED.get(status)
    if kind is not None:
        told: Exception = kind(text, details)
    else:
        told = _PLAIN.get(status, pa.ArrowInvalid)(text)
    return told


def shield(method: Callable[P, T]) -> Callable[P, T]:
    """Return a method of the server whose failures tell callers no path and no line of ours.

    pyarrow sends a traceback along with what is no `FlightError`, and of those there is none for an
    invalid argument. So the traceback begins here, in a function that is of no file.
    """

    def call(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return method(*arguments, **named)
        except Exception as failure:  # noqa: BLE001 -- passed on, all of it
            raise failure.with_traceback(None) from None

    call.__code__ = call.__code__.replace(co_filename="<ducat>")
    return call


def _write(error: DucatError, request_id: str | None) -> str:
    text = f"{shorten(error.message)} [{error.code}]"
    if error.suggestion:
        text += f" Hint: {shorten(error.suggestion)}"
    if request_id:
        text += f" (request {request_id})"
    return text
