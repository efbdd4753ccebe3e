"""How a connection proves who it is: SCRAM for configured users, a token as password for others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from api.postgres.errors import ProtocolError, SqlError
from api.postgres.protocol import wire
from api.postgres.protocol.messages import Password
from api.postgres.protocol.scram import MECHANISM, Exchange
from api.postgres.users import Users, denied
from semantic.query.context import SecurityContext

Next = Callable[[], Awaitable[object]]
Say = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Login:
    """One login. `is_safe`: a password in clear text can be asked, for nobody else hears it."""

    users: Users
    user: str
    is_safe: bool

    async def run(self, next_message: Next, say: Say) -> SecurityContext | None:
        """Return who it is, or None when the client left.

        Raises:
            SqlError: the password is wrong, or cannot be asked safely.
            ProtocolError: the client does not keep to the rules.
        """
        account = self.users.find(self.user)
        if account is None and self.is_safe:
            return await self._by_token(next_message, say)
        # Over an open line a user without an account gets the same questions, and the same refusal.
        verifier = self.users.pretend(self.user) if account is None else account.verifier
        exchange = Exchange(verifier)
        await say(wire.ask_sasl([MECHANISM]))
        body = await _read(next_message)
        if body is None:
            return None
        await say(wire.continue_sasl(exchange.first(_initial(body))))
        body = await _read(next_message)
        if body is None:
            return None
        final = exchange.last(body)
        if final is None or account is None:
            raise _refused(self.user, has_accounts=bool(self.users.accounts))
        await say(wire.continue_sasl(final, final=True))
        return account.context

    async def _by_token(self, next_message: Next, say: Say) -> SecurityContext | None:
        await say(wire.ASK_PASSWORD)
        body = await _read(next_message)
        if body is None:
            return None
        token, end, rest = body.partition(b"\x00")
        if not end or rest:
            raise ProtocolError("a password ends in a zero byte")
        try:
            text = token.decode()
        except UnicodeDecodeError as invalid:
            raise denied(self.user) from invalid
        await self.users.authenticator.prepare({"authorization": text})
        return self.users.admit(self.user, text)


def _refused(user: str, *, has_accounts: bool) -> SqlError:
    error = denied(user)
    if has_accounts:
        error.suggestion = None
    else:
        error.suggestion = "a token as the password is taken over TLS, or on the loopback, only"
    return error


async def _read(next_message: Next) -> bytes | None:
    message = await next_message()
    return message.body if isinstance(message, Password) else None


def _initial(body: bytes) -> bytes:
    """Return the client's first message out of SASLInitialResponse."""
    name, end, rest = body.partition(b"\x00")
    if not end or name != MECHANISM.encode():
        raise ProtocolError("client selected an invalid SASL authentication mechanism")
    length = int.from_bytes(rest[:4], "big", signed=True)
    if len(rest) < 4 or length != len(rest) - 4:  # noqa: PLR2004
        raise ProtocolError("malformed SASL message")
    return rest[4:]
