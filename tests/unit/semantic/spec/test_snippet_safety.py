"""Whatever sqlglot accepts as a snippet is one operand for DuckDB's own parser, too."""

from __future__ import annotations

import json

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from semantic.errors import Problem, Span
from semantic.spec.reader import Text
from semantic.spec.snippet import OwnColumn, SnippetReference, check_snippet
from semantic.spec.source import ScalarNode

FRAGMENTS = (
    "a", "{x}", "{CUBE}.b", "1", "'s'", "'", '"', "(", ")", "[", "]", ",", ";", "--", "/*", "*/",
    "$$", "$t$", "E'\\''", "\\", "?", "$1", ":", "::int", " AS ", "SELECT ", "FROM t", "UNION ",
    " AND ", " OR ", "NOT ", "CASE WHEN ", " THEN ", " END", "=", "<", "||", "->", "\n", " ", "#",
    "DROP TABLE t", "U&'x'", " IN ", " IS NULL", "x'00'", "`", "{", "}", "sum(", " OVER ()",
)  # fmt: skip


def write(sql: str) -> str | None:
    problems: list[Problem] = []
    node = ScalarNode(sql, "'", Span("m.yml", 1, 1))
    snippet = check_snippet(Text(sql, node), "row", problems)
    if snippet is None:
        assert problems
        return None
    written = {OwnColumn: "own.", SnippetReference: "ref"}
    return "".join(part if isinstance(part, str) else written[type(part)] for part in snippet.parts)


@pytest.fixture(scope="module")
def parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=9).map("".join))
@example("1 /* */ ) ; DROP TABLE t; --")
@example("'a' --")
@example("'\\'' || '); DROP TABLE t; --'")
@example("E'\\'); DROP TABLE t; --'")
@example("$$'$$ || $$); SELECT 2$$")
@example("*//*")
@example("a //* b")
def test_an_accepted_snippet_cannot_reach_out_of_its_brackets(
    parser: duckdb.DuckDBPyConnection, sql: str
) -> None:
    written = write(sql)
    if written is None:
        return
    statement = f"SELECT 1 AS before, ({written}) AS value, 2 AS after"
    row = parser.execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
    assert row is not None
    tree = json.loads(row[0])
    if tree["error"]:
        # DuckDB refuses it: loud, unless a quote swallowed what follows and another one closes it.
        assert "unterminated" not in tree["error_message"]
        return
    [only] = tree["statements"]
    aliases = [item["alias"] for item in only["node"]["select_list"]]
    assert aliases == ["before", "value", "after"]
    assert only["node"]["from_table"]["type"] == "EMPTY"
