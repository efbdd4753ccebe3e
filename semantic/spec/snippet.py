"""Checks one SQL snippet, once, at load, and cuts it into the parts of an `Expression`.

sqlglot parses the snippet with its references replaced by placeholder names. What comes out is the
author's own text (models are written in the dialect of the engine that runs them, so nothing has
to be rewritten, and a rewriting could change a number) with three corrections made at the places
that the parse tree gives:

- a column without a table, as in `sql: amount`, is qualified by the cube that owns the snippet, so
  that it cannot mean a column of a joined cube; columns inside a sub-select are left alone;
- comments are cut out, since one could swallow the SQL that follows;
- each placeholder becomes its reference again.

A snippet must be one scalar expression. Two expressions, a statement, an unclosed quote or bracket,
a bind parameter, or a reference inside a string are refused, so a snippet in brackets is always
one operand of the SQL around it. Window functions are refused: the rows that they would see are
decided by the query, not by the author.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError, TokenError

from semantic.errors import Problem
from semantic.spec.aggregates import is_aggregate
from semantic.spec.context_references import ContextCall
from semantic.spec.reader import Text
from semantic.spec.references import LiteralText, Reference, scan_references
from semantic.spec.sheet import DIALECT, Sheet, describe_error, find_dialect, may_stand, read_tables
from semantic.spec.survey import Surveyed, survey

MAXIMUM_SNIPPET: Final = 20_000
MAXIMUM_BRACKETS: Final = 40

SnippetKind = Literal["row", "aggregate"]
"""`row`: about one row, no aggregate. `aggregate`: about a group of rows."""


@dataclass(frozen=True, slots=True)
class OwnColumn:
    """A bare column: the cube's alias and a dot belong before it."""


@dataclass(frozen=True, slots=True)
class SnippetReference:
    """A reference in a checked snippet.

    `dotted`: `.column` follows it. `aggregated`: it stands inside an aggregate function.
    """

    path: tuple[str, ...]
    offset: int
    dotted: bool
    aggregated: bool
    call: ContextCall | None = None


_OWN_COLUMN: Final = OwnColumn()

SnippetPart = str | OwnColumn | SnippetReference


