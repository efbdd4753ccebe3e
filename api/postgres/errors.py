"""The errors that only the Postgres wire raises, and how every error looks on it."""

from __future__ import annotations

from api.errors import face_of, present, shorten
from semantic.engine.scratch import ScratchError
from semantic.errors import DucatError, QueryError


class SqlError(QueryError):
    """SQL that is refused with a SQLSTATE of its own. `position` is the 1-based character."""

    code = "sql_refused"

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str,
        suggestion: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.sqlstate = sqlstate
        self.position = position


class ProtocolError(DucatError):
    """The client broke the rules of the wire. The connection ends with it."""

    code = "protocol_violation"

    def __init__(self, message: str, *, sqlstate: str = "08P01") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def find_sqlstate(error: DucatError) -> str:
    """Return the SQLSTATE of an error: its own, or that of its class."""
    match error:
        case SqlError() | ProtocolError() | ScratchError():
            return error.sqlstate
        case _:
            return face_of(error).sqlstate


def describe_error(failure: BaseException, *, severity: str = "ERROR") -> dict[str, str]:
    """Return the fields of an ErrorResponse by their letters."""
    error = present(failure)
    fields = {
        "S": severity,
        "V": severity,
        "C": find_sqlstate(error),
        "M": shorten(error.message) or "the statement failed",
        "R": error.code,
    }
    if error.suggestion:
        fields["H"] = shorten(error.suggestion)
    if isinstance(error, SqlError) and error.position is not None:
        fields["P"] = str(error.position)
    return fields
