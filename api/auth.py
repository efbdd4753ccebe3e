"""Who asks: a JWT becomes a `SecurityContext`.

Tokens are HS256, in `Authorization: <token>` or `Authorization: Bearer <token>`, as Cube's clients
send them. `sub` is the user, `groups` a list of names; every claim is kept for the model's access
rules. A token without `exp` does not expire, as in Cube; `ducat token` always sets one.

One token may speak for others: that of the service user (`DUCAT_SERVICE_USER`), which Superset
uses. Its `X-Ducat-User` header names the person who asks. That person does not inherit the
service's groups: a service that may see everything must not lend its sight to every reader.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import jwt

from api.errors import AuthenticationError, ImpersonationError
from semantic.errors import SettingsError
from semantic.query.context import SecurityContext
from semantic.settings import Settings

ALGORITHM: Final = "HS256"
SHORTEST_SECRET: Final = 32
CLOCK_SKEW: Final = timedelta(seconds=30)
LIFETIME: Final = timedelta(days=30)
LONGEST_NAME: Final = 255


def make_token(
    secret: str,
    *,
    user: str,
    groups: tuple[str, ...] = (),
    expires_in: timedelta = LIFETIME,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """Return a signed token for `user`.

    Raises:
        SettingsError: the secret is shorter than 32 characters.
    """
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "sub": user,
        "groups": list(groups),
        "iat": now,
        "exp": now + expires_in,
    }
    if issuer:
        claims["iss"] = issuer
    if audience:
        claims["aud"] = audience
    return jwt.encode(claims, check_secret(secret), algorithm=ALGORITHM)


def make_secret() -> str:
    """Return a new secret of 256 random bits."""
    return secrets.token_hex(32)


def check_secret(secret: str) -> str:
    """Return the secret when it is long enough to sign tokens with.

    Raises:
        SettingsError: it is shorter than 32 characters.
    """
    if len(secret) < SHORTEST_SECRET:
        raise SettingsError(
            f"DUCAT_JWT_SECRET has {len(secret)} characters and needs at least {SHORTEST_SECRET}",
            suggestion="make one with `openssl rand -hex 32`",
        )
    return secret


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Checks tokens against one secret and the claims that the settings demand."""

    secret: str
    issuer: str | None
    audience: str | None
    service_user: str

    @classmethod
    def of(cls, settings: Settings, secret: str | None = None) -> Authenticator:
        """Return the authenticator of these settings; `secret` stands in for a missing one.

        Raises:
            SettingsError: there is no secret, or it is too short.
        """
        found = settings.jwt_secret.get_secret_value() if settings.jwt_secret else secret
        if not found:
            raise SettingsError(
                "DUCAT_JWT_SECRET is not set, and without it no token can be checked",
                suggestion="set it to the output of `openssl rand -hex 32`",
            )
        return cls(
            check_secret(found), settings.jwt_issuer, settings.jwt_audience, settings.service_user
        )

    def authenticate(self, headers: Mapping[str, str]) -> SecurityContext:
        """Return who asks. `headers` have lower-case names.

        Raises:
            AuthenticationError: there is no token, or it is not valid; Cube's words.
            ImpersonationError: only the service user may name another user.
        """
        context = self._read(headers.get("authorization", ""))
        other = headers.get("x-ducat-user")
        if other is None:
            return context
        if context.user != self.service_user:
            raise ImpersonationError(
                "this token may not speak for another user",
                suggestion=f"X-Ducat-User is for tokens whose subject is {self.service_user}",
            )
        if not other.strip() or len(other) > LONGEST_NAME:
            raise ImpersonationError("X-Ducat-User names no user")
        claims = MappingProxyType({"sub": other, "act": {"sub": context.user}})
        return SecurityContext(user=other, groups=(), claims=claims)

    def _read(self, header: str) -> SecurityContext:
        scheme, _, rest = header.strip().partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else header.strip()
        if not token:
            raise AuthenticationError(
                "Authorization header isn't set", suggestion="make a token with `ducat token USER`"
            )
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                leeway=CLOCK_SKEW,
                options={"verify_aud": self.audience is not None},
            )
        except jwt.InvalidTokenError as invalid:
            raise AuthenticationError("Invalid token") from invalid
        return _context(claims)


def _context(claims: dict[str, Any]) -> SecurityContext:
    user = claims.get("sub", "anonymous")
    groups = claims.get("groups", [])
    is_named = isinstance(user, str) and 0 < len(user) <= LONGEST_NAME
    is_list = isinstance(groups, list) and all(isinstance(group, str) for group in groups)
    if not (is_named and is_list):
        raise AuthenticationError("Invalid token")
    return SecurityContext(user=user, groups=tuple(groups), claims=MappingProxyType(claims))
