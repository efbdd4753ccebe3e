"""One SELECT over one view to a query.

Names are looked up as PostgreSQL does: WHERE, HAVING, GROUP BY and expressions see the view's
columns first; a bare name in ORDER BY is an alias first. So `DATE_TRUNC('month', t) AS t … ORDER BY
t` orders by the month, and `GROUP BY t` groups by the column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from semantic.catalog.catalog import Catalog
from semantic.errors import LimitExceededError, QueryError, QuerySyntaxError, UnknownMemberError
from semantic.query.query import MAXIMUM_LIMIT, Order, Query, TimeDimension
from semantic.query.ranges import take_bounds
from semantic.query.sql.filters import Filters
from semantic.query.sql.statement import SqlColumn, SqlQuery
from semantic.query.sql.strict import check_only, refuse, show
from semantic.query.sql.terms import Scope, Term, pick_name

MAXIMUM_COLUMNS: Final = 200
_LARGEST: Final = 2**63 - 1
_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class _Output:
    name: str
    term: Term


def read_select(select: exp.Select, catalog: Catalog, visible: Catalog, timezone: str) -> SqlQuery:
    """Return the query that a SELECT over a view asks.

    Raises:
        QueryError, UnsupportedError: it cannot be answered, and why.
    """
    parts = ("expressions", "distinct", "from_", "where", "group", "having", "order")
    check_only(select, "kind", *parts, "limit", "offset")
    if select.args.get("kind"):
        raise refuse(select, "SELECT AS is not answered")
    scope = Scope(catalog, visible, _read_table(select))
    outputs = _read_outputs(select, scope)
    groups = _read_groups(select, scope, outputs)
    keys = _read_order(select, scope, outputs, groups)
    filters = Filters(scope)
    where, having = select.args.get("where"), select.args.get("having")
    if where is not None:
        filters.add_where(where.this)
    if having is not None:
        filters.add_having(having.this)
    times = tuple(
        TimeDimension(term.member, term.granularity)
        for term in groups
        if term.granularity is not None
    )
    conditions, times = take_bounds(filters.filters, times, filters.times, timezone)
    limit, offset = read_limit(select), _read_count(select.args.get("offset")) or 0
    complete = limit is None or limit > MAXIMUM_LIMIT
    terms = [*groups, *(output.term for output in outputs), *(term for term, _ in keys)]
    return SqlQuery(
        query=Query(
            measures=_unique(term.member for term in terms if term.kind == "measure"),
            dimensions=_unique(term.member for term in groups if term.granularity is None),
            time_dimensions=times,
            filters=conditions,
            segments=_unique(filters.segments),
            # Without ORDER BY any order is right: the layer's own makes pages and cuts repeatable.
            order=tuple(Order(term.source, descending) for term, descending in keys) or None,
            limit=MAXIMUM_LIMIT + 1 if complete else limit,
            offset=offset,
            timezone=timezone,
            unlimited=complete,
        ),
        columns=tuple(SqlColumn(output.name, output.term.source) for output in outputs),
        complete=complete,
        inner_limit=limit,
    )


def read_limit(select: exp.Select) -> int | None:
    """Return the rows that LIMIT allows, or None without LIMIT."""
    return _read_count(select.args.get("limit"))


def _unique(names: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))  # type: ignore[call-overload]


def _read_table(select: exp.Select) -> exp.Table:
    source = select.args.get("from_")
    if source is None:
        raise refuse(select, "there is no FROM", "write SELECT MEASURE(…) FROM a view")
    check_only(source, "this")
    match source.this:
        case exp.Table() as table:
            return table
        case exp.Subquery() | exp.Select():
            raise refuse(
                source.this,
                "a sub-select is not answered",
                "ask the view itself; only SELECT COUNT(*) FROM (…) may stand around it",
            )
        case other:
            raise refuse(other, "only views can be read")


def _read_outputs(select: exp.Select, scope: Scope) -> list[_Output]:
    if len(select.expressions) > MAXIMUM_COLUMNS:
        raise LimitExceededError(f"at most {MAXIMUM_COLUMNS} columns are allowed")
    outputs = []
    for item in select.expressions:
        if isinstance(item, exp.Alias):
            check_only(item, "this", "alias")
            outputs.append(_Output(str(item.alias), scope.read(item.this)))
        else:
            term = scope.read(item)
            outputs.append(_Output("date_trunc" if term.granularity else term.short, term))
    for output in outputs:
        if output.term.kind == "segment":
            raise QueryError(
                f"{output.term.short} is a segment and cannot be a column of the answer",
                suggestion=f"write WHERE {output.term.short}",
            )
        if any(other.name == output.name and other.term != output.term for other in outputs):
            raise QuerySyntaxError(
                f"two different columns are called {output.name[:100]}",
                suggestion="give each a name of its own with AS",
            )
    if not outputs:
        raise refuse(select, "it asks for no columns")
    return outputs


def _read_groups(select: exp.Select, scope: Scope, outputs: list[_Output]) -> list[Term]:
    """Return what the rows stand for, after checking that each column is one value per row."""
    group, distinct = select.args.get("group"), select.args.get("distinct")
    shown = list(dict.fromkeys(item.term for item in outputs if item.term.kind == "dimension"))
    measured = any(item.term.kind == "measure" for item in outputs)
    if distinct is not None:
        check_only(distinct)
    if group is None:
        if not shown or (
            distinct is not None and not measured and select.args.get("having") is None
        ):
            return shown
        if measured or select.args.get("having") is not None:
            raise QuerySyntaxError(
                f"{shown[0].short} must appear in GROUP BY, as the answer has measures"
            )
        if _is_never(select):
            return shown
        raise refuse(
            select,
            "a list of single rows is not answered: every answer is grouped",
            f"add GROUP BY {', '.join(term.short for term in shown[:5])}, or SELECT DISTINCT",
        )
    check_only(group, "expressions")
    groups = list(dict.fromkeys(_read_group(item, scope, outputs) for item in group.expressions))
    if not groups:
        raise refuse(group, "GROUP BY names no column")
    for term in shown:
        if term not in groups:
            raise QuerySyntaxError(f"{_describe(term)} must appear in GROUP BY")
    if distinct is not None and set(groups) != set(shown):
        raise refuse(
            select, "DISTINCT of some of the groups is not answered", "group by what is selected"
        )
    return groups


def _is_never(select: exp.Select) -> bool:
    """Whether a SELECT asks only for the types of its columns: Superset adds WHERE FALSE to it."""
    where = select.args.get("where")
    condition = where.this.unnest() if where is not None else None
    return isinstance(condition, exp.Boolean) and not condition.this


def _read_group(node: exp.Expr, scope: Scope, outputs: list[_Output]) -> Term:
    node = node.unnest()
    if isinstance(node, exp.Literal):
        term = _at(node, outputs)
    elif isinstance(node, exp.Column) and not scope.has(node) and not node.args.get("table"):
        term = _aliased(node, outputs) or scope.find(node)
    else:
        term = scope.read(node)
    if term.kind != "dimension":
        raise QueryError(
            f"GROUP BY {show(node)}: {term.short} is a {term.kind}",
            suggestion="group by columns and DATE_TRUNC of times",
        )
    return term


def _read_order(
    select: exp.Select, scope: Scope, outputs: list[_Output], groups: list[Term]
) -> list[tuple[Term, bool]]:
    order = select.args.get("order")
    if order is None:
        return []
    check_only(order, "expressions")
    keys = []
    for item in order.expressions:
        if not isinstance(item, exp.Ordered):
            raise refuse(item, "this order is not answered")
        check_only(item, "this", "desc", "nulls_first")
        descending = bool(item.args.get("desc"))
        if bool(item.args.get("nulls_first")) is not descending:
            raise refuse(
                item,
                "nulls come last in ascending and first in descending order",
                "leave out NULLS FIRST and NULLS LAST",
            )
        keys.append((_read_key(item.this.unnest(), select, scope, outputs, groups), descending))
    return keys


def _read_key(
    node: exp.Expr,
    select: exp.Select,
    scope: Scope,
    outputs: list[_Output],
    groups: list[Term],
) -> Term:
    if isinstance(node, exp.Literal):
        return _at(node, outputs)
    if isinstance(node, exp.Column) and not node.args.get("table"):
        named = _aliased(node, outputs)
        if named is not None:
            return named
    term = scope.read(node)
    shown = {output.term for output in outputs}
    if term in shown or (term in groups and select.args.get("distinct") is None):
        return term
    if term.kind == "measure" and select.args.get("distinct") is None:
        return term
    raise QuerySyntaxError(
        f"ORDER BY {show(node)}: {_describe(term)} is not among the columns of the answer"
    )


def _aliased(node: exp.Column, outputs: list[_Output]) -> Term | None:
    names = {output.name: output.term for output in outputs}
    name = pick_name(node.this, names)
    return None if name is None else names[name]


def _at(node: exp.Literal, outputs: list[_Output]) -> Term:
    text = str(node.this)
    if not node.is_string and text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        place = int(text)
        if 1 <= place <= len(outputs):
            return outputs[place - 1].term
    raise UnknownMemberError(f"there is no column number {text[:20]} in this SELECT")


def _read_count(node: exp.Expr | None) -> int | None:
    if node is None:
        return None
    if not isinstance(node, exp.Limit | exp.Offset):
        raise refuse(node, "FETCH is not answered", "use LIMIT")
    check_only(node, "expression")
    value = node.expression
    text = str(value.this) if isinstance(value, exp.Literal) and not value.is_string else ""
    if not (text.isascii() and text.isdigit()):
        raise refuse(node, "it takes a whole number")
    if len(text) > _DIGITS or int(text) > _LARGEST:
        raise LimitExceededError(f"{show(node)} is too large")
    return int(text)


def _describe(term: Term) -> str:
    if term.granularity is None:
        return term.short
    return f"DATE_TRUNC('{term.granularity}', {term.short})"
