"""What a cube stands on: `sql_table`, a table's name, or `sql`, one SELECT."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from semantic.errors import Problem
from semantic.spec.reader import Text
from semantic.spec.references import LiteralText, scan_references

DIALECT: Final = "duckdb"
MAXIMUM_RELATION: Final = 100_000
_NAME_PARTS: Final = 3  # catalog, schema, table


def check_table(text: Text, problems: list[Problem]) -> tuple[str, ...] | None:
    """Return the table that `sql_table` names, or None after adding what is wrong with it."""
    found = _parse_table(text.value)
    if found is None:
        problems.append(
            Problem(
                "sql_syntax",
                "`sql_table` is the name of a table, with its schema where it has one",
                text.node.place(0),
                "use `sql` for anything else",
            )
        )
        return None
    return (found,)


def check_relation(text: Text, problems: list[Problem]) -> tuple[str, tuple[str, ...]] | None:
    """Return the SELECT without comments and the tables it reads, or None after adding why not."""
    pieces = scan_references(text, problems)
    if pieces is None:
        return None
    literals = [piece.text for piece in pieces if isinstance(piece, LiteralText)]
    if len(literals) != len(pieces):
        problems.append(
            Problem(
                "unsupported",
                "references in the `sql` of a cube are not supported yet",
                text.span,
                "name the table itself",
            )
        )
        return None
    found = _parse_relation("".join(literals))
    if isinstance(found, str):
        problems.append(Problem("sql_syntax", found, text.node.place(0)))
        return None
    return found


@lru_cache(maxsize=16_384)
def _parse_table(text: str) -> str | None:
    try:
        table = exp.maybe_parse(text, into=exp.Table, dialect=DIALECT)
    except (SqlglotError, RecursionError):
        return None
    names = table.parts if isinstance(table, exp.Table) else []
    plain = all(isinstance(name, exp.Identifier) and name.name for name in names)
    extra = {key for key, value in table.args.items() if value} - {"this", "db", "catalog"}
    if not plain or extra or not 0 < len(names) <= _NAME_PARTS:
        return None
    return _table_name(table)


@lru_cache(maxsize=16_384)
def _parse_relation(text: str) -> str | tuple[str, tuple[str, ...]]:
    """Return the text and its tables, or what is wrong."""
    if len(text) > MAXIMUM_RELATION:
        return f"`sql` is longer than {MAXIMUM_RELATION:,} characters"
    dialect = Dialect.get_or_raise(DIALECT)
    try:
        statements = [tree for tree in dialect.parse(text) if tree is not None]
    except SqlglotError as invalid:
        return f"`sql` is not SQL: {str(invalid).splitlines()[0]}"
    except RecursionError:
        return "`sql` is nested too deeply"
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return "`sql` of a cube is one SELECT"
    tree = statements[0]
    if any(tree.find_all(exp.Placeholder, exp.Parameter, exp.SessionParameter)):
        return "`sql` of a cube has no bind parameters"
    if any(tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Into)):
        return "`sql` of a cube only reads"
    return strip_comments(text), read_tables(tree)


def strip_comments(text: str) -> str:
    """Return SQL with one space for whatever stands between two tokens, and no `;` at the end."""
    pieces: list[str] = []
    previous = 0
    for token in Dialect.get_or_raise(DIALECT).tokenizer_class(dialect=DIALECT).tokenize(text):
        if token.start > previous and pieces:
            pieces.append(" ")
        pieces.append(text[token.start : token.end + 1])
        previous = token.end + 1
    return "".join(pieces).rstrip("; ")


def read_tables(tree: exp.Expr) -> tuple[str, ...]:
    """Return the physical tables that a tree reads, without its own WITH names."""
    named = {expression.alias_or_name.lower() for expression in tree.find_all(exp.CTE)}
    found = (
        _table_name(table)
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
        and (table.args.get("db") or table.name.lower() not in named)
    )
    return tuple(sorted(set(found)))


def _table_name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)
