"""Refusals, and the check that nothing of a parsed node is left unread."""

from __future__ import annotations

from typing import Final

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from semantic.errors import UnsupportedError

SHOWN: Final = 100

_WORDS: Final = {
    "joins": "a join",
    "laterals": "LATERAL",
    "with_": "WITH",
    "windows": "WINDOW",
    "qualify": "QUALIFY",
    "into": "INTO",
    "locks": "FOR UPDATE",
    "sample": "TABLESAMPLE",
    "cube": "CUBE",
    "rollup": "ROLLUP",
    "grouping_sets": "GROUPING SETS",
    "all": "GROUP BY ALL",
    "on": "DISTINCT ON",
    "zone": "a time zone",
}


def show(node: exp.Expr) -> str:
    """Return a part of a statement as a person may read it, shortened."""
    text = node.sql(dialect="postgres", comments=False, unsupported_level=ErrorLevel.IGNORE)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def refuse(node: exp.Expr, why: str, suggestion: str | None = None) -> UnsupportedError:
    """Return the error that says why a part of a statement is not answered."""
    return UnsupportedError(f"{show(node)}: {why}", suggestion=suggestion)


def check_only(node: exp.Expr, *known: str) -> None:
    """Refuse a node that holds anything besides the `known` parts.

    Raises:
        UnsupportedError: there is a part that nobody would read.
    """
    for name, value in node.args.items():
        if name in known or value is None or value is False or value == []:
            continue
        word = _WORDS.get(name, name.rstrip("_").replace("_", " "))
        raise refuse(
            node,
            f"{word} is not answered here",
            "ask one view with SELECT … FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT",
        )
