r"""References in a snippet: `{CUBE}.column`, `{CUBE.member}`, `{other.member}`, `{time.month}`.

A snippet is text with names in braces. It is scanned once, from brace to brace: `\{` and `\}`
are literal braces, any other `{` opens a reference that must close and must be a dotted name.
What a name refers to is decided when all cubes are known (semantic.catalog.resolve).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from semantic.errors import Problem
from semantic.spec.context_references import ContextCall, is_call, read_call
from semantic.spec.reader import NAME, Text

_SHOWN: Final = 60
_SPECIAL: Final = re.compile(r"\\[{}]|[{}]")
_CALLS: Final = "write {FILTER_PARAMS.cube.member.filter('column')} or {cube.sql()}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A dotted name in braces, and where it stands in the snippet's text.

    With `call` it is no name: `path` is then only what messages show.
    """

    path: tuple[str, ...]
    offset: int
    call: ContextCall | None = None


@dataclass(frozen=True, slots=True)
class LiteralText:
    """Text between references, its escapes resolved, and where it starts."""

    text: str
    offset: int


def scan_references(
    snippet: Text, problems: list[Problem]
) -> tuple[LiteralText | Reference, ...] | None:
    """Return the text and the references of a snippet in order; None when it is malformed."""
    text = snippet.value
    special = _SPECIAL.search(text)
    if special is None:
        return (LiteralText(text, 0),) if text else ()
    parts: list[LiteralText | Reference] = []
    position = 0
    while special is not None:
        at = special.start()
        _add_literal(parts, text[position:at], position)
        if text[at] == "\\":
            _add_literal(parts, text[at + 1], at)
            position = at + 2
        elif text[at] == "{":
            found = _read_braces(text, at)
            if len(found) == 3:  # noqa: PLR2004 - a problem
                code, message, hint = found
                problems.append(Problem(code, message, snippet.node.place(at), hint))
                return None
            reference, position = found
            parts.append(reference)
        else:
            problems.append(
                Problem(
                    "reference_syntax", "`}` without a `{` before it",
                    snippet.node.place(at), "write `\\}` for a literal brace",
                )
            )  # fmt: skip
            return None
        special = _SPECIAL.search(text, position)
    _add_literal(parts, text[position:], position)
    return tuple(parts)


def _add_literal(parts: list[LiteralText | Reference], text: str, offset: int) -> None:
    """Add text that starts at `offset`, to the text before it when nothing stands between."""
    if not text:
        return
    last = parts[-1] if parts else None
    if isinstance(last, LiteralText):
        parts[-1] = LiteralText(last.text + text, last.offset)
    else:
        parts.append(LiteralText(text, offset))


def _read_braces(text: str, position: int) -> tuple[Reference, int] | tuple[str, str, str | None]:
    """Return what the braces at `position` hold and where they end, or what is wrong."""
    if is_call(text, position):
        found = read_call(text, position)
        if isinstance(found, str):
            return "reference_syntax", found, _CALLS
        call, end = found
        shown = text[position + 1 : end - 1].strip()[:_SHOWN]
        return Reference((shown,), position, call), end
    close = text.find("}", position)
    inside = text[position + 1 : close] if close >= 0 else text[position + 1 :]
    problem = _check(inside, closed=close >= 0)
    if problem is not None:
        return problem
    return Reference(tuple(name.strip() for name in inside.split(".")), position), close + 1


def _check(inside: str, *, closed: bool) -> tuple[str, str, str | None] | None:
    shown = inside.strip()[:_SHOWN]
    if not closed:
        return (
            "reference_syntax", f"`{{{shown}` is not closed", "write `\\{` for a literal brace",
        )  # fmt: skip
    names = [name.strip() for name in inside.split(".")]
    if not all(NAME.match(name) for name in names):
        return (
            "reference_syntax", f"`{{{shown}}}` is not a reference",
            "write {CUBE}.column, {CUBE.member}, {cube.member}, or `\\{` for a literal brace",
        )  # fmt: skip
    return None
