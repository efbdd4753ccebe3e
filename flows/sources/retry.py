"""One rule for every source: try again with growing waits, then say that it is down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import tenacity

from flows.errors import SourceDownError

T = TypeVar("T")

ATTEMPTS: Final = 6
LONGEST_WAIT: Final = 10.0


def read_with_retries(
    system: str, read: Callable[[], T], *, errors: tuple[type[Exception], ...]
) -> T:
    """Return what `read` returns, which begins from its start again after each failure.

    Raises:
        SourceDownError: the last of six tries failed as well (after about 15 seconds of waiting).
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=LONGEST_WAIT, jitter=0.5),
        retry=tenacity.retry_if_exception_type(errors),
        reraise=True,
    )
    try:
        return retrying(read)
    except errors as failed:
        raise SourceDownError(
            f"{system} did not answer after {ATTEMPTS} tries: {_first_line(failed)}",
            suggestion="see whether it is up and its address is right; a rerun goes on from here",
        ) from failed


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
