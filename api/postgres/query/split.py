"""Cuts one SELECT over one table into a question to the layer and a SELECT over its answer.

What the layer is asked is exactly what the statement names: columns, cut times and measures. What
the statement computes from them stays in the outer SELECT. There are three forms:

rows      no GROUP BY, no aggregate: each row of the table, measures as the value of their row
keys      no measure: the distinct values that the outer SELECT groups, or takes MIN, MAX and
          COUNT(DISTINCT) of, which repetitions cannot change
measures  the groups of GROUP BY. A group by an expression asks the finer groups of what is in the
          expression, and a check: where two of them would fall together, no sum of theirs is sure
          to be the measure, so the statement is refused
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final, Literal, TypeVar

from sqlglot import exp

from api.postgres.errors import SqlError
from api.postgres.query.extract import DATE_PART, is_date_part
from api.postgres.query.leaf import Check, Leaf
from api.postgres.query.plain import is_of_its_rows
from api.postgres.query.times import find_cut, find_part
from semantic.catalog.catalog import Catalog
from semantic.errors import DucatError, QueryError, UnknownMemberError, UnsupportedError
from semantic.query.query import MAXIMUM_LIMIT, Order, Query, TimeDimension
from semantic.query.ranges import take_bounds
from semantic.query.sql.filters import Filters
from semantic.query.sql.select import read_limit, read_select
from semantic.query.sql.statement import SqlQuery
from semantic.query.sql.strict import refuse, show
from semantic.query.sql.terms import Scope, Term

MOST_ROWS: Final = 1_000_000
MOST_COLUMNS: Final = 400
Node = TypeVar("Node", bound=exp.Expr)
Form = Literal["rows", "keys", "measures"]
_ROW_MAKERS: Final = frozenset({"generate_series", "unnest", "generate_subscripts"})
_UNREAD: Final = (
    ("laterals", "LATERAL"), ("into", "INTO"), ("locks", "FOR UPDATE"), ("sample", "TABLESAMPLE"),
    ("kind", "SELECT AS"), ("windows", "WINDOW"),
)  # fmt: skip


def split(
    select: exp.Select, whole: Catalog, shown: Catalog, *, timezone: str, name: str
) -> tuple[Leaf, exp.Select | None, tuple[Check, ...]]:
    """Return the question, the SELECT over its answer unless the answer is enough, and the checks.

    Raises:
        DucatError: it cannot be asked.
    """
    try:
        asked = read_select(select.copy(), whole, shown, timezone)
    except DucatError as refused:
        try:
            cut = _Cut(select.copy(), whole, shown, timezone, name)
            return cut.leaf(), cut.outer, tuple(cut.checks)
        except DucatError as again:
            raise _telling(refused, again) from again
    return _plain(asked, name), None, ()


def _telling(first: DucatError, second: DucatError) -> DucatError:
    """Return the refusal that says more: the first reader knows less of SQL."""
    return first if isinstance(first, UnknownMemberError) else second


def _plain(asked: SqlQuery, name: str) -> Leaf:
    query = asked.query
    if asked.complete:
        limit = MOST_ROWS + 1 if asked.inner_limit is None else asked.inner_limit
        query = dataclasses.replace(query, limit=min(limit, MOST_ROWS + 1))
    return Leaf(name, query, tuple((item.name, str(item.source)) for item in asked.columns))


class _Cut:
    """One SELECT while it is cut; afterwards `outer` reads the answer."""

    def __init__(
        self, select: exp.Select, whole: Catalog, shown: Catalog, timezone: str, name: str
    ) -> None:
        for part, word in _UNREAD:
            if select.args.get(part):
                raise refuse(select, f"{word} is not answered here")
        self.outer = select
        self.checks: list[Check] = []
        self._timezone = timezone
        self._name = name
        self._scope = Scope(whole, shown, select.args["from_"].this)
        self._columns: dict[Term, str] = {}
        self._groups: dict[str, exp.Expr] = {}
        self._catalogs = (whole, shown)
        self._is_finer = False
        self._fixed = False
        self._expand_stars()
        self._name_outputs()
        self._unqualify()
        self._form = self._find_form()
        self._filters = Filters(self._scope)
        self._waiting = self._read_where()
        is_paged = self._form == "rows" and not self._waiting
        self._page = self._take_page() if is_paged else None
        self._rewrite()
        if not self._columns:
            self._column(self._scope.anchor("dimension"))
        select.args["from_"].set("this", exp.to_table(name, quoted=True))
        if len(self._columns) > MOST_COLUMNS:
            raise refuse(select, f"more than {MOST_COLUMNS} columns are asked")

    def leaf(self) -> Leaf:
        """Return the question."""
        order, limit, offset = self._page or ((), MOST_ROWS + 1, 0)
        terms = list(self._columns)
        filters, times = take_bounds(
            self._filters.filters,
            tuple(
                TimeDimension(term.member, term.granularity)
                for term in terms
                if term.granularity is not None
            ),
            self._filters.times,
            self._timezone,
        )
        query = Query(
            measures=tuple(term.member for term in terms if term.kind == "measure"),
            dimensions=tuple(
                term.member
                for term in terms
                if term.kind == "dimension" and term.granularity is None
            ),
            time_dimensions=times,
            filters=filters,
            segments=tuple(dict.fromkeys(self._filters.segments)),
            order=order,
            limit=limit,
            offset=offset,
            timezone=self._timezone,
            unlimited=limit > MAXIMUM_LIMIT,
            ungrouped=self._form == "rows",
        )
        columns = tuple((column, term.source) for term, column in self._columns.items())
        return Leaf(self._name, query, columns)

    def _expand_stars(self) -> None:
        found: list[exp.Expr] = []
        for item in self.outer.expressions:
            is_star = isinstance(item, exp.Star) or (
                isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
            )
            if not is_star:
                found.append(item)
                continue
            if isinstance(item, exp.Star) and any(item.args.values()):
                raise refuse(item, "every column but some is not answered")
            found += [
                exp.column(term.short, quoted=True)
                for term in self._scope.list_terms()
                if term.kind != "segment"
            ]
        self.outer.set("expressions", found)

    def _name_outputs(self) -> None:
        named = [
            item
            if isinstance(item, exp.Alias)
            else exp.alias_(item, self._name_of(item), quoted=True)
            for item in self.outer.expressions
        ]
        self.outer.set("expressions", named)

    def _name_of(self, item: exp.Expr) -> str:
        try:
            term = self._scope.read(item)
        except DucatError:
            return name_output(item)
        return "date_trunc" if term.granularity else term.short

    def _unqualify(self) -> None:
        for column in self._own(self.outer, exp.Column):
            if isinstance(column.this, exp.Star) or not column.table:
                continue
            self._scope.find(column)
            column.set("table", None)
            column.set("db", None)

    def _own(self, node: exp.Expr, *kinds: type[Node]) -> list[Node]:
        """Return the nodes of some kinds that are of this SELECT, not of one inside it."""
        return [
            item
            for item in node.find_all(*kinds)
            if item.parent_select is self.outer and not _inside_from(item)
        ]

    # Which question it is.

    def _find_form(self) -> Form:
        outer = self.outer
        calls = [
            call
            for call in self._own(outer, exp.AggFunc, exp.Anonymous)
            if not _is_windowed(call)
            and _is_aggregate(call)
            and call.find_ancestor(exp.Where) is None
        ]
        measured = [call for call in calls if self._is_measure(call)]
        if measured:
            for call in calls:
                self._scope.read(call)  # all must be measures; says why one is none
            return "measures"
        if calls or outer.args.get("group") or outer.args.get("having"):
            for call in calls:
                self._check_harmless(call)
            return "keys"
        if outer.args.get("distinct"):
            bare = (self._scope.find(item) for item in self._own(outer, exp.Column)
                    if self._scope.has(item))  # fmt: skip
            if all(term.kind == "dimension" for term in bare):
                return "keys"
        return "rows"

    def _is_measure(self, call: exp.Expr) -> bool:
        if isinstance(call, exp.Anonymous) or isinstance(call.this, exp.Star):
            return True
        return any(
            self._scope.find(column).kind == "measure"
            for column in call.find_all(exp.Column)
            if not isinstance(column.this, exp.Star)
        )

    def _check_harmless(self, call: exp.Expr) -> None:
        distinct = isinstance(call, exp.Count) and isinstance(call.this, exp.Distinct)
        if distinct or isinstance(call, exp.Min | exp.Max):
            return
        raise QueryError(
            f"{show(call)} is not a governed measure",
            suggestion="ask MEASURE(…) of a measure; of a column MIN, MAX and COUNT(DISTINCT …)",
        )

    # Conditions that filters cannot say wait for the answer, where they mean the same there.

    def _read_where(self) -> list[exp.Expr]:
        where = self.outer.args.get("where")
        self.outer.set("where", None)
        waiting: list[exp.Expr] = []
        for part in _conjuncts(where.this) if where is not None else ():
            try:
                Filters(self._scope).add_where(part)
            except UnsupportedError:
                if _has_measure(part):
                    raise QueryError(
                        f"{show(part)}: a measure cannot be a condition of WHERE",
                        suggestion="put it in HAVING",
                    ) from None
                if not self._may_wait():
                    raise
                waiting.append(part)
            else:
                self._filters.add_where(part)
        return waiting

    def _may_wait(self) -> bool:
        """Whether a condition chooses the same rows before and after they are grouped.

        Of single rows and of distinct values it does. Of groups it does when what it looks at is a
        key of theirs, which the check for groups that fall together sees to, and when no measure
        looks beyond the rows of its own group.
        """
        if self._form != "measures":
            return True
        calls = [call for call in self._own(self.outer, exp.AggFunc, exp.Anonymous)
                 if not _is_windowed(call) and _is_aggregate(call)]  # fmt: skip
        members = [self._scope.read(call).member for call in calls]
        is_grouped = self.outer.args.get("group") is not None
        return is_grouped and all(is_of_its_rows(self._catalogs, member) for member in members)

    # Paging of single rows is left to the layer: a preview must not read the whole table.

    def _take_page(self) -> tuple[tuple[Order, ...], int, int] | None:
        outer = self.outer
        if outer.args.get("distinct") or self._own(outer, exp.Window, exp.Unnest, exp.UDTF):
            return None
        if self._own(outer, exp.Explode, exp.GenerateSeries) or any(
            call.name.lower() in _ROW_MAKERS for call in self._own(outer, exp.Anonymous)
        ):
            return None  # a row of the table is not a row of the answer
        limit = read_limit(outer)
        keys = None if limit is None else self._page_keys()
        if limit is None or keys is None:
            return None
        offset = outer.args.get("offset")
        skipped = 0 if offset is None else int(offset.expression.name)
        for part in ("order", "limit", "offset"):
            outer.set(part, None)
        return tuple(keys), min(limit, MOST_ROWS + 1), skipped

    def _page_keys(self) -> list[Order] | None:
        order = self.outer.args.get("order")
        keys: list[Order] = []
        for item in order.expressions if order is not None else ():
            node = self._resolve(item.this.unnest(), aliases_first=True)
            descending = bool(item.args.get("desc"))
            is_usual = bool(item.args.get("nulls_first")) is descending
            if not is_usual or not isinstance(node, exp.Column) or not self._scope.has(node):
                return None
            keys.append(Order(self._scope.find(node).source, descending))
        for item in order.expressions if order is not None else ():
            self._replace(self._resolve(item.this.unnest(), aliases_first=True).copy())
        return keys

    def _resolve(self, node: exp.Expr, *, aliases_first: bool) -> exp.Expr:
        """Return the output that a place or an alias stands for, or the node itself."""
        outputs = self.outer.expressions
        if isinstance(node, exp.Literal) and not node.is_string:
            place = int(node.name) if node.name.isdigit() else 0
            if not 1 <= place <= len(outputs):
                raise SqlError(f"position {node.name[:20]} is not in select list", sqlstate="42P10")
            found: exp.Expr = outputs[place - 1].this
            return found.unnest()
        if isinstance(node, exp.Column) and (aliases_first or not self._scope.has(node)):
            named = next((item for item in outputs if item.alias == node.name), None)
            return node if named is None else named.this.unnest()
        return node

    # The outer SELECT.

    def _rewrite(self) -> None:
        outer = self.outer
        for node in self._read_groups():
            self._groups[node.sql()] = self._replace(node.copy())
        before = len(self._columns)
        self._waiting = [self._replace(part.copy()) for part in self._waiting]
        self._is_finer = len(self._columns) > before
        self._fixed = self._form == "measures"
        self._rewrite_order()
        for item in outer.expressions:
            item.set("this", self._replace(item.this))
        for part in ("having", "qualify", "distinct"):
            value = outer.args.get(part)
            if value is not None:
                for child in list(value.iter_expressions()):
                    child.replace(self._replace(child))
        if self._waiting:
            outer.set("where", exp.Where(this=exp.and_(*self._waiting)))
        if self._form == "measures":
            self._drop_groups()
        elif outer.args.get("group") is not None:
            outer.args["group"].set("expressions", list(self._groups.values()))

    def _rewrite_order(self) -> None:
        order = self.outer.args.get("order")
        aliases = {item.alias for item in self.outer.expressions}
        for item in order.expressions if order is not None else ():
            node = item.this.unnest()
            is_alias = isinstance(node, exp.Column) and node.name in aliases
            if not is_alias and not isinstance(node, exp.Literal):
                item.set("this", self._replace(node))

    def _read_groups(self) -> list[exp.Expr]:
        group = self.outer.args.get("group")
        if group is None:
            return []
        extra = [name for name, value in group.args.items() if value and name != "expressions"]
        if extra:
            raise refuse(
                group,
                f"{extra[0].replace('_', ' ').upper()} is not answered here",
                "put the grouped SELECT into a sub-select and group that",
            )
        return [self._resolve(item.unnest(), aliases_first=False) for item in group.expressions]

    def _drop_groups(self) -> None:
        """Leave out GROUP BY, as the answer has one row for each group, or is refused."""
        outer = self.outer
        outer.set("group", None)
        having = outer.args.get("having")
        if having is not None:
            outer.set("having", None)
            outer.where(having.this, copy=False)
        computed = [text for text, made in self._groups.items() if not isinstance(made, exp.Column)]
        if not computed and not self._is_finer:
            return
        merged = (
            exp.select(exp.Literal.number(1))
            .from_(exp.to_table(self._name, quoted=True))
            .group_by(*[made.copy() for made in self._groups.values()])
            .where(*[part.copy() for part in self._waiting])
            .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
        )
        count = exp.select(exp.Count(this=exp.Star())).from_(merged.subquery("merged"))
        self.checks.append(Check(count, ", ".join(computed or self._groups)))

    def _replace(self, node: exp.Expr) -> exp.Expr:
        """Return the node over the columns of the answer; changes the node's children in place."""
        grouped = self._groups.get(node.sql()) if self._fixed else None
        if grouped is not None:
            return grouped.copy()
        found = self._find_term(node)
        if found is not None:
            self._check_place(found, node)
            return self._column(found)
        part = None if self._fixed else find_part(self._scope, node)
        if part is not None:
            node.set(part[0], self._column(part[1]))
            return node
        if isinstance(node, exp.Query):
            return node  # a sub-select, cut already
        for child in list(node.iter_expressions()):
            replaced = self._replace(child)
            if replaced is not child:
                child.replace(replaced)
        return node

    def _find_term(self, node: exp.Expr) -> Term | None:
        match node:
            case exp.Column():
                return self._scope.find(node)
            case exp.TimestampTrunc() | exp.DateTrunc():
                return find_cut(self._scope, node)
            case exp.Anonymous() if node.name.lower() == "measure":
                return self._scope.read(node)
            case exp.AggFunc() if self._form == "measures" and not _is_windowed(node):
                return self._scope.read(node)
            case _:
                return None

    def _check_place(self, term: Term, node: exp.Expr) -> None:
        if term.kind == "segment":
            raise refuse(node, "a segment is a condition", f"write WHERE {term.short}")
        if term.kind == "measure" and self._form != "rows" and isinstance(node, exp.Column):
            raise QueryError(
                f"{term.short} is a measure and cannot stand by itself",
                suggestion=f"write MEASURE({term.short})",
            )
        if term.kind == "dimension" and self._fixed:
            raise SqlError(
                f'column "{term.short}" must appear in the GROUP BY clause', sqlstate="42803"
            )

    def _column(self, term: Term) -> exp.Column:
        name = self._columns.setdefault(term, f"c{len(self._columns)}$")
        return exp.column(name, quoted=True)


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    node = node.unnest()
    if not isinstance(node, exp.And):
        yield node
        return
    for part in node.flatten():
        yield from _conjuncts(part)


