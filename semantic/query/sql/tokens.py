"""SQL text to tokens. What is no token of the small language that is answered is refused here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from semantic.errors import LimitExceededError, QuerySyntaxError, UnsupportedError

TokenKind = Literal["word", "quoted", "text", "number", "sign", "end"]
LONGEST: Final = 200_000

_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n\f]+)
    | (?P<comment>--|/\*)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![0-9A-Za-z_.$])
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*+)(?!['$&])
    | (?P<sign><=|>=|<>|!=|::|\|\||[=<>().,*;+/%-])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a quoted name, a text, a number, a sign, or the end; `position` counts from 1."""

    kind: TokenKind
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The word in capitals, the sign, or "" when it is neither."""
        match self.kind:
            case "word":
                return self.text.upper()
            case "sign":
                return self.text
            case _:
                return ""


def tokenize(sql: str) -> tuple[Token, ...]:
    """Return the tokens, the last one an `end`.

    Raises:
        QuerySyntaxError: there are characters that begin no token.
        UnsupportedError: there is a comment.
        LimitExceededError: the text is longer than 200,000 characters.
    """
    if len(sql) > LONGEST:
        raise LimitExceededError(
            f"the statement has {len(sql):,} characters; at most {LONGEST:,} are read",
            suggestion="filter by fewer values",
        )
    found: list[Token] = []
    place = 0
    while place < len(sql):
        match = _TOKEN.match(sql, place)
        if match is None:
            raise QuerySyntaxError(
                f"cannot read the SQL at character {place + 1}: {sql[place : place + 20]!r}"
            )
        text = match.group()
        match match.lastgroup:
            case "comment":
                raise UnsupportedError(
                    f"the SQL has a comment at character {place + 1}", suggestion="remove it"
                )
            case "text":
                found.append(Token("text", text[1:-1].replace("''", "'"), place + 1))
            case "quoted":
                found.append(Token("quoted", text[1:-1].replace('""', '"'), place + 1))
            case "number":
                found.append(Token("number", text, place + 1))
            case "word":
                found.append(Token("word", text, place + 1))
            case "sign":
                found.append(Token("sign", text, place + 1))
            case _:
                pass
        place = match.end()
    return (*found, Token("end", "", len(sql) + 1))
