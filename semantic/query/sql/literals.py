"""Values written in SQL, as text that the binder reads for a member's type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from sqlglot import exp

from semantic.errors import QuerySyntaxError
from semantic.query.sql.strict import check_only, refuse, show
from semantic.query.sql.terms import Term

_DATE: Final = r"\d{4}-\d{2}-\d{2}"
_CLOCK: Final = r"\d{2}:\d{2}:\d{2}"
_DAY: Final = re.compile(_DATE)
_MOMENT: Final = re.compile(rf"{_DATE}(?:[ T]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d{{1,6}})?)?)?")
_ZONED: Final = re.compile(
    rf"(?:{_MOMENT.pattern})|{_DATE}[ T]{_CLOCK}(?:\.\d{{1,6}})?(?:[Zz]|[+-]\d{{2}}(?::?\d{{2}})?)"
)
_HOURS: Final = re.compile(r"[+-]\d{2}")
# TO_TIMESTAMP and TO_DATE: the patterns that are read, as sqlglot writes them.
_PATTERNS: Final = {
    "%Y-%m-%d": _DAY,
    "%Y-%m-%d %H:%M:%S": re.compile(rf"{_DATE} {_CLOCK}"),
    "%Y-%m-%d %H:%M:%S.%f": re.compile(rf"{_DATE} {_CLOCK}\.\d{{1,6}}"),
}
_NUMBER: Final = re.compile(r"(?:\d{1,60}\.?\d{0,60}|\.\d{1,60})(?:[eE][+-]?\d{1,3})?")
_TIMESTAMPS: Final = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ)
_ZONED_TIMESTAMPS: Final = (exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ)


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was written; `text` is what the binder reads, and is empty for a null."""

    kind: Literal["text", "number", "boolean", "time", "null"]
    text: str


NULL: Final = Value("null", "")


def read_value(node: exp.Expr) -> Value | None:
    """Return the value that a node writes, or None when it writes none.

    Raises:
        QuerySyntaxError: it is a date or a number that cannot be.
        UnsupportedError: it is a value of a kind that is not answered.
    """
    node = node.unnest()
    match node:
        case exp.Null():
            return NULL
        case exp.Boolean():
            return Value("boolean", "true" if node.this else "false")
        case exp.Literal() if node.is_string:
            return Value("text", str(node.this))
        case exp.Literal():
            return Value("number", _check(_NUMBER, str(node.this), node))
        case exp.Neg() if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return Value("number", "-" + _check(_NUMBER, str(node.this.this), node))
        case exp.Cast():
            return _read_cast(node)
        case exp.StrToTime() | exp.StrToDate():
            return _read_formatted(node)
        case _:
            return None


def fit_value(value: Value, term: Term, node: exp.Expr) -> str:
    """Return the text of a value that may be compared with a member of the term's type.

    Raises:
        QuerySyntaxError: a value of that kind cannot be compared with the member.
    """
    allowed: frozenset[str]
    match term.type:
        case "time":
            allowed = frozenset({"time", "text"})
        case "string" | "geo" | "switch":
            allowed = frozenset({"text"})
        case "boolean":
            allowed = frozenset({"boolean", "text", "number"})
        case "min" | "max":
            allowed = frozenset({"number", "text", "time"})
        case _:
            allowed = frozenset({"number", "text"})
    if value.kind not in allowed:
        raise QuerySyntaxError(
            f"{show(node)}: {term.short} is of type {term.type}",
            suggestion="write a text in single quotes" if "text" in allowed else None,
        )
    if term.type == "time" and value.kind == "text":
        return _check(_MOMENT, value.text, node)
    return value.text


def _read_cast(node: exp.Cast) -> Value | None:
    check_only(node, "this", "to")
    inner = node.this
    if not isinstance(inner, exp.Literal) or not inner.is_string:
        return None
    text, target = str(inner.this), node.to.this
    check_only(node.to, "this", "nested")
    if target == exp.DType.DATE:
        return Value("time", _check(_DAY, text, node))
    if target in _TIMESTAMPS:
        return Value("time", _check(_MOMENT, text, node))
    if target in _ZONED_TIMESTAMPS:
        checked = _check(_ZONED, text, node)
        short = _HOURS.fullmatch(checked[-3:]) if ":" in checked else None
        return Value("time", f"{checked}:00" if short else checked)
    raise refuse(node, "a value of this type is not answered", "write a text, number or timestamp")


def _read_formatted(node: exp.Expr) -> Value:
    check_only(node, "this", "format")
    inner, form = node.this, node.args.get("format")
    if not isinstance(inner, exp.Literal) or not isinstance(form, exp.Literal):
        raise refuse(node, "both parts must be texts in single quotes")
    pattern = _PATTERNS.get(str(form.this))
    if pattern is None:
        raise refuse(
            node,
            "this pattern of a date is not answered",
            "use 'YYYY-MM-DD HH24:MI:SS.US' or 'YYYY-MM-DD'",
        )
    if isinstance(node, exp.StrToDate) and pattern is not _DAY:
        raise refuse(node, "TO_DATE takes the pattern 'YYYY-MM-DD'")
    return Value("time", _check(pattern, str(inner.this), node))


def _check(pattern: re.Pattern[str], text: str, node: exp.Expr) -> str:
    if not pattern.fullmatch(text) or not text.isascii():
        raise QuerySyntaxError(
            f"{show(node)} cannot be read as a date, time or number",
            suggestion="write '2024-01-31', '2024-01-31 23:59:59.999999' or 12.5",
        )
    return text
