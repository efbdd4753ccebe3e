"""SQL with references, as one text that sqlglot can read, and the way back to what was written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token

from semantic.spec.context_references import SourceReference
from semantic.spec.references import LiteralText, Reference

DIALECT: Final = "duckdb"
"""The SQL of a model, when nothing else is said: that of the engine that runs it."""


class Sheet:
    """The snippet with placeholders for its references, and the way back to the original."""

    def __init__(self, pieces: Sequence[LiteralText | Reference], dialect: str = DIALECT) -> None:
        self.dialect = dialect
        literal = "".join(piece.text for piece in pieces if isinstance(piece, LiteralText))
        stem = "ducat_ref"
        while stem in literal.lower():
            stem += "_"
        self.references: dict[int, tuple[int, Reference]] = {}  # start -> (end, reference)
        self._origins: list[tuple[int, int]] = []
        parts: list[str] = []
        size = 0
        for number, piece in enumerate(pieces):
            self._origins.append((size, piece.offset))
            if isinstance(piece, Reference):
                name = f"{stem}{number}_"
                self.references[size] = (size + len(name), piece)
                parts.append(name)
            else:
                parts.append(piece.text)
            size += len(parts[-1])
        self.text = "".join(parts)
        self._tokens: list[Token] | None = None

    def original(self, position: int) -> int:
        """Return the offset in the author's text of a position in the sheet."""
        for start, offset in reversed(self._origins):
            if start <= position:
                return offset if start in self.references else offset + position - start
        return 0

    def is_placeholder(self, name: str) -> bool:
        """Whether a table's name is that of a placeholder."""
        return any(self.text[start:end] == name for start, (end, _) in self.references.items())

    def is_gap(self, end: int, start: int) -> bool:
        """Whether a space belongs between tokens: there was one, or they would begin a comment.

        sqlglot reads `//*` as two operators, DuckDB as one and the begin of a comment.
        """
        if end == 0:
            return False
        return start > end or self.text[end - 1 : end + 1] in {"/*", "*/", "--"}

    def tokens(self) -> list[Token]:
        """Return the tokens of the text."""
        if self._tokens is None:
            dialect = find_dialect(self.dialect)
            self._tokens = dialect.tokenizer_class(dialect=dialect).tokenize(self.text)
        return self._tokens


@cache
def find_dialect(name: str) -> Dialect:
    """Return sqlglot's dialect of that name, made once."""
    return Dialect.get_or_raise(name)


def describe_error(sheet: Sheet, invalid: SqlglotError) -> tuple[str, int]:
    """Return what sqlglot says is wrong with a sheet, and where in the author's text."""
    detail = invalid.errors[0] if isinstance(invalid, ParseError) and invalid.errors else {}
    line, column = detail.get("line"), detail.get("col")
    said = str(detail.get("description") or str(invalid).split("\n", 1)[0])
    if not isinstance(line, int) or not isinstance(column, int):
        return said, 0
    near = str(detail.get("highlight") or "")
    before = sum(len(text) + 1 for text in sheet.text.split("\n")[: line - 1])
    offset = sheet.original(max(0, before + column - max(len(near), 1)))
    return (f"{said} near `{near}`" if near else said), offset


def may_stand(node: exp.Identifier, reference: Reference) -> bool:
    """Whether a reference stands where its value can: a relation in FROM, others as an operand."""
    parent = node.parent
    if isinstance(reference.call, SourceReference):
        return isinstance(parent, exp.Table) and len(parent.parts) == 1
    if not isinstance(parent, exp.Column) or parent.parts[0] is not node:
        return False
    return reference.call is None or len(parent.parts) == 1


def read_tables(tree: exp.Expr) -> tuple[str, ...]:
    """Return the physical tables that a tree reads, without its own WITH names."""
    named = {expression.alias_or_name.lower() for expression in tree.find_all(exp.CTE)}
    found = (
        table_name(table)
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
        and (table.args.get("db") or table.name.lower() not in named)
    )
    return tuple(sorted(set(found)))


def table_name(table: exp.Table) -> str:
    """Return a table's name with its schema."""
    return ".".join(part.name for part in table.parts)
