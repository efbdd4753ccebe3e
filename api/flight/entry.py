"""Who calls: a password or a token of each call's headers becomes a `SecurityContext`.

`Authorization: Bearer <token>` is checked as REST does, call by call. `Basic` is what clients send in
the handshake: a user of `DUCAT_POSTGRES_USERS` with its password, or a token as the password, as on
the Postgres wire. They are answered with what to send from then on: for an account a signed pass that
names it and ends; for a token the same words, so that a token which ends or is withdrawn does so here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyarrow import flight

from api.auth import Authenticator
from api.errors import AuthenticationError
from api.flight.errors import to_flight
from api.flight.tickets import Seals, TicketError
from api.postgres.errors import ProtocolError, SqlError
from api.postgres.protocol.scram import Verifier, prepare
from api.postgres.users import Users
from semantic.errors import DucatError
from semantic.query.context import SecurityContext

PASS: Final = "dfp_"  # noqa: S105  of an account
AGAIN: Final = "dfb_"  # a user and a token, to be checked again
PASS_SECONDS: Final = 12 * 3600
_LONGEST: Final = 16_384
_REQUEST_ID: Final = re.compile(r"[\w.\-:]{1,128}", re.ASCII)
_ANYBODY: Final = SecurityContext("")
Headers = Mapping[str, str]


def matches(verifier: Verifier, password: str) -> bool:
    """Whether the password is the one that a verifier was made of."""
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), verifier.salt, verifier.iterations)
    key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(key).digest(), verifier.stored_key)


@dataclass(frozen=True, slots=True)
class Entry:
    """Checks who calls. With `takes_passwords` unset, the line may be heard by others."""

    authenticator: Authenticator
    users: Users
    seals: Seals
    takes_passwords: bool
    prepare: Callable[[Headers], None]
    """Fetches the keys that a token needs, where there are such."""

    def shake_hands(self, headers: Headers) -> str | None:
        """Return the `Authorization` to use from now on, for `Basic`; else None.

        Raises:
            AuthenticationError: the password is wrong.
        """
        scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "basic":
            return None
        user, password = _read_basic(rest)
        self._log_in(user, password)
        if self.users.find(user) is not None:
            sealed = self.seals.seal("pass", {"user": user}, _ANYBODY, PASS_SECONDS)
            return f"Bearer {PASS}{sealed.decode()}"
        return f"Bearer {AGAIN}{rest.strip()}"

    def admit(self, headers: Headers) -> SecurityContext:
        """Return who calls.

        Raises:
            DucatError: nobody who may.
        """
        scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
        rest = rest.strip()
        if scheme.lower() == "basic":
            return self._log_in(*_read_basic(rest))
        if rest.startswith(AGAIN):
            return self._log_in(*_read_basic(rest[len(AGAIN) :]))
        if rest.startswith(PASS):
            return self._read_pass(rest[len(PASS) :])
        self.prepare(headers)
        return self.authenticator.authenticate(headers)

    def _read_pass(self, sealed: str) -> SecurityContext:
        try:
            user = self.seals.open("pass", sealed.encode(), _ANYBODY)["user"]
        except TicketError as refused:
            raise AuthenticationError("Invalid token", suggestion="log in again") from refused
        account = self.users.find(user)
        if account is None:
            raise AuthenticationError("Invalid token")
        return account.context

    def _log_in(self, user: str, password: str) -> SecurityContext:
        if not self.takes_passwords:
            raise AuthenticationError(
                "passwords are taken over TLS, or by a server on the loopback, only",
                suggestion="set DUCAT_POSTGRES_TLS_CERT and DUCAT_POSTGRES_TLS_KEY",
            )
        account = self.users.find(user)
        try:
            if account is None:
                self.prepare({"authorization": password})
                return self.users.admit(user, password)
            if matches(account.verifier, password):
                return account.context
        except (SqlError, ProtocolError) as refused:
            if self.users.accounts:
                # Whether there is an account of that name is not told by the time that it takes.
                matches(self.users.pretend(user), password)
            raise _denied(user, refused.suggestion) from refused
        raise _denied(user, None)


class CallMiddleware(flight.ServerMiddleware):  # type: ignore[misc]
    """One call: who it is, and which request."""

    def __init__(
        self, headers: Headers, context: SecurityContext | None, request_id: str, told: str | None
    ) -> None:
        self.headers = headers
        self.context = context
        self.request_id = request_id
        self._told = told

    def sending_headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        sent = {"x-request-id": self.request_id}
        if self._told is not None:
            sent["authorization"] = self._told
        return sent


class Gate(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Lets in who may come in, before anything else is done for a call."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def start_call(
        self, info: flight.CallInfo, headers: Mapping[str, Sequence[str | bytes]]
    ) -> CallMiddleware:
        """Return the call, or refuse it."""
        found = {name.lower(): _text(values[0]) for name, values in headers.items() if values}
        request_id = found.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        try:
            if info.method == flight.FlightMethod.HANDSHAKE:
                return CallMiddleware(found, None, request_id, self._entry.shake_hands(found))
            return CallMiddleware(found, self._entry.admit(found), request_id, None)
        except DucatError as refused:
            raise to_flight(refused, request_id) from None


class Handshake(flight.ServerAuthHandler):  # type: ignore[misc]
    """Lets clients shake hands; the gate has looked at them."""

    def authenticate(self, outgoing: object, incoming: object) -> None:
        """Say nothing: the answer is a header."""

    def is_valid(self, token: bytes) -> bytes:
        """Leave it to the gate."""
        del token
        return b""


def _read_basic(text: str) -> tuple[str, str]:
    text = text.strip().rstrip("=")
    try:
        padded = text + "=" * (-len(text) % 4)  # some clients leave it out
        user, colon, password = base64.b64decode(padded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        user, colon, password = "", "", ""
    if not colon or not user or len(text) > _LONGEST:
        raise AuthenticationError("this is no user name with a password")
    return user, password


def _denied(user: str, suggestion: str | None) -> AuthenticationError:
    return AuthenticationError(
        f'password authentication failed for user "{user[:255]}"', suggestion=suggestion
    )


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