@dataclass(frozen=True, slots=True)
class Snippet:
    """A checked snippet. `loose_columns`: it has columns outside of every aggregate."""

    parts: tuple[SnippetPart, ...]
    aggregates: bool
    loose_columns: bool
    tables: tuple[str, ...] = ()  # that its sub-selects read


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with a snippet; `offset` is in its original text."""

    code: str
    message: str
    offset: int
    suggestion: str | None = None


def check_snippet(
    text: Text, kind: SnippetKind, problems: list[Problem], dialect: str = DIALECT
) -> Snippet | None:
    """Return the parts of a snippet, or None after adding what is wrong with it."""
    scanned: list[Problem] = []
    pieces = scan_references(text, scanned)
    if pieces is None:
        problems.extend(scanned)
        return None
    found: Snippet | _Fault | None = _check_simple(pieces)
    if found is None:
        found = _check_shape(pieces, kind, dialect) or _check(pieces, kind, dialect)
    if isinstance(found, _Fault):
        place = text.node.place(found.offset)
        problems.append(Problem(found.code, found.message, place, found.suggestion))
        return None
    return found


def _check_shape(
    pieces: tuple[LiteralText | Reference, ...], kind: SnippetKind, dialect: str
) -> Snippet | None:
    """Return the snippet when one that differs in what references are called and where is right.

    The same SQL about other cubes, as join conditions are, need not be parsed again. None when
    something is wrong: messages need the names and the places.
    """
    references = [piece for piece in pieces if isinstance(piece, Reference)]
    if any(item.call is not None for item in references):
        return None
    shape = tuple(
        [len(piece.path) if isinstance(piece, Reference) else piece.text for piece in pieces]
    )
    found = _find_shape(shape, kind, dialect)
    if found is None:
        return None
    names = iter(references)
    parts: list[SnippetPart] = []
    for part in found.parts:
        if isinstance(part, SnippetReference):
            name = next(names)
            parts.append(SnippetReference(name.path, name.offset, part.dotted, part.aggregated))
        else:
            parts.append(part)
    return Snippet(tuple(parts), found.aggregates, found.loose_columns, found.tables)


@lru_cache(maxsize=65_536)
def _find_shape(shape: tuple[str | int, ...], kind: SnippetKind, dialect: str) -> Snippet | None:
    """Return the snippet with references without names, given by how many names they have."""
    pieces = tuple(
        LiteralText(piece, 0) if isinstance(piece, str) else Reference(("",) * piece, 0)
        for piece in shape
    )
    found = _check(pieces, kind, dialect)
    return None if isinstance(found, _Fault) else found


@lru_cache(maxsize=8_192)
def _check(
    pieces: tuple[LiteralText | Reference, ...], kind: SnippetKind, dialect: str
) -> Snippet | _Fault:
    sheet = Sheet(pieces, dialect)
    if len(sheet.text) > MAXIMUM_SNIPPET:
        return _Fault("sql_syntax", "the snippet is too long", 0, f"{MAXIMUM_SNIPPET:,} at most")
    if _depth(sheet.text) > MAXIMUM_BRACKETS:
        return _Fault("sql_syntax", "the snippet is nested too deeply", 0)
    tree = _parse(sheet)
    return tree if isinstance(tree, _Fault) else _cut(sheet, tree, kind)


def _check_simple(pieces: tuple[LiteralText | Reference, ...]) -> Snippet | None:
    """The common shapes `column`, `{CUBE}.column` and `{member}` need no parser."""
    if len(pieces) > 2:  # noqa: PLR2004 - a reference and what follows it
        return None
    first = pieces[0] if pieces else None
    if isinstance(first, LiteralText):
        name = first.text.strip()
        if len(pieces) == 1 and _is_plain_name(name):
            return Snippet((_OWN_COLUMN, name), aggregates=False, loose_columns=True)
        return None
    if first is None or first.call is not None:
        return None
    if len(pieces) == 1:
        reference = SnippetReference(first.path, first.offset, dotted=False, aggregated=False)
        return Snippet((reference,), aggregates=False, loose_columns=False)
    text = pieces[1].text.rstrip() if isinstance(pieces[1], LiteralText) else ""
    if len(first.path) == 1 and text.startswith(".") and _is_plain_name(text[1:]):
        reference = SnippetReference(first.path, first.offset, dotted=True, aggregated=False)
        return Snippet((reference, text), aggregates=False, loose_columns=True)
    return None


_TOKENIZER = Dialect.get_or_raise(DIALECT).tokenizer_class


def _is_plain_name(text: str) -> bool:
    return text.isidentifier() and text.isascii() and text.upper() not in _RESERVED


_RESERVED: Final = frozenset(_TOKENIZER.KEYWORDS) | {
    "LOCALTIME", "LOCALTIMESTAMP", "SESSION_USER", "CURRENT_CATALOG", "CURRENT_ROLE",
}  # fmt: skip


def _parse(sheet: Sheet) -> exp.Expr | _Fault:
    try:
        # As `Dialect.parse_into` does, with the tokens that are looked at again below.
        found = (
            find_dialect(sheet.dialect)
            .parser()
            .parse_into(exp.Condition, sheet.tokens(), sheet.text)
        )
    except ParseError as invalid:
        return _not_an_expression(sheet, invalid)
    except (TokenError, SqlglotError) as invalid:
        said = str(invalid).split("\n", 1)[0]
        return _Fault("sql_syntax", f"not SQL: {said}", 0, "check quotes and brackets")
    except RecursionError:
        return _Fault("sql_syntax", "the snippet is nested too deeply", 0)
    trees = [tree for tree in found if tree is not None]
    if len(found) != 1 or len(trees) != 1 or ";" in _outside_strings(sheet):
        return _Fault("sql_not_expression", "a snippet is one SQL expression", 0, "remove the `;`")
    return trees[0]


def _not_an_expression(sheet: Sheet, invalid: ParseError) -> _Fault:
    try:
        statements = find_dialect(sheet.dialect).parse(sheet.text)
    except SqlglotError:
        statements = []
    said, offset = describe_error(sheet, invalid)
    if statements:
        return _Fault(
            "sql_not_expression",
            "a snippet is one SQL expression, not a list, an alias or a statement",
            offset,
            "put a sub-select in brackets",
        )
    return _Fault("sql_syntax", said, offset, None)


def _outside_strings(sheet: Sheet) -> str:
    tokens = sheet.tokens()
    return "".join(token.text for token in tokens if token.token_type.name == "SEMICOLON")


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def _cut(sheet: Sheet, tree: exp.Expr, kind: SnippetKind) -> Snippet | _Fault:
    """Look through the tree for what is refused, then cut the sheet at the places found."""
    places = survey(tree)
    if places is None:
        return _Fault("sql_syntax", "the snippet is nested too deeply", 0)
    fault = _find_refused(sheet, tree, places, kind)
    if fault is not None:
        return fault
    seen = {  # start of a placeholder -> whether inside an aggregate
        place.node.meta["start"]: place.aggregated
        for place in places
        if isinstance(place.node, exp.Identifier)
        and place.node.meta.get("start") in sheet.references
        and may_stand(place.node, sheet.references[place.node.meta["start"]][1])
    }
    for start, (_, reference) in sheet.references.items():
        if start not in seen:
            return _Fault(
                "reference_syntax",
                f"`{{{'.'.join(reference.path)}}}` stands where no value can stand",
                reference.offset,
                "not in strings, quoted names and comments; write `\\{` for a literal brace",
            )
    bare: set[int] = set()
    loose = False
    for place in places:
        column = place.node
        if not isinstance(column, exp.Column):
            continue
        position: int | None = column.parts[0].meta.get("start")
        referred = position in sheet.references
        if len(column.parts) == 1 and not referred and not place.nested:
            if position is None:
                return _Fault("sql_syntax", f"`{column.name}` cannot be located", 0)
            bare.add(position)
        if position in sheet.references and sheet.references[position][1].call is not None:
            continue  # a condition or a claim: neither is a column
        value = referred and len(column.parts) == 1
        loose = loose or not (value or place.aggregated or (place.nested and not referred))
    aggregates = any(is_aggregate(place.node) and not place.nested for place in places)
    tables = tuple(name for name in read_tables(tree) if not sheet.is_placeholder(name))
    return Snippet(_parts(sheet, seen, bare), aggregates, loose, tables)


def _find_refused(
    sheet: Sheet, tree: exp.Expr, places: Sequence[Surveyed], kind: SnippetKind
) -> _Fault | None:
    if isinstance(tree, exp.Star | exp.Tuple) or (
        isinstance(tree, exp.Column) and isinstance(tree.this, exp.Star)
    ):
        return _Fault("sql_not_expression", "a snippet is one value", 0)
    for place in places:
        node = place.node
        if isinstance(node, exp.Placeholder | exp.Parameter | exp.SessionParameter):
            return _Fault(
                "sql_not_expression", "a snippet has no bind parameters", 0,
                "write the value itself",
            )  # fmt: skip
        if place.nested:
            continue
        if isinstance(node, exp.PositionalColumn | exp.Columns | exp.Explode):
            return _Fault("sql_not_expression", "a snippet is one value of one row", 0)
        if isinstance(node, exp.Window):
            return _Fault("unsupported", "window functions are not supported in snippets", 0)
        if not is_aggregate(node):
            continue
        if kind == "row":
            return _Fault(
                "aggregate_not_allowed",
                f"`{_function_name(node)}` aggregates rows, but this is about one row",
                _offset(sheet, node),
                "use a measure for it: its type aggregates, its sql is about one row",
            )
        if place.aggregated:
            return _Fault(
                "nested_aggregate", "an aggregate inside an aggregate", _offset(sheet, node)
            )
    return None


def _offset(sheet: Sheet, node: exp.Expr) -> int:
    starts = [start for part in node.walk() if isinstance(start := part.meta.get("start"), int)]
    return sheet.original(min(starts)) if starts else 0


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"{node.name.upper()}()"
    return f"{node.sql_name()}()" if isinstance(node, exp.Func) else "aggregate"


def _parts(sheet: Sheet, seen: dict[int, bool], columns: set[int]) -> tuple[SnippetPart, ...]:
    parts: list[SnippetPart] = []
    text: list[str] = []

    def add(part: SnippetPart) -> None:
        if text:
            parts.append("".join(text))
            text.clear()
        parts.append(part)

    previous = 0
    for token in sheet.tokens():
        if sheet.is_gap(previous, token.start):
            text.append(" ")  # what was between: white space or a comment
        if token.start in sheet.references:
            end, reference = sheet.references[token.start]
            dotted = sheet.text[end : end + 100].lstrip().startswith(".")
            add(
                SnippetReference(
                    reference.path, reference.offset, dotted, seen[token.start], reference.call
                )
            )
        else:
            if token.start in columns:
                add(_OWN_COLUMN)
            text.append(sheet.text[token.start : token.end + 1])
        previous = token.end + 1
    if text:
        parts.append("".join(text))
    return tuple(parts)
