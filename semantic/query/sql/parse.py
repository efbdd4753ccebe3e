"""SQL to a `Query`: the part of PostgreSQL's SELECT that asks governed questions.

    SELECT carrier, DATE_TRUNC('month', flight_date) AS month, MEASURE(on_time_rate) AS rate
    FROM public.flight_operations
    WHERE origin = 'JFK' AND flight_date >= TIMESTAMP '2013-01-01'
    GROUP BY 1, 2 HAVING MEASURE(count) > 100 ORDER BY rate DESC LIMIT 100

The text is parsed, walked node by node, and thrown away: none of it reaches the database. What is
understood becomes names and values of a query, which the layer binds as it binds every other. What
is not understood is refused with a sentence; nothing of a statement is ever skipped. The parser
itself leaves things out here and there (the time zone of `DATE_TRUNC(…, …, 'Asia/Tokyo')`): so every
name and value of the text must also be found in what the parsed tree is written as.

A measure is asked as `MEASURE(m)`, or by the aggregate of its own type (`SUM` of a sum). `COUNT(*)`
is the view's count of rows. `SELECT COUNT(*) FROM (…)` around a SELECT counts its rows, all of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects import Postgres
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from semantic.catalog.catalog import Catalog
from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError
from semantic.query.sql.select import read_limit, read_select
from semantic.query.sql.statement import SqlColumn, SqlQuery
from semantic.query.sql.strict import check_only, refuse

MAXIMUM_TEXT: Final = 300_000
MAXIMUM_TOKENS: Final = 40_000
MAXIMUM_DEPTH: Final = 40
_EXAMPLE: Final = "write SELECT carrier, MEASURE(count) FROM flight_operations GROUP BY carrier"
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
# Words that nest without brackets: each deepens the parser's recursion by itself.
_NESTING: Final = frozenset(
    {TokenType.NOT, TokenType.DASH, TokenType.TILDE, TokenType.PLUS, TokenType.CASE}
)
MAXIMUM_NESTING: Final = 20
_KEPT: Final = frozenset({TokenType.STRING, TokenType.NUMBER, TokenType.VAR, TokenType.IDENTIFIER})
# Words of clauses that the tree says otherwise: TIMESTAMP WITH TIME ZONE, NULLS FIRST, LIMIT ALL.
_REWRITTEN: Final = frozenset({"zone", "nulls", "first", "last", "all", "without", "with", "time"})


def parse_sql(
    text: str, catalog: Catalog, *, visible: Catalog | None = None, timezone: str = "UTC"
) -> SqlQuery:
    """Return the query that a SELECT statement asks.

    `visible` is the model without what the caller may not see, if that is less than `catalog`.

    Raises:
        QuerySyntaxError: it is not one SELECT statement, or not well formed.
        UnknownMemberError: it names a view or a column that is none.
        QueryError: it aggregates or calculates what the model does not define.
        LimitExceededError: it is too long, too deep or asks for too much.
        UnsupportedError: it is SQL that is not answered here.
    """
    shown = catalog if visible is None else visible
    try:
        tokens = _tokenize(text)
        statement = _parse(text)
        inner = _find_counted(statement)
        asked = read_select(inner or statement, catalog, shown, timezone)
        _check_whole(tokens, statement)
    except RecursionError as deep:
        raise LimitExceededError("the statement is nested too deeply") from deep
    return asked if inner is None else _count(statement, asked)


def _parse(text: str) -> exp.Select:
    try:
        found = [item for item in sqlglot.parse(text, read="postgres") if item is not None]
    except SqlglotError as invalid:
        raise QuerySyntaxError(_explain(invalid), suggestion=_EXAMPLE) from invalid
    if len(found) != 1:
        raise QuerySyntaxError("exactly one statement is expected", suggestion=_EXAMPLE)
    statement = found[0]
    if not isinstance(statement, exp.Select):
        raise refuse(statement, "only a SELECT over one view is answered", _EXAMPLE)
    return statement


def _check_whole(tokens: Iterable[Token], statement: exp.Select) -> None:
    """Refuse a statement of which the parser left a name or a value out."""
    written = statement.sql(dialect="postgres", comments=False, unsupported_level=ErrorLevel.IGNORE)
    lost = _count_names(tokens) - _count_names(Postgres().tokenize(written))
    for name in lost:
        if name not in _REWRITTEN:
            raise UnsupportedError(
                f"{name[:100]} is not answered where it stands", suggestion=_EXAMPLE
            )


def _count_names(tokens: Iterable[Token]) -> Counter[str]:
    found: Counter[str] = Counter()
    before = None
    for token in tokens:
        if token.token_type in _KEPT:
            fraction = token.token_type == TokenType.NUMBER and before == TokenType.DOT
            found[f"0.{token.text}" if fraction else token.text.lower()] += 1
        before = token.token_type
    return found


def _tokenize(text: str) -> list[Token]:
    """Refuse what is no SELECT, or is nested deeper than anything that a person or tool writes."""
    if len(text) > MAXIMUM_TEXT:
        raise LimitExceededError(f"a statement has at most {MAXIMUM_TEXT:,} characters")
    if "\x00" in text:
        raise QuerySyntaxError("the statement holds a character that no text may have")
    try:
        tokens: list[Token] = Postgres().tokenize(text)
    except SqlglotError as invalid:
        raise QuerySyntaxError(_explain(invalid), suggestion=_EXAMPLE) from invalid
    if not tokens:
        raise QuerySyntaxError("the statement is empty", suggestion=_EXAMPLE)
    if tokens[0].token_type != TokenType.SELECT:
        raise UnsupportedError(
            f"{tokens[0].text[:50]}: only a SELECT over one view is answered", suggestion=_EXAMPLE
        )
    if len(tokens) > MAXIMUM_TOKENS:
        raise LimitExceededError(f"a statement has at most {MAXIMUM_TOKENS:,} words and signs")
    depth = run = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        run = run + 1 if token.token_type in _NESTING else 0
        if depth > MAXIMUM_DEPTH or run > MAXIMUM_NESTING:
            raise LimitExceededError("the statement is nested too deeply")
    return tokens


def _explain(invalid: SqlglotError) -> str:
    if isinstance(invalid, ParseError) and invalid.errors:
        first = invalid.errors[0]
        place = f"line {first.get('line')}, column {first.get('col')}"
        return f"the statement cannot be read at {place}: {first.get('description')}"
    return f"the statement cannot be read: {_COLOURS.sub('', str(invalid))[:200]}"


def _find_counted(statement: exp.Select) -> exp.Select | None:
    """Return the SELECT whose rows `SELECT COUNT(*) FROM (…)` counts, or None."""
    source = statement.args.get("from_")
    if source is None or not isinstance(source.this, exp.Subquery):
        return None
    asked = [item.this if isinstance(item, exp.Alias) else item for item in statement.expressions]
    match asked:
        case [exp.Count(this=exp.Star()) as count]:
            check_only(count, "this", "big_int")
        case _:
            return None  # refused as a sub-select where the SELECT is read
    subquery = source.this
    check_only(statement, "expressions", "from_", "limit")
    check_only(source, "this")
    check_only(subquery, "this", "alias")
    alias = subquery.args.get("alias")
    if alias is not None:
        check_only(alias, "this")
    if not isinstance(subquery.this, exp.Select):
        raise refuse(subquery, "only the rows of one SELECT are counted")
    return subquery.this


def _count(statement: exp.Select, counted: SqlQuery) -> SqlQuery:
    if read_limit(statement) == 0:
        raise refuse(statement, "LIMIT 0 of a count is not answered")
    name = str(statement.expressions[0].alias or "count")
    return dataclasses.replace(
        counted,
        query=dataclasses.replace(
            counted.query, order=(), limit=0, offset=0, unlimited=False, total=True
        ),
        columns=(SqlColumn(name, None),),
        kind="row_count",
        complete=False,
        inner_offset=counted.query.offset,
    )
