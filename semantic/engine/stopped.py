"""Queries that did not run to their end, and answers that were cut: the same for all engines."""

from __future__ import annotations

import pyarrow as pa

from semantic.errors import QueryCancelledError, QueryTimeoutError
from semantic.query.bound import BoundQuery


def timed_out(seconds: float) -> QueryTimeoutError:
    """Return the error of a query that passed its deadline."""
    return QueryTimeoutError(
        f"the query ran longer than {seconds:g} seconds and was stopped",
        suggestion="ask for fewer rows or a coarser granularity",
    )


def was_cancelled() -> QueryCancelledError:
    """Return the error of a query whose caller went away."""
    return QueryCancelledError("the query was cancelled")


def cut(table: pa.Table, bound: BoundQuery) -> tuple[pa.Table, bool]:
    """Return the rows within the limit, and whether a limit that is ours cut some off."""
    truncated = bound.defaulted and bound.limit is not None and table.num_rows > bound.limit
    return (table.slice(0, bound.limit) if truncated else table), truncated
