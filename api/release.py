"""Which Ducat this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def find_release() -> str:
    """Return the version of this package, or "0" where it is not installed."""
    try:
        return version("ducat")
    except PackageNotFoundError:
        return "0"
