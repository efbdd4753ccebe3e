"""SQL text to a tree, with limits that hold before anything is built from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects import Postgres
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from api.postgres.errors import SqlError
from api.postgres.query.extract import read_date_part
from semantic.errors import LimitExceededError, UnsupportedError

MAXIMUM_TEXT: Final = 300_000
MAXIMUM_TOKENS: Final = 40_000
MAXIMUM_DEPTH: Final = 60
MAXIMUM_STATEMENTS: Final = 100
MAXIMUM_NESTING: Final = 20
_SHORT: Final = 4_000
_REMEMBERED: Final = 512
_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_NESTING: Final = frozenset(
    {TokenType.NOT, TokenType.DASH, TokenType.TILDE, TokenType.PLUS, TokenType.CASE}
)
_KEPT: Final = frozenset({TokenType.STRING, TokenType.NUMBER, TokenType.IDENTIFIER, TokenType.VAR})
# Words of syntax that the tree writes otherwise, or not at all.
_REWRITTEN: Final = frozenset(
    {"zone", "nulls", "first", "last", "all", "without", "with", "time", "timestamp", "operator",
     "pg_catalog", "collate", "default", "lateral", "precision", "varying", "outer", "materialized",
     "rows", "row", "only", "next"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement of a text: its words in capitals as far as they say what it is, and itself."""

    text: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The first words, in capitals."""
        return tuple(token.text.upper() for token in self.tokens[:4])


class _Parser(PostgresParser):
    def _parse_date_part(self) -> exp.Expr:
        return read_date_part(self._parse_csv(self._parse_bitwise))


class _Dialect(Postgres):  # type: ignore[misc]  # a metaclass makes it, and says nothing of types
    """PostgreSQL's SQL, in which `date_part` is not EXTRACT: its numbers are of another type."""

    Parser = _Parser


