"""Tokens whose signature was checked already: the same text need not be checked again.

What may change since then is looked at each time: the clock, and the key. A key that the provider has
withdrawn, or replaced by another of the same name, is another object, and the token is checked anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from semantic.query.context import SecurityContext

MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Who holds a token, and what must still be so; times are seconds since the epoch."""

    context: SecurityContext
    is_ours: bool
    header: Mapping[str, Any]
    key: object
    since: int | None
    until: int | None


class VerifiedTokens:
    """What is known of tokens, by their text. Safe to use from several threads."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, VerifiedToken] = {}

    def __len__(self) -> int:
        """Return how many tokens are known."""
        return len(self._known)

    def find(
        self, token: str, find_key: Callable[[Mapping[str, Any]], object], skew: timedelta
    ) -> VerifiedToken | None:
        """Return a token that is still valid; None: check it as one never seen."""
        known = self._known.get(token)
        if known is None:
            return None
        now, slack = time.time(), skew.total_seconds()
        is_due = known.since is None or known.since <= now + slack
        is_lasting = known.until is None or known.until > now - slack
        if is_due and is_lasting and find_key(known.header) is known.key:
            return known
        self._known.pop(token, None)
        return None

    def keep(
        self,
        token: str,
        header: Mapping[str, Any],
        key: object,
        context: SecurityContext,
        claims: Mapping[str, Any],
        *,
        is_ours: bool,
    ) -> None:
        """Remember a token that was found valid with this key."""
        begins = [int(claims[name]) for name in ("nbf", "iat") if name in claims]
        until = int(claims["exp"]) if "exp" in claims else None
        if len(self._known) >= MOST:
            self._known.clear()  # no memory for those who send a new token each time
        self._known[token] = VerifiedToken(
            context, is_ours, header, key, max(begins, default=None), until
        )
