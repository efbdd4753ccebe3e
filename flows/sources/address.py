"""Where a source system is: an environment variable, never a default."""

from __future__ import annotations

import os

from flows.errors import SourceMissingError


def read_address(variable: str, *, means: str) -> str:
    """Return the address that an environment variable holds.

    Raises:
        SourceMissingError: it is not set; the message says what it is for.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SourceMissingError(
            f"{variable} is not set: {means}",
            suggestion=f"set {variable}; `ducat demo sources` plays the demo's systems",
        )
    return value
