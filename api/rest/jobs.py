"""`pre-aggregations/jobs`, answered as it is: tables are built by the pipelines, not by this server."""

from __future__ import annotations

from typing import Any, Final

from api.rest.request import SHOWN, read_raw
from semantic.errors import QuerySyntaxError, UnsupportedError

MOST_TOKENS: Final = 1000


def answer_jobs(body: bytes) -> list[dict[str, Any]]:
    """Return the state of the jobs that were named: this server started none of them.

    Raises:
        QuerySyntaxError: the request is none that Cube knows.
        UnsupportedError: jobs are to be started.
    """
    raw = read_raw("POST", b"", body)
    if not raw:
        raise QuerySyntaxError("No job description provided")
    match raw.get("action"):
        case "post":
            raise UnsupportedError(
                "this server starts no jobs: what it serves is built by the pipelines",
                suggestion="`ducat flows` builds tables and pre-aggregations",
            )
        case "get":
            tokens = raw.get("tokens")
            if not isinstance(tokens, list) or len(tokens) > MOST_TOKENS:
                raise QuerySyntaxError('Invalid Job query format: "tokens" is a list')
            if not all(isinstance(token, str) for token in tokens):
                raise QuerySyntaxError('Invalid Job query format: "tokens" is a list of texts')
            return [{"token": token[:SHOWN], "status": "not_found"} for token in tokens]
        case other:
            raise QuerySyntaxError(
                f'Invalid Job query format: "action" is post or get, not {str(other)[:SHOWN]!r}'
            )
