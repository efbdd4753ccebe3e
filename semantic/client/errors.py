"""What can go wrong between a client and a server.

DucatClientError          everything below; a DucatError, as in process
├─ UnreachableError       nobody answers at the address, or not over TLS
├─ AnswerTimeoutError     no answer within the time that was given
├─ BrokenAnswerError      an answer that is not whole, or none of Ducat's
└─ RefusedError           the server said no: `code` is its own, as documented there
   ├─ AccessRefusedError    no valid token, or this is not for its bearer
   └─ ServerFailedError     the server could not: a defect, or it is too busy
"""

from __future__ import annotations

from semantic.errors import DucatError


class DucatClientError(DucatError):
    """A question to a server has no answer. `request_id` is what the server's log calls it."""

    code = "client_error"

    def __init__(
        self, message: str, *, suggestion: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.request_id = request_id

    def __str__(self) -> str:
        asked = f" [request {self.request_id}]" if self.request_id else ""
        return super().__str__() + asked


class UnreachableError(DucatClientError):
    """Nobody answers at the address, or its certificate is not trusted."""

    code = "server_unreachable"


class AnswerTimeoutError(DucatClientError):
    """The answer did not come, or not go on, within the time that was given."""

    code = "answer_timeout"


class BrokenAnswerError(DucatClientError):
    """The answer ended before its end, or is not one of Ducat's. None of it is returned."""

    code = "answer_broken"


class RefusedError(DucatClientError):
    """The server answered with an error. `code` and `suggestion` are the server's."""

    code = "refused"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        suggestion: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, suggestion=suggestion, request_id=request_id)
        self.code = code  # type: ignore[misc]  # of this answer, where the class has a default
        self.status = status


class AccessRefusedError(RefusedError):
    """There is no valid token, or what was asked is not for its bearer."""

    code = "access_refused"


class ServerFailedError(RefusedError):
    """The server could not answer: a defect, or too much is asked of it."""

    code = "server_failed"
