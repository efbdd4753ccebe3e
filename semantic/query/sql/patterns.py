"""LIKE patterns that the layer's filters can say: a text inside, at the start or at the end.

The filters ignore case, as ILIKE does and LIKE does not. So LIKE is answered only where case cannot
matter, or where the pattern is no pattern at all; ILIKE without a wildcard only likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from semantic.errors import UnsupportedError
from semantic.query.sql.strict import refuse


@dataclass(frozen=True, slots=True)
class LikePattern:
    """A text, and where it must stand."""

    text: str
    place: Literal["whole", "inside", "start", "end"]


def read_pattern(text: str, node: exp.Expr, *, cased: bool) -> LikePattern | None:
    r"""Return what a pattern asks, or None when every text matches it.

    `\` makes the next character stand for itself, as PostgreSQL has it.

    Raises:
        UnsupportedError: the pattern asks something that filters cannot say.
    """
    parts = _split(text, node)
    before, after = parts[0] == "", parts[-1] == ""
    inner = [part for part in parts if part]
    if len(parts) > 1 and not inner:
        return None
    if len(inner) > 1:
        raise refuse(
            node,
            "a pattern has % at its start, at its end, or both",
            "write two conditions, such as ILIKE 'a%' AND ILIKE '%b'",
        )
    literal = inner[0] if inner else ""
    caseless = literal.lower() == literal.upper()
    if len(parts) == 1:
        if not cased and not caseless:
            raise refuse(node, "ILIKE without % is not answered", "use = with the exact text")
        return LikePattern(literal, "whole")
    if cased and not caseless:
        raise refuse(node, "LIKE, which minds case, is not answered", "use ILIKE")
    if before and after:
        return LikePattern(literal, "inside")
    return LikePattern(literal, "end" if before else "start")


def _split(text: str, node: exp.Expr) -> list[str]:
    """Return the texts between the wildcards, with escapes undone."""
    parts = [""]
    characters = iter(text)
    for character in characters:
        match character:
            case "%":
                parts.append("")
            case "_":
                raise _refuse_any(node)
            case "\\":
                following = next(characters, None)
                if following is None:
                    raise refuse(node, "the pattern ends in a backslash")
                parts[-1] += following
            case _:
                parts[-1] += character
    return parts


def _refuse_any(node: exp.Expr) -> UnsupportedError:
    return refuse(
        node,
        "the wildcard _ is not answered",
        "write \\_ for the character itself, or use % at the start or the end",
    )
