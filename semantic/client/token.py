"""The token that a client presents."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "DUCAT_TOKEN"
# A function is asked before each request: tokens of identity providers live for minutes.
Token = str | Callable[[], str]


def read_token(token: Token | None) -> str | None:
    """Return the token to present: the one given, else that of the environment, else none."""
    if token is None:
        return os.environ.get(VARIABLE) or None
    return token() if callable(token) else token


def authorize(token: Token | None) -> dict[str, str]:
    """Return the header of a request."""
    found = read_token(token)
    return {} if found is None else {"authorization": f"Bearer {found}"}
