"""Merges a plain projection of a table into the SELECT around it.

    SELECT city, MEASURE(count) FROM (SELECT * FROM sales WHERE is_online) t GROUP BY city
    SELECT city, MEASURE(count) FROM sales AS t WHERE is_online GROUP BY city

So a measure is evaluated at the grain of the SELECT that asks for it, as tools which wrap a table of
theirs expect. Only what cannot change a row is merged: columns, renamed or not, and conditions.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from api.postgres.errors import SqlError

IsTable = Callable[[exp.Table], bool]
_KEPT = frozenset({"expressions", "from_", "where", "kind"})


def flatten(select: exp.Select, is_table: IsTable) -> None:
    """Merge the projection that a SELECT reads, and those below it, into the SELECT."""
    while True:
        source = select.args.get("from_")
        inner = source.this if source is not None else None
        if not isinstance(inner, exp.Subquery) or select.args.get("joins"):
            return
        projected = inner.this
        if not isinstance(projected, exp.Select) or set(_set_args(inner)) - {"this", "alias"}:
            return
        flatten(projected, is_table)
        table = _plain_table(projected, is_table)
        alias = inner.args.get("alias")
        if table is None or (alias is not None and alias.args.get("columns")):
            return
        if any(item is not select for item in select.find_all(exp.Select) if item is not projected):
            return  # what a sub-select inside means by a name would have to be found out
        names = _read_names(projected)
        if names is None:
            return
        _merge(select, projected, table, inner.alias or table.alias_or_name, names)


def _set_args(node: exp.Expr) -> list[str]:
    return [name for name, value in node.args.items() if value]


def _plain_table(select: exp.Select, is_table: IsTable) -> exp.Table | None:
    if set(_set_args(select)) - _KEPT or select.args.get("kind"):
        return None
    source = select.args.get("from_")
    table = source.this if source is not None else None
    if not isinstance(table, exp.Table) or not is_table(table):
        return None
    return table


def _read_names(select: exp.Select) -> dict[str, exp.Identifier] | None:
    """Return the columns by the names that the projection gives them; {} for every column."""
    names: dict[str, exp.Identifier] = {}
    for item in select.expressions:
        if isinstance(item, exp.Star):
            return {} if len(select.expressions) == 1 and not _set_args(item) else None
        column = item.this if isinstance(item, exp.Alias) else item
        if not isinstance(column, exp.Column) or isinstance(column.this, exp.Star):
            return None
        if item.alias_or_name in names:
            return None
        names[item.alias_or_name] = column.this
    return names


def _merge(
    select: exp.Select,
    projected: exp.Select,
    table: exp.Table,
    alias: str,
    names: dict[str, exp.Identifier],
) -> None:
    condition = projected.args.get("where")
    if condition is not None:
        for column in condition.find_all(exp.Column):
            column.set("table", None)
    if names:
        _rename(select, alias, names)
    merged = table.copy()
    merged.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    select.args["from_"].set("this", merged)
    if condition is not None:
        select.where(condition.this, copy=False)


def _rename(select: exp.Select, alias: str, names: dict[str, exp.Identifier]) -> None:
    aliases = {item.alias for item in select.expressions if isinstance(item, exp.Alias)}
    select.set(
        "expressions",
        [
            exp.alias_(item, item.name, quoted=True, copy=False)
            if isinstance(item, exp.Column) and item.name in names
            else item
            for item in select.expressions
        ],
    )
    source, order = select.args.get("from_"), select.args.get("order")
    for column in list(select.find_all(exp.Column)):
        if isinstance(column.this, exp.Star) or _is_inside(column, source):
            continue
        if column.table and column.table != alias:
            continue
        if not column.table and column.name in aliases and _is_inside(column, order):
            continue
        found = names.get(column.name)
        if found is not None:
            column.set("this", found.copy())
            column.set("table", None)
        elif column.name not in aliases:
            raise SqlError(f'column "{column.name[:100]}" does not exist', sqlstate="42703")
    select.set(
        "expressions",
        [made for item in select.expressions for made in _expand(item, names)],
    )


def _expand(item: exp.Expr, names: dict[str, exp.Identifier]) -> list[exp.Expr]:
    if isinstance(item, exp.Star) or (
        isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
    ):
        return [
            exp.alias_(exp.Column(this=found.copy()), name, quoted=True)
            for name, found in names.items()
        ]
    return [item]


def _is_inside(node: exp.Expr, part: exp.Expr | None) -> bool:
    parent: exp.Expr | None = node
    while parent is not None and part is not None:
        if parent is part:
            return True
        parent = parent.parent
    return False
