"""Computes what a condition compares with before it becomes a filter.

    WHERE sold_at >= now() - interval '7 days'   WHERE city IN (SELECT city FROM … LIMIT 5)

Filters take values. So an expression without columns, and a sub-select that does not depend on the
row, is answered first and its value written in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from api.postgres.errors import SqlError
from api.postgres.query.parameters import split_array, write_value
from api.postgres.types import TEXT
from semantic.errors import DucatError, LimitExceededError
from semantic.query.sql.literals import read_value

Evaluate = Callable[[exp.Query], pa.Table]
MOST_VALUES: Final = 10_000


def fold_conditions(select: exp.Select, evaluate: Evaluate, with_: exp.With | None) -> None:
    """Replace what can be computed in the WHERE of a SELECT by its value.

    Raises:
        DucatError: it cannot be computed.
    """
    where = select.args.get("where")
    if where is None:
        return
    _fold_queries(where, evaluate, with_)
    _fold_arrays(where)
    found = _constants(where.this)
    if not found:
        return
    asked = exp.select(*[exp.alias_(node.copy(), f"v{at}") for at, node in enumerate(found)])
    table = evaluate(asked)
    for at, node in enumerate(found):
        node.replace(write_value(TEXT, _only(table, at)))


def _fold_queries(  # noqa: C901 -- each place in which a sub-select can stand
    where: exp.Expr, evaluate: Evaluate, with_: exp.With | None
) -> None:
    def run(query: exp.Query) -> pa.Table:
        asked = query.copy()
        if with_ is not None and asked.args.get("with_") is None and isinstance(asked, exp.Select):
            asked.set("with_", with_.copy())
        return evaluate(asked)

    for node in list(where.find_all(exp.In)):
        query = node.args.get("query")
        inner = query.this if isinstance(query, exp.Subquery) else query
        if not isinstance(inner, exp.Query):
            continue
        table = run(inner)
        if table.num_columns != 1:
            raise SqlError("subquery has too many columns", sqlstate="42601")
        values = set(table.column(0).to_pylist())
        if len(values) > MOST_VALUES:
            raise LimitExceededError(f"IN takes at most {MOST_VALUES} values")
        node.set("query", None)
        if values:
            node.set("expressions", [write_value(TEXT, value) for value in values])
        else:
            node.replace(exp.false())
    for exists in list(where.find_all(exp.Exists)):
        inner = exists.this
        if isinstance(inner, exp.Query):
            exists.replace(exp.Boolean(this=run(inner).num_rows > 0))
    for scalar in list(where.find_all(exp.Subquery)):
        if isinstance(scalar.this, exp.Query) and scalar.find_ancestor(exp.Subquery) is None:
            table = run(scalar.this)
            if table.num_rows > 1:
                raise SqlError(
                    "more than one row returned by a subquery used as an expression",
                    sqlstate="21000",
                )
            value = table.column(0)[0].as_py() if table.num_rows else None
            scalar.replace(write_value(TEXT, value))


def _fold_arrays(where: exp.Expr) -> None:
    """Write `x = ANY (ARRAY[…])` as IN and `x <> ALL (ARRAY[…])` as NOT IN: they mean the same."""
    for node in list(where.find_all(exp.EQ, exp.NEQ)):
        word = exp.Any if isinstance(node, exp.EQ) else exp.All
        listed = node.expression
        if not isinstance(listed, word):
            continue
        array = listed.this.unnest()
        while isinstance(array, exp.Cast):
            array = array.this
        if isinstance(array, exp.Literal) and array.is_string:
            items = [write_value(TEXT, item) for item in split_array(array.name)]
        elif isinstance(array, exp.Array):
            items = list(array.expressions)
        else:
            continue
        made: exp.Expr = exp.In(this=node.this, expressions=items) if items else exp.false()
        node.replace(exp.Not(this=made) if isinstance(node, exp.NEQ) else made)


def _constants(node: exp.Expr) -> list[exp.Expr]:
    """Return the largest parts without columns that are not values already."""
    if isinstance(node, exp.Connector | exp.Predicate | exp.Paren | exp.Not | exp.Between | exp.In):
        return [found for child in node.iter_expressions() for found in _constants(child)]
    if not isinstance(node, exp.Func | exp.Binary | exp.Interval | exp.AtTimeZone | exp.Neg):
        return []
    if node.find(exp.Column, exp.Star, exp.Query, exp.AggFunc) is not None or _is_value(node):
        return []
    if any(call.name.lower() == "measure" for call in node.find_all(exp.Anonymous)):
        return []
    return [node]


def _is_value(node: exp.Expr) -> bool:
    try:
        return read_value(node) is not None
    except DucatError:
        return False


def _only(table: pa.Table, at: int) -> Any:
    return table.column(at)[0].as_py()
