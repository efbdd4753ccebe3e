"""The models of the cases in another dialect: each snippet of SQL as sqlglot says it there.

The rule is Cube's: the SQL of a model is the warehouse's. The cases were written for PostgreSQL and
DuckDB, so here their author's part of the work is done by sqlglot; ours stays ours.
"""

from __future__ import annotations

import re
from typing import Any, Final

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import SqlglotError

_REFERENCE: Final = re.compile(r"\{[^{}]*\}")


def translate_model(text: str, dialect: str, *, read: str = "duckdb") -> str:
    """Return a model whose snippets are in another dialect."""
    return str(
        yaml.safe_dump(_walk(yaml.safe_load(text), dialect, read), sort_keys=False, width=1_000)
    )


def _walk(node: Any, dialect: str, read: str) -> Any:
    match node:
        case dict():
            return {
                key: translate(value, dialect, read)
                if key == "sql" and isinstance(value, str)
                else _walk(value, dialect, read)
                for key, value in node.items()
            }
        case list():
            return [_walk(item, dialect, read) for item in node]
        case _:
            return node


def translate(snippet: str, dialect: str, read: str = "duckdb") -> str:
    """Return a snippet in another dialect; as it is, where sqlglot cannot read it."""
    found: list[str] = []

    def keep(match: re.Match[str]) -> str:
        found.append(match[0])
        return f"ref_{len(found) - 1}_"

    text = _REFERENCE.sub(keep, snippet)
    try:
        tree = sqlglot.parse_one(text, read=read)
    except SqlglotError:
        return snippet
    if dialect in {"clickhouse", "spark"}:  # whose divisions of decimals lose digits
        for division in tree.find_all(exp.Div):
            division.this.replace(exp.cast(division.this.copy(), "double"))
    if isinstance(tree, exp.Column | exp.Identifier | exp.Literal):
        written = text if not tree.find(exp.Identifier, bfs=True) else tree.sql(dialect=dialect)
    else:
        written = tree.sql(dialect=dialect)
    return re.sub(r"ref_(\d+)_", lambda match: found[int(match[1])], written)
