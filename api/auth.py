"""Who asks: a JWT or an API key becomes a `SecurityContext`.

A token stands in `Authorization: <token>` or `Authorization: Bearer <token>`, as Cube's clients send
it. Three kinds are known: HS256 with our shared secret; a signature by a key of the identity
provider's JWKS; an API key (`dk_…`). Which algorithm is allowed follows from where the key comes
from, never from the token, so that no public key is taken for a secret. Every claim is kept for the
model's access rules. A token without `exp` does not expire, as in Cube, unless
`DUCAT_JWT_REQUIRE_EXPIRY` is set; `ducat token` always sets one.

One user may speak for others: the service user (`DUCAT_SERVICE_USER`), which Superset uses. Its
`X-Ducat-User` header names the person who asks, and `X-Ducat-Groups`, a JSON list, the groups that the
service knows that person by. That person does not inherit the service's groups: a service that may see
everything must not lend its sight to every reader. Only tokens that were made here carry that right; a
name that an identity provider gave does not.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import jwt
import orjson
import structlog

from api.claims import LONGEST_NAME, MOST_GROUPS, ClaimRules
from api.errors import AuthenticationError, ImpersonationError
from api.jwks import KeySet
from api.keys import PREFIX, KeyFile
from api.verified import VerifiedTokens
from semantic.errors import SettingsError
from semantic.query.context import SecurityContext
from semantic.settings import Settings

ALGORITHM: Final = "HS256"
SHORTEST_SECRET: Final = 32
CLOCK_SKEW: Final = timedelta(seconds=30)
LIFETIME: Final = timedelta(days=30)
ASYMMETRIC: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
OWN_CLAIMS: Final = ClaimRules()
log = structlog.stdlib.get_logger("ducat.auth")


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
    """Checks tokens against a secret, the keys of an identity provider, and a file of API keys."""

    secret: str | None
    issuer: str | None
    audience: str | None
    service_user: str
    rules: ClaimRules = OWN_CLAIMS
    skew: timedelta = CLOCK_SKEW
    require_expiry: bool = False
    algorithms: tuple[str, ...] = ASYMMETRIC
    key_set: KeySet | None = None
    key_file: KeyFile | None = None
    verified: VerifiedTokens = field(default_factory=VerifiedTokens, compare=False, repr=False)

    @classmethod
    def of(cls, settings: Settings, secret: str | None = None) -> Authenticator:
        """Return the authenticator of these settings; `secret` stands in for a missing one.

        Raises:
            SettingsError: there is nothing to check tokens with, or it is not safe.
        """
        found = settings.jwt_secret.get_secret_value() if settings.jwt_secret else secret
        key_file = KeyFile(settings.api_keys_path)
        if not found and settings.jwt_jwks_url is None and not key_file.read():
            raise SettingsError(
                "DUCAT_JWT_SECRET is not set, and without it no token can be checked",
                suggestion="set it to the output of `openssl rand -hex 32`",
            )
        return cls(
            check_secret(found) if found else None,
            settings.jwt_issuer,
            settings.jwt_audience,
            settings.service_user,
            ClaimRules.of(settings),
            timedelta(seconds=settings.jwt_clock_skew_seconds),
            settings.jwt_require_expiry,
            _read_algorithms(settings),
            _key_set(settings),
            key_file,
        )

    async def prepare(self, headers: Mapping[str, str]) -> None:
        """Fetch the provider's keys if this request's token needs them; never raises."""
        if self.key_set is None:
            return
        token = _token(headers.get("authorization", ""))
        header = None if token.startswith(PREFIX) else _read_header(token)
        if header is not None and header.get("alg") in self.algorithms:
            await self.key_set.learn(header)

    def authenticate(self, headers: Mapping[str, str]) -> SecurityContext:
        """Return who asks. `headers` have lower-case names.

        Raises:
            AuthenticationError: there is no token, or it is not valid; Cube's words.
            ImpersonationError: only the service user may name another user.
        """
        context, is_ours = self._read(_token(headers.get("authorization", "")))
        other = headers.get("x-ducat-user")
        named = headers.get("x-ducat-groups")
        if other is None and named is None:
            return context
        if context.user != self.service_user or not is_ours:
            raise ImpersonationError(
                "this token may not speak for another user",
                suggestion=f"X-Ducat-User is for tokens whose subject is {self.service_user}",
            )
        if other is None or not other.strip() or len(other) > LONGEST_NAME:
            raise ImpersonationError("X-Ducat-User names no user")
        groups = () if named is None else self.rules.translate(_read_groups(named))
        claims: dict[str, Any] = {"sub": other, "act": {"sub": context.user}}
        if groups:
            claims["groups"] = list(groups)
        return SecurityContext(user=other, groups=groups, claims=MappingProxyType(claims))

    def _read(self, token: str) -> tuple[SecurityContext, bool]:
        """Return who holds a token, and whether the token was made here."""
        if not token:
            raise AuthenticationError(
                "Authorization header isn't set",
                suggestion="send the token that `ducat serve` or the demo printed, or one of `ducat token USER`",
            )
        if token.startswith(PREFIX):
            if self.key_file is None:
                raise AuthenticationError("Invalid token")
            return self.key_file.authenticate(token, datetime.now(UTC)), True
        known = self.verified.find(token, self._find_key, self.skew)
        if known is not None:
            return known.context, known.is_ours
        try:
            header = jwt.get_unverified_header(token)
            is_ours = header.get("alg") == ALGORITHM
            key = self._find_key(header)
            claims = self._verify(token, key, is_ours=is_ours)
        except jwt.PyJWTError as invalid:
            log.info("token refused", reason=type(invalid).__name__)
            raise AuthenticationError("Invalid token") from invalid
        # Our own tokens say `sub` and `groups`; the settings name the provider's claims.
        context = (OWN_CLAIMS if is_ours and self.key_set else self.rules).read(claims)
        self.verified.keep(token, header, key, context, claims, is_ours=is_ours)
        return context, is_ours

    def _find_key(self, header: Mapping[str, Any]) -> str | jwt.PyJWK | None:
        if header.get("alg") == ALGORITHM:
            return self.secret
        return self.key_set.find(header) if self.key_set is not None else None

    def _verify(self, token: str, key: str | jwt.PyJWK | None, *, is_ours: bool) -> dict[str, Any]:
        if key is None:
            raise jwt.InvalidKeyError("no key for this token")
        return jwt.decode(
            token,
            key,
            algorithms=(ALGORITHM,) if is_ours else self.algorithms,
            audience=self.audience,
            issuer=self.issuer,
            leeway=self.skew,
            options={
                "verify_aud": self.audience is not None,
                "require": ["exp"] if self.require_expiry else [],
            },
        )


def _token(header: str) -> str:
    scheme, _, rest = header.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header.strip()


def _read_groups(header: str) -> tuple[str, ...]:
    """Return the names in a JSON list; what is anything else names nobody's groups."""
    try:
        groups = orjson.loads(header)
    except orjson.JSONDecodeError:
        groups = None
    if (
        not isinstance(groups, list)
        or len(groups) > MOST_GROUPS
        or not all(isinstance(name, str) and 0 < len(name) <= LONGEST_NAME for name in groups)
    ):
        raise ImpersonationError(
            "X-Ducat-Groups is no list of names",
            suggestion='send a JSON list of texts in ASCII: ["analysts", "z\\u00fcrich"]',
        )
    return tuple(dict.fromkeys(groups))


def _read_header(token: str) -> dict[str, Any] | None:
    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        return None


def _read_algorithms(settings: Settings) -> tuple[str, ...]:
    names = tuple(name.strip() for name in settings.jwt_algorithms.split(",") if name.strip())
    wrong = [name for name in names if name not in ASYMMETRIC]
    if wrong or not names:
        raise SettingsError(
            f"DUCAT_JWT_ALGORITHMS: {', '.join(wrong) or 'none'} cannot be used with public keys",
            suggestion=f"choose among {', '.join(ASYMMETRIC)}",
        )
    return names


def _key_set(settings: Settings) -> KeySet | None:
    if settings.jwt_jwks_url is None:
        return None
    if settings.environment == "production" and not (settings.jwt_issuer and settings.jwt_audience):
        raise SettingsError(
            "DUCAT_JWT_JWKS_URL needs DUCAT_JWT_ISSUER and DUCAT_JWT_AUDIENCE in production",
            suggestion="without them a token that was meant for another service opens this one",
        )
    return KeySet(settings.jwt_jwks_url)
