"""A typed measure: what it looks at in a row, and the aggregate of that."""

from __future__ import annotations

from semantic.catalog.catalog import Expression, Measure
from semantic.compile.dialect import Dialect
from semantic.compile.scope import Scope
from semantic.errors import InternalError


def operand(scope: Scope, leaf: Measure) -> str:
    """Return what a typed leaf aggregates in one row; null where its filters do not hold."""
    if isinstance(leaf.sql, Expression):
        text = f"({scope.expression(leaf.sql)})"
    elif leaf.type == "count":
        text = "1"
    else:
        raise InternalError(f"{leaf.cube}.{leaf.name} has no sql")
    if leaf.filters:
        conditions = " AND ".join(f"({scope.expression(item)})" for item in leaf.filters)
        text = f"CASE WHEN {conditions} THEN {text} END"
    return text


def aggregate(dialect: Dialect, kind: str, text: str) -> str:
    """Return the aggregate of a measure's type."""
    match kind:
        case "count_distinct" | "count_distinct_approx":
            return f"count(DISTINCT {text})"
        case "sum":
            return dialect.sum(text)
        case "avg":
            return dialect.average(text)
        case "min" | "max" | "count":
            return f"{kind}({text})"
        case _:
            return text