def _has_measure(node: exp.Expr) -> bool:
    """Whether a condition is about a measure; what sub-selects compute is a value like any other."""
    for part in node.walk(prune=lambda item: isinstance(item, exp.Subquery | exp.Select)):
        is_call = isinstance(part, exp.Anonymous) and str(part.name).lower() == "measure"
        if is_call or isinstance(part, exp.AggFunc):
            return True
    return False


def _inside_from(node: exp.Expr) -> bool:
    return node.find_ancestor(exp.From, exp.Select) is not node.parent_select


def _is_windowed(call: exp.Expr) -> bool:
    parent = call.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        parent = parent.parent
    return isinstance(parent, exp.Window)


def _is_aggregate(call: exp.Expr) -> bool:
    return isinstance(call, exp.AggFunc) or call.name.lower() == "measure"


def name_output(node: exp.Expr) -> str:  # noqa: C901 -- a branch for each kind of node
    """Return the name that PostgreSQL gives to a column without an alias."""
    node = node.unnest()
    match node:
        case exp.Column():
            return node.name
        case exp.Cast():
            name = name_output(node.this)
            return _TYPES.get(_type(node), _type(node)) if name == "?column?" else name
        case exp.Interval():
            return "interval"
        case exp.Case():
            return "case"
        case exp.Window() | exp.Filter():
            return name_output(node.this)
        case exp.Anonymous():
            return node.name.lower()
        case exp.Dot() if isinstance(node.expression, exp.Func):
            return name_output(node.expression)
        case exp.Dot():
            return node.name
        case exp.Subquery() if isinstance(node.this, exp.Select) and node.this.expressions:
            first = node.this.expressions[0]
            return first.alias or name_output(first)
        case exp.Boolean():
            return "bool"
        case exp.Binary() | exp.Unary() | exp.Predicate():
            return "?column?"
        case exp.Extract() if is_date_part(node):
            return DATE_PART
        case exp.Func():
            return _FUNCTIONS.get(type(node), node.sql_name().lower())
        case _:
            return "?column?"


def _type(node: exp.Cast) -> str:
    return node.to.sql("postgres").lower().split("(")[0]


_TYPES: Final = {
    "smallint": "int2",
    "int": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "decimal": "numeric",
    "boolean": "bool",
}
_FUNCTIONS: Final[dict[type[exp.Expr], str]] = {
    exp.TimestampTrunc: "date_trunc",
    exp.DateTrunc: "date_trunc",
    exp.Extract: "extract",
    exp.TimeToStr: "to_char",
    exp.CurrentTimestamp: "now",
    exp.GroupConcat: "string_agg",
    exp.ArrayAgg: "array_agg",
    exp.Substring: "substring",
    exp.CurrentVersion: "version",
    exp.CurrentCatalog: "current_catalog",
}
