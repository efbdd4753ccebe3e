"""THE table: how each error class looks at each door, and the errors that only doors raise.

One row per class; a class without a row of its own takes that of its nearest ancestor, and a test
fails for a class of `semantic` that has none. The order of the columns: HTTP status, the `code` in
GraphQL's `extensions`, the SQLSTATE of the SQL door, and whether Cube's clients expect
`"type": "UserError"` beside the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from semantic import errors
from semantic.errors import DucatError

LONG_WORD: Final = re.compile(r"([^\s'\"\u201c\u201d]{100})[^\s'\"\u201c\u201d]+")


class AuthenticationError(DucatError):
    """No token, or one that is not valid. The words do not say why; the log does."""

    code = "invalid_token"


class ImpersonationError(DucatError):
    """A token that is not the service user's tried to speak for another user."""

    code = "impersonation_denied"


class BusyError(DucatError):
    """As many queries run and wait as this process takes; come again later."""

    code = "too_busy"


class CallerLimitError(DucatError):
    """This caller has as many queries at once, or in a minute, as one caller may."""

    code = "caller_limit"

    def __init__(
        self, message: str, *, suggestion: str | None = None, retry_after: int = 1
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.retry_after = retry_after


class MissingScopeError(DucatError):
    """The caller may ask for numbers, but not for this: SQL, or jobs."""

    code = "missing_scope"


class RequestTimeoutError(DucatError):
    """The request's body did not arrive in time."""

    code = "request_timeout"


class UnknownKeyError(DucatError):
    """There is no API key of that id."""

    code = "unknown_key"


class RequestTooLargeError(DucatError):
    """The request's body is longer than any query needs to be."""

    code = "request_too_large"


class NoRouteError(DucatError):
    """Nothing answers at this path, or not with this method."""

    code = "no_route"


class MethodError(DucatError):
    """Something answers at this path, but not with this method."""

    code = "no_method"

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not answered here: use {' or '.join(allowed)}")
        self.allowed = allowed


class UnknownDocumentError(DucatError):
    """The hash of a GraphQL document came alone and is not known: the client is to send the text."""

    code = "unknown_document"


class UnregisteredDocumentError(DucatError):
    """Only registered GraphQL documents are answered, and this is none."""

    code = "unregistered_document"


class PortInUseError(DucatError):
    """Another process listens where `ducat serve` was told to."""

    code = "port_in_use"


@dataclass(frozen=True, slots=True)
class Face:
    """How one error class looks from outside."""

    status: int
    graphql: str
    sqlstate: str
    user_error: bool = False


TABLE: Final[Mapping[type[DucatError], Face]] = {
    DucatError: Face(500, "INTERNAL_SERVER_ERROR", "XX000"),
    errors.SettingsError: Face(500, "INTERNAL_SERVER_ERROR", "F0000"),
    errors.ProjectError: Face(500, "INTERNAL_SERVER_ERROR", "F0000"),
    errors.SnapshotError: Face(503, "SERVICE_UNAVAILABLE", "57P03"),
    errors.ModelError: Face(500, "INVALID_MODEL", "F0000"),
    errors.QueryError: Face(400, "BAD_USER_INPUT", "42000", user_error=True),
    errors.QuerySyntaxError: Face(400, "BAD_USER_INPUT", "42601"),
    errors.UnknownMemberError: Face(400, "BAD_USER_INPUT", "42703", user_error=True),
    errors.NoJoinPathError: Face(400, "BAD_USER_INPUT", "42P10", user_error=True),
    errors.AmbiguousJoinPathError: Face(400, "BAD_USER_INPUT", "42702", user_error=True),
    errors.UnsafeAggregationError: Face(400, "BAD_USER_INPUT", "42803", user_error=True),
    errors.LimitExceededError: Face(400, "BAD_USER_INPUT", "54000"),
    errors.UnsupportedError: Face(501, "NOT_SUPPORTED", "0A000", user_error=True),
    errors.EngineError: Face(500, "ENGINE_ERROR", "58000"),
    errors.SourceUnavailableError: Face(503, "SERVICE_UNAVAILABLE", "08006"),
    errors.QueryTimeoutError: Face(504, "TIMEOUT", "57014"),
    errors.QueryCancelledError: Face(499, "CANCELLED", "57014"),
    errors.InternalError: Face(500, "INTERNAL_SERVER_ERROR", "XX000"),
    AuthenticationError: Face(403, "FORBIDDEN", "28000"),
    ImpersonationError: Face(403, "FORBIDDEN", "42501"),
    BusyError: Face(503, "SERVICE_UNAVAILABLE", "53300"),
    CallerLimitError: Face(429, "TOO_MANY_REQUESTS", "53300"),
    MissingScopeError: Face(403, "FORBIDDEN", "42501"),
    RequestTimeoutError: Face(408, "TIMEOUT", "57014"),
    UnknownKeyError: Face(404, "NOT_FOUND", "42704"),
    RequestTooLargeError: Face(413, "BAD_USER_INPUT", "54000"),
    NoRouteError: Face(404, "NOT_FOUND", "42000"),
    MethodError: Face(405, "NOT_FOUND", "42000"),
    UnknownDocumentError: Face(200, "PERSISTED_QUERY_NOT_FOUND", "02000"),
    UnregisteredDocumentError: Face(403, "PERSISTED_QUERY_NOT_FOUND", "42501"),
    PortInUseError: Face(500, "INTERNAL_SERVER_ERROR", "58000"),
}


def face_of(error: DucatError) -> Face:
    """Return the row of the error's class, or of its nearest ancestor that has one."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def shorten(text: str) -> str:
    """Return a message in which no word is longer than 100 characters: callers' texts come back."""
    return LONG_WORD.sub(r"\1…", text)


def present(failure: BaseException) -> DucatError:
    """Return the error that a caller may see: a defect of ours is named by its code only."""
    if isinstance(failure, DucatError) and not isinstance(failure, errors.InternalError):
        return failure
    return errors.InternalError(
        "the server failed on this request",
        suggestion="quote the request id to whoever runs this server: its log says more",
    )


def error_headers(error: DucatError) -> dict[str, str]:
    """Return the headers of an error's answer: when to come again, or with which method."""
    if isinstance(error, MethodError):
        return {"allow": ", ".join(error.allowed)}
    if isinstance(error, CallerLimitError):
        return {"retry-after": str(error.retry_after)}
    return {"retry-after": "1"} if isinstance(error, BusyError) else {}


def error_body(error: DucatError, request_id: str | None = None) -> dict[str, Any]:
    """Return Cube's error object, with our `code`, `suggestion` and `sqlState` added."""
    face = face_of(error)
    body: dict[str, Any] = {"type": "UserError"} if face.user_error else {}
    body |= {"error": shorten(error.message), "code": error.code, "sqlState": face.sqlstate}
    if error.suggestion:
        body["suggestion"] = shorten(error.suggestion)
    if request_id:
        body["requestId"] = request_id
    return body


def graphql_extensions(error: DucatError) -> dict[str, Any]:
    """Return the `extensions` of the error in a GraphQL answer."""
    extensions: dict[str, Any] = {"code": face_of(error).graphql, "ducatCode": error.code}
    if error.suggestion:
        extensions["suggestion"] = shorten(error.suggestion)
    return extensions
