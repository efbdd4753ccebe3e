"""Where a source system is: an environment variable, never a default."""

from __future__ import annotations

import os
from collections.abc import Sequence

from flows.errors import SourceMissingError
from flows.pipeline import Pipeline


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


def require_an_address(pipelines: Sequence[Pipeline]) -> None:
    """Refuse to fetch where nobody said where any source is: no source could deliver anything.

    A source that reads no address of this kind, or one that is set, is left to what it finds.

    Raises:
        SourceMissingError: names each variable once.
    """
    extracts = [source.extract for pipeline in pipelines for source in pipeline.sources]
    wanted = [getattr(getattr(extract, "__self__", None), "variable", None) for extract in extracts]
    unset = [
        name for name in wanted if isinstance(name, str) and not os.environ.get(name, "").strip()
    ]
    if not extracts or len(unset) < len(extracts):
        return
    raise SourceMissingError(
        f"nobody said where the sources are: not set {', '.join(dict.fromkeys(unset))}",
        suggestion="set them (`ducat demo sources` plays the demo's systems and prints them), "
        "or run everything with `make demo`",
    )
