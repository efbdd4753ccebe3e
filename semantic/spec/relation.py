"""What a cube stands on: `sql_table`, a table's name, or `sql`, one SELECT."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from semantic.errors import Problem
from semantic.spec.reader import Text
from semantic.spec.references import LiteralText, Reference, scan_references
from semantic.spec.sheet import (
    DIALECT,
    Sheet,
    describe_error,
    find_dialect,
    may_stand,
    read_tables,
    table_name,
)

MAXIMUM_RELATION: Final = 100_000
_NAME_PARTS: Final = 3  # catalog, schema, table


def check_table(
    text: Text, problems: list[Problem], dialect: str = DIALECT
) -> tuple[str, ...] | None:
    """Return the table that `sql_table` names, or None after adding what is wrong with it."""
    found = _parse_table(text.value, dialect)
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


@dataclass(frozen=True, slots=True)
class Relation:
    """A checked SELECT without comments: text and references, and the tables that it reads."""

    parts: tuple[str | Reference, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What is wrong with a SELECT; `offset` is in its original text."""

    message: str
    offset: int = 0


def check_relation(
    text: Text, problems: list[Problem], dialect: str = DIALECT, what: str = "a cube"
) -> Relation | None:
    """Return the SELECT of `what`, or None after adding what is wrong with it."""
    pieces = scan_references(text, problems)
    if pieces is None:
        return None
    for piece in pieces:
        if isinstance(piece, Reference) and piece.call is None:
            problems.append(
                Problem(
                    "invalid_reference",
                    f"`{{{'.'.join(piece.path)}}}` is no relation: the `sql` of {what} stands alone",
                    text.node.place(piece.offset),
                    "name the table itself, or another cube's `{cube.sql()}`",
                )
            )
            return None
    found = _parse_relation(pieces, dialect)
    if isinstance(found, _Refusal):
        message = found.message.replace("of a cube", f"of {what}")
        problems.append(Problem("sql_syntax", message, text.node.place(found.offset)))
        return None
    return found


@lru_cache(maxsize=16_384)
def _parse_table(text: str, dialect: str) -> str | None:
    try:
        table = exp.maybe_parse(text, into=exp.Table, dialect=dialect)
    except (SqlglotError, RecursionError):
        return None
    names = table.parts if isinstance(table, exp.Table) else []
    plain = all(isinstance(name, exp.Identifier) and name.name for name in names)
    extra = {key for key, value in table.args.items() if value} - {"this", "db", "catalog"}
    if not plain or extra or not 0 < len(names) <= _NAME_PARTS:
        return None
    return table_name(table)


@lru_cache(maxsize=16_384)
def _parse_relation(
    pieces: tuple[LiteralText | Reference, ...], dialect_name: str
) -> _Refusal | Relation:
    """Return the text and its tables, or what is wrong."""
    sheet = Sheet(pieces, dialect_name)
    if len(sheet.text) > MAXIMUM_RELATION:
        return _Refusal(f"`sql` is longer than {MAXIMUM_RELATION:,} characters")
    try:
        statements = [tree for tree in find_dialect(dialect_name).parse(sheet.text) if tree]
    except SqlglotError as invalid:
        said, offset = describe_error(sheet, invalid)
        return _Refusal(f"`sql` of a cube is not SQL: {said}", offset)
    except RecursionError:
        return _Refusal("`sql` is nested too deeply")
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return _Refusal("`sql` of a cube is one SELECT")
    tree = statements[0]
    if any(tree.find_all(exp.Placeholder, exp.Parameter, exp.SessionParameter)):
        return _Refusal("`sql` of a cube has no bind parameters")
    if any(tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Into)):
        return _Refusal("`sql` of a cube only reads")
    standing = {
        start
        for node in tree.find_all(exp.Identifier)
        if (start := node.meta.get("start")) in sheet.references
        and may_stand(node, sheet.references[start][1])
    }
    for start, (_, reference) in sheet.references.items():
        if start not in standing:
            message = f"`{{{reference.path[0]}}}` stands where no value can stand"
            return _Refusal(message, reference.offset)
    tables = tuple(name for name in read_tables(tree) if not sheet.is_placeholder(name))
    return Relation(_cut(sheet), tables)


def _cut(sheet: Sheet) -> tuple[str | Reference, ...]:
    """Return the text with one space for whatever stands between tokens, and no `;` at the end."""
    parts: list[str | Reference] = []
    text, previous = "", 0
    for token in sheet.tokens():
        if sheet.is_gap(previous, token.start):
            text += " "
        if token.start in sheet.references:
            parts += [text, sheet.references[token.start][1]]
            text = ""
        else:
            text += sheet.text[token.start : token.end + 1]
        previous = token.end + 1
    parts.append(text.rstrip("; "))
    return tuple(part for part in parts if part != "")