def split_statements(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text, without empty ones.

    Raises:
        SqlError: the text cannot be cut into words.
        LimitExceededError: it is too long or too deep.
    """
    if len(text) > MAXIMUM_TEXT:
        raise LimitExceededError(f"a statement has at most {MAXIMUM_TEXT:,} characters")
    return _split_short(text) if len(text) <= _SHORT else _split(text)


def _split(text: str) -> tuple[Statement, ...]:
    try:
        tokens: list[Token] = Postgres().tokenize(text)
    except SqlglotError as invalid:
        raise SqlError(f"syntax error: {_words(invalid)}", sqlstate="42601") from invalid
    if len(tokens) > MAXIMUM_TOKENS:
        raise LimitExceededError(f"a statement has at most {MAXIMUM_TOKENS:,} words and signs")
    _check_depth(tokens)
    found: list[Statement] = []
    part: list[Token] = []
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            _add(found, text, part)
            part = []
        else:
            part.append(token)
    _add(found, text, part)
    if len(found) > MAXIMUM_STATEMENTS:
        raise LimitExceededError(f"at most {MAXIMUM_STATEMENTS} statements at once")
    return tuple(found)


_split_short = lru_cache(_REMEMBERED)(_split)


def _add(found: list[Statement], text: str, part: list[Token]) -> None:
    if part:
        found.append(Statement(text[part[0].start : part[-1].end + 1], tuple(part)))


def _check_depth(tokens: Iterable[Token]) -> None:
    depth = run = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        run = run + 1 if token.token_type in _NESTING else 0
        if depth > MAXIMUM_DEPTH or run > MAXIMUM_NESTING:
            raise LimitExceededError("the statement is nested too deeply")


def parse_query(statement: Statement) -> exp.Query:
    """Return the tree of a SELECT, VALUES or set operation; names without quotes in lower case.

    Texts that came before give the tree of before: whoever changes one must copy it.

    Raises:
        SqlError: it is not well formed.
        UnsupportedError: it is no query, or the parser left something of it out.
        LimitExceededError: it is nested too deeply.
    """
    return _parse_short(statement) if len(statement.text) <= _SHORT else _parse(statement)


def _parse(statement: Statement) -> exp.Query:
    try:
        parsed = sqlglot.parse(_plain_types(statement), read=_Dialect)
    except RecursionError as deep:
        raise LimitExceededError("the statement is nested too deeply") from deep
    except SqlglotError as invalid:
        raise _syntax(invalid, statement.text) from invalid
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as defect:
        # The parser's own, on text that is hardly SQL.
        raise SqlError("syntax error: the statement cannot be read", sqlstate="42601") from defect
    tree = parsed[0] if len(parsed) == 1 else None
    if isinstance(tree, exp.Values):
        tree.set("alias", exp.TableAlias(this=exp.to_identifier("values")))
        tree = exp.select("*").from_(tree)
    if not isinstance(tree, exp.Query):
        raise UnsupportedError("only queries are answered", suggestion="write SELECT … FROM …")
    try:
        _check_whole(statement.tokens, tree)
        return normalize_identifiers(tree, dialect="postgres")
    except RecursionError as deep:
        raise LimitExceededError("the statement is nested too deeply") from deep


_parse_short = lru_cache(_REMEMBERED)(_parse)


def _plain_types(statement: Statement) -> str:
    """Blank the schema of a type after `::`, which the parser does not know: places stay."""
    text, start = statement.text, statement.tokens[0].start
    tokens = statement.tokens
    for before, schema, dot in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (
            before.token_type in {TokenType.DCOLON, TokenType.ALIAS}
            and dot.token_type == TokenType.DOT
            and schema.text.lower() == "pg_catalog"
        ):
            first, end = schema.start - start, dot.end + 1 - start
            text = text[:first] + " " * (end - first) + text[end:]
    for before, name, bracket in zip(tokens, tokens[1:], tokens[2:], strict=False):
        plain = _ARRAYS.get(name.text.lower())
        is_type = before.token_type in {TokenType.DCOLON, TokenType.DOT}
        if plain is not None and is_type and bracket.token_type == TokenType.L_BRACKET:
            first, end = name.start - start, name.end + 1 - start
            text = text[:first] + plain + text[end:]
    return text


def _syntax(invalid: SqlglotError, text: str) -> SqlError:
    if not isinstance(invalid, ParseError) or not invalid.errors:
        return SqlError(f"syntax error: {_words(invalid)}", sqlstate="42601")
    first = invalid.errors[0]
    line, column = first.get("line"), first.get("col")
    place = None
    if isinstance(line, int) and isinstance(column, int):
        before = sum(len(part) + 1 for part in text.split("\n")[: line - 1])
        # The column is that of the word's end.
        place = max(1, before + column - len(str(first.get("highlight") or "")) + 1)
    near = str(first.get("highlight") or "")[:50]
    return SqlError(
        f'syntax error at or near "{near}": {first.get("description")}',
        sqlstate="42601",
        position=place,
    )


def _words(invalid: SqlglotError) -> str:
    return str(invalid).split("\n", 1)[0][:200]


def _check_whole(tokens: Iterable[Token], tree: exp.Query) -> None:
    """Refuse a statement of which the parser left a name or a value out."""
    written = tree.sql(dialect="postgres", comments=False, unsupported_level=ErrorLevel.IGNORE)
    lost = _count(tokens) - _count(Postgres().tokenize(written))
    for name in lost:
        if name not in _REWRITTEN:
            raise UnsupportedError(f"{name[:100]} is not answered where it stands")


def _count(tokens: Iterable[Token]) -> Counter[str]:
    """Count names and values. Names of functions are left out: the tree has its own for some."""
    found: Counter[str] = Counter()
    listed = [*tokens, None]
    before = None
    for token, following in pairwise(listed):
        if token is None:
            continue
        kind = token.token_type
        is_call = following is not None and following.token_type == TokenType.L_PAREN
        if kind in _KEPT and not (is_call and kind == TokenType.VAR):
            fraction = kind == TokenType.NUMBER and before == TokenType.DOT
            text = f"0.{token.text}" if fraction else token.text.lower()
            found[_spell(text)] += 1
        before = kind
    return found


# Arrays of these the parser does not know; these it knows, and they are as long. Nobody asks bits.
_ARRAYS: Final = {"oid": "bit", "name": "text", "regtype": "text   ", "regclass": "text    "}
_UNITS: Final = {"years": "year", "quarters": "quarter", "months": "month", "mon": "month",
                 "mons": "month", "weeks": "week", "days": "day", "hours": "hour", "hrs": "hour",
                 "minutes": "minute", "mins": "minute", "min": "minute", "seconds": "second",
                 "secs": "second", "sec": "second", "float8": "double", "float4": "real",
                 "int4": "int", "int8": "bigint", "int2": "smallint", "bool": "boolean",
                 "numeric": "decimal", "oid": "bit", "name": "text", "integer": "int", "timestamptz": "timestamp"}  # fmt: skip


def _spell(text: str) -> str:
    """Return one spelling for words that the tree spells anew."""
    number, _, unit = text.partition(" ")
    if unit and number.lstrip("-").isdigit():
        return f"{number} {_UNITS.get(unit, unit)}"
    return _UNITS.get(text, text)
