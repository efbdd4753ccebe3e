"""Tickets and handles: what a client is given to come back with, signed and bound to its caller.

The server keeps nothing of a prepared statement: its handle says it all, and so a handle needs no
closing, and lives in any number of workers. A seal is an HMAC over the content, the time at which it
ends and who may present it; another caller's is refused as one that was never made. They are signed,
not hidden: they hold what the caller itself has sent, and the names and types of its answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import orjson

from semantic.errors import QueryError
from semantic.query.context import SecurityContext

LIFETIME_SECONDS: Final = 3600
_SIGNATURE: Final = 32


class TicketError(QueryError):
    """A ticket or a handle that was not made here, is another caller's, or is too old."""

    code = "invalid_ticket"


@dataclass(frozen=True, slots=True)
class Seals:
    """Makes and opens what clients are given. `key` is secret."""

    key: bytes

    @classmethod
    def of(cls, secret: str | None) -> Seals:
        """Return seals that servers of one secret share; without a secret, this process's own."""
        if secret is None:
            return cls(secrets.token_bytes(32))
        return cls(hmac.digest(secret.encode(), b"ducat flight tickets", "sha256"))

    def seal(
        self,
        kind: str,
        content: dict[str, Any],
        context: SecurityContext,
        seconds: int = LIFETIME_SECONDS,
    ) -> bytes:
        """Return content that only this caller can present, for so long."""
        ends = int(time.time()) + seconds
        body = orjson.dumps({"kind": kind, "ends": ends, "id": secrets.token_hex(8), **content})
        return base64.urlsafe_b64encode(self._sign(body, context) + body)

    def open(self, kind: str, sealed: bytes, context: SecurityContext) -> dict[str, Any]:
        """Return the content.

        Raises:
            TicketError: it was not made here for this caller and this purpose, or it has ended.
        """
        try:
            data = base64.b64decode(sealed, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        signature, body = data[:_SIGNATURE], data[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(body, context)):
            raise _refused()
        content: dict[str, Any] = orjson.loads(body)
        if content["kind"] != kind:
            raise _refused()
        if content["ends"] < time.time():
            raise TicketError("this ticket is too old", suggestion="ask the question again")
        return content

    def _sign(self, body: bytes, context: SecurityContext) -> bytes:
        # Claims are part of who asks: they may decide what is seen. Those of a token alone are not.
        claims = {
            name: value
            for name, value in context.claims.items()
            if name not in {"exp", "iat", "nbf", "jti"}
        }
        who = orjson.dumps(
            [context.user, list(context.groups), claims],
            option=orjson.OPT_SORT_KEYS,
            default=str,
        )
        return hmac.digest(self.key, hashlib.sha256(who).digest() + body, "sha256")


def _refused() -> TicketError:
    return TicketError(
        "this ticket was not given to this caller", suggestion="ask the question again"
    )
