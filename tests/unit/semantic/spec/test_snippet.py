"""What a snippet is cut into: the author's own text, with bare columns and references marked."""

from __future__ import annotations

import duckdb
import pytest
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from semantic.errors import Problem, Span
from semantic.spec.aggregates import DUCKDB_AGGREGATES, is_aggregate
from semantic.spec.reader import Text
from semantic.spec.sheet import DIALECT
from semantic.spec.snippet import OwnColumn, SnippetKind, SnippetReference, check_snippet
from semantic.spec.source import ScalarNode


def show(sql: str, kind: SnippetKind = "row") -> str:
    problems: list[Problem] = []
    snippet = check_snippet(Text(sql, ScalarNode(sql, "'", Span("m.yml", 1, 1))), kind, problems)
    if snippet is None:
        return problems[0].code
    shown = ""
    for part in snippet.parts:
        match part:
            case str():
                shown += part
            case OwnColumn():
                shown += "own."
            case SnippetReference(path=path):
                shown += "<" + ".".join(path) + ">"
    return shown


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("amount", "own.amount"),
        ("null", "null"),
        ("current_date", "current_date"),
        ("{CUBE}.amount", "<CUBE>.amount"),
        ("{status}", "<status>"),
        ("amount * {rate} -- a note", "own.amount * <rate>"),
        ("amount /* a note */ + 1", "own.amount + 1"),
        ("'it''s -- no comment'", "'it''s -- no comment'"),
        ('"Odd Name" IS NULL', 'own."Odd Name" IS NULL'),
        ("list_filter(xs, x -> x > low)", "list_filter(own.xs, x -> x > own.low)"),
        ("\\{'a': amount\\}", "{'a': own.amount}"),
        ("x IN (SELECT y FROM t)", "own.x IN (SELECT y FROM t)"),
        (
            "(SELECT MAX(t.x) FROM t WHERE t.id = {CUBE}.id)",
            "(SELECT MAX(t.x) FROM t WHERE t.id = <CUBE>.id)",
        ),
        ("{CUBE}.place.city", "<CUBE>.place.city"),
        ("ducat_ref + {rate}", "own.ducat_ref + <rate>"),
    ],
)
def test_a_snippet_keeps_the_authors_text_and_qualifies_bare_columns(
    sql: str, expected: str
) -> None:
    assert show(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY {CUBE}.delay DESC)",
        "COUNT(*) FILTER (WHERE {CUBE}.delay > 1)",
        "1.0 * {on_time} / NULLIF({completed}, 0)",
        "ARG_MAX({CUBE}.a, {CUBE}.b)",
    ],
)
def test_an_aggregate_keeps_the_authors_text(sql: str) -> None:
    assert show(sql, "aggregate") == sql.replace("{", "<").replace("}", ">")


@pytest.mark.parametrize(
    "sql",
    [
        "1); DROP TABLE x", "1; SELECT 2", "true;", "a, b", "a AS b", "SELECT 1", "DROP TABLE x",
        "'open", '"open', "(a", "a)", "1 +", "", " ", "?", "$1", ":name", "*", "{CUBE}.*", "a b",
        "$$open", "/* open", "-- all", "{a}.{b}", "{a}(1)", "x.{a}", "'{a}'", '"{a}"',
        "(SELECT 1 FROM {a})", "1 /* {a} */", "COPY x TO 'y'", "ATTACH 'x'", "PRAGMA x", "(1, 2)",
        "a := 1; b", "#1", "COLUMNS(*)", "UNNEST(xs)",
    ],
)  # fmt: skip
def test_what_is_not_one_value_is_refused(sql: str) -> None:
    assert show(sql) in {"sql_syntax", "sql_not_expression", "reference_syntax"}
    assert show(sql, "aggregate") in {"sql_syntax", "sql_not_expression", "reference_syntax"}


def test_every_aggregate_function_of_duckdb_is_known_as_one() -> None:
    with duckdb.connect() as connection:
        names = connection.sql(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions()"
            " WHERE function_type = 'aggregate' AND function_name ~ '^[a-z_0-9]+$'"
        ).fetchall()
    assert len(names) > 80
    unknown = [name for (name,) in names if not _aggregates(name)]
    assert unknown == []
    assert {name for (name,) in names} >= DUCKDB_AGGREGATES


def _aggregates(name: str) -> bool:
    dialect = Dialect.get_or_raise(DIALECT)
    arguments = ("x", "x, y")
    for argument in arguments:
        try:
            [tree] = dialect.parse_into(exp.Condition, f"{name}({argument})")
        except (SqlglotError, ValueError, TypeError, IndexError):
            # A function that takes another number of arguments.
            continue
        if tree is not None and any(is_aggregate(node) for node in tree.walk()):
            return True
    return False


def test_snippets_of_one_shape_keep_their_own_names_and_places() -> None:
    found = []
    for sql in ("{CUBE}.a = {b}.c", "{orders}.a = {customers}.c", "{x}.a = {y}.c"):
        node = ScalarNode(sql, "'", Span("m.yml", 1, 1))
        snippet = check_snippet(Text(sql, node), "row", [])
        assert snippet is not None
        parts = (part for part in snippet.parts if isinstance(part, SnippetReference))
        found.append([(part.path, part.offset) for part in parts])
    assert found == [
        [(("CUBE",), 0), (("b",), 11)],
        [(("orders",), 0), (("customers",), 13)],
        [(("x",), 0), (("y",), 8)],
    ]
