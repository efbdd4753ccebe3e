"""Who may log in, and as whom they then ask.

Two ways. A user of `DUCAT_POSTGRES_USERS` logs in with a password by SCRAM-SHA-256; the file holds
verifiers, not passwords, and the groups of each. Everyone else gives a token as the password: the
user name is the token's subject, or `token` for whoever that is; the service user's token speaks for
any user, as `X-Ducat-User` does over HTTP. A password in clear text is asked over TLS or on the
loopback only.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from api.auth import Authenticator
from api.errors import AuthenticationError, ImpersonationError
from api.postgres.errors import SqlError
from api.postgres.protocol.scram import Verifier, pretend_verifier, read_verifier
from semantic.errors import SettingsError
from semantic.query.context import SecurityContext

ANYONE: Final = "token"
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class Account:
    """A user with a password."""

    verifier: Verifier
    context: SecurityContext


@dataclass(frozen=True, slots=True)
class Users:
    """Everyone who may log in."""

    accounts: Mapping[str, Account]
    authenticator: Authenticator
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def find(self, user: str) -> Account | None:
        """Return the account of a user who logs in by password."""
        return self.accounts.get(user)

    def pretend(self, user: str) -> Verifier:
        """Return a verifier that no password fits."""
        return pretend_verifier(user, self._secret)

    def admit(self, user: str, token: str) -> SecurityContext:
        """Return who asks, for a token given as the password of a user.

        Raises:
            SqlError: the token is not valid, or is another's.
        """
        try:
            context = self.authenticator.authenticate({"authorization": token})
            if user in {ANYONE, context.user}:
                return context
            return self.authenticator.authenticate({"authorization": token, "x-ducat-user": user})
        except (AuthenticationError, ImpersonationError) as refused:
            raise denied(user) from refused


def denied(user: str) -> SqlError:
    """Return the error of a login that failed, whatever the reason."""
    return SqlError(
        f'password authentication failed for user "{user[:_LONGEST]}"',
        sqlstate="28P01",
        suggestion="the password is a token: `ducat token USER`, with USER as the user name",
    )


def read_users(path: Path | None) -> Mapping[str, Account]:
    """Return the accounts of a file, JSON: `{"ann": {"verifier": "SCRAM-SHA-256$…", "groups": []}}`.

    Raises:
        SettingsError: it cannot be read, or is not such a file.
    """
    if path is None:
        return MappingProxyType({})
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as unreadable:
        raise SettingsError(
            f"DUCAT_POSTGRES_USERS: {path} cannot be read: {unreadable}",
            suggestion="write it with `ducat password USER`",
        ) from unreadable
    if not isinstance(content, dict):
        raise SettingsError(f"DUCAT_POSTGRES_USERS: {path} holds no object")
    return MappingProxyType({name: _account(path, name, item) for name, item in content.items()})


def _account(path: Path, name: str, item: Any) -> Account:
    verifier = read_verifier(str(item.get("verifier", ""))) if isinstance(item, dict) else None
    groups = item.get("groups", []) if isinstance(item, dict) else None
    known = isinstance(item, dict) and set(item) <= {"verifier", "groups"}
    is_list = isinstance(groups, list) and all(isinstance(group, str) for group in groups)
    if verifier is None or not known or not is_list or not 0 < len(name) <= _LONGEST:
        raise SettingsError(
            f"DUCAT_POSTGRES_USERS: the entry {name[:60]!r} of {path} is not usable",
            suggestion="make one with `ducat password USER --group GROUP`",
        )
    listed = tuple(str(group) for group in groups or ())
    claims = MappingProxyType({"sub": name, "groups": list(listed)})
    return Account(verifier, SecurityContext(user=name, groups=listed, claims=claims))
