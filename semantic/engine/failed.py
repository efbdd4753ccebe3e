"""What DuckDB says when a query fails, as errors that callers see."""

from __future__ import annotations

from typing import Final

import duckdb

from semantic.engine.deadline import Watch
from semantic.engine.stopped import timed_out, was_cancelled
from semantic.errors import EngineError, SourceUnavailableError

# Through Arrow's stream an error comes as a plain OSError: DuckDB's name of it, and its text.
_KINDS: Final[dict[str, type[duckdb.Error]]] = {
    "INTERRUPT Error": duckdb.InterruptException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "IO Error": duckdb.IOException,
    "FATAL Error": duckdb.FatalException,
    "Catalog Error": duckdb.CatalogException,
}


def explain_failure(failed: Exception, watch: Watch, seconds: float) -> EngineError:
    """Return the error to raise; `seconds` is the deadline that the watch had."""
    text = str(failed).split("\n\nLINE", 1)[0].split("\nStack Trace", 1)[0].strip()
    match _name(failed, text):
        case duckdb.InterruptException() if watch.reason == "timeout":
            return timed_out(seconds)
        case duckdb.InterruptException():
            return was_cancelled()
        case duckdb.CatalogException():
            return SourceUnavailableError(
                f"the model reads something that is not among the served tables: {text}",
                suggestion="compare the model with what the flows publish: `ducat validate`",
            )
        case duckdb.IOException() | duckdb.FatalException():
            return SourceUnavailableError(f"the served file cannot be read: {text}")
        case duckdb.OutOfMemoryException():
            return EngineError(
                f"the query needs more memory than it may use: {text}",
                suggestion="ask for fewer groups, or raise DUCAT_MEMORY_LIMIT",
            )
        case _:
            return EngineError(text)


def _name(failed: Exception, text: str) -> Exception:
    if isinstance(failed, duckdb.Error):
        return failed
    kind = _KINDS.get(text.partition(":")[0])
    return failed if kind is None else kind(text)
