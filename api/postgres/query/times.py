"""Expressions over a time that depend on a cut of it alone: the year, the day, a month as text.

They are asked of the layer at that cut, so that the groups are as coarse as the statement's own.
"""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from api.postgres.query.extract import name_part
from semantic.query.sql.terms import Scope, Term

_PARTS: Final = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day",
    "hour": "hour", "minute": "minute", "dow": "day", "isodow": "day", "doy": "day",
    "decade": "year", "century": "year", "millennium": "year", "isoyear": "day",
}  # fmt: skip
"""Parts and the cut that they depend on. Seconds have a fraction, and so no cut of theirs."""

_FINEST: Final = (
    ("S", "second"), ("M", "minute"), ("H", "hour"), ("I", "hour"), ("p", "hour"),
    ("d", "day"), ("j", "day"), ("a", "day"), ("A", "day"), ("u", "day"), ("w", "day"),
    ("-d", "day"), ("m", "month"), ("b", "month"), ("B", "month"), ("-m", "month"), ("Y", "year"),
    ("y", "year"),
)  # fmt: skip
_FORMAT: Final = re.compile(r"%(-?[A-Za-z])")
_TIMES: Final = (
    exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ, exp.DType.DATE,
)  # fmt: skip


def find_time(scope: Scope, node: exp.Expr, granularity: str) -> Term | None:
    """Return the cut of the time column that a node is, cast or not, or None."""
    node = node.unnest()
    while isinstance(node, exp.Cast) and node.to.this in _TIMES:
        # A day is the same for a time and its date; what is finer is not.
        if node.to.this == exp.DType.DATE and granularity in {"hour", "minute", "second"}:
            return None
        node = node.this.unnest()
    if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star) or not scope.has(node):
        return None
    term = scope.find(node)
    if term.kind != "dimension" or granularity not in term.granularities:
        return None
    return Term(term.member, "dimension", "time", granularity)


def find_cut(scope: Scope, node: exp.Expr) -> Term | None:
    """Return the cut time that DATE_TRUNC is, or None."""
    unit = node.args.get("unit")
    if node.args.get("zone") is not None or not isinstance(unit, exp.Var | exp.Literal):
        return None
    return find_time(scope, node.this, unit.name.lower())


def find_part(scope: Scope, node: exp.Expr) -> tuple[str, Term] | None:
    """Return the cut that an expression depends on, and the argument that holds it, or None."""
    match node:
        case exp.Extract():
            granularity = _PARTS.get(name_part(node))
            place = "expression"
        case exp.TimeToStr():
            granularity, place = _finest(node), "this"
        case exp.Cast() if node.to.this == exp.DType.DATE:
            granularity, place = "day", "this"
        case _:
            return None
    if granularity is None:
        return None
    term = find_time(scope, node.args[place], granularity)
    return None if term is None else (place, term)


def _finest(node: exp.TimeToStr) -> str | None:
    form = node.args.get("format")
    if not isinstance(form, exp.Literal):
        return None
    found = set(_FORMAT.findall(form.name))
    if not found <= {letter for letter, _ in _FINEST}:
        return None
    return next((granularity for letter, granularity in _FINEST if letter in found), None)
