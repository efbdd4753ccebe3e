"""A statement to a plan: every SELECT over a table is cut out, the rest stays as it is written.

Names are found as PostgreSQL finds them: a WITH hides a table of the same name, and only `public`
needs no schema. Tables of pg_catalog and information_schema are left in place, and named in the plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from api.postgres.catalog.names import find_relation
from api.postgres.errors import SqlError
from api.postgres.query.flatten import flatten
from api.postgres.query.fold import Evaluate, fold_conditions
from api.postgres.query.leaf import Check, Leaf, Plan
from api.postgres.query.split import name_output, split
from api.postgres.query.tables import Table, Tables
from semantic.errors import LimitExceededError, QueryError, suggest
from semantic.query.sql.strict import SHOWN, check_only, refuse

DATABASE: Final = "ducat"
SCHEMA: Final = "public"
MOST_LEAVES: Final = 32


def plan_query(tree: exp.Query, tables: Tables, *, timezone: str, evaluate: Evaluate) -> Plan:
    """Return how a statement is answered. The tree is changed.

    `evaluate` answers a query by itself: what a condition compares with is computed first.

    Raises:
        DucatError: it names what is not there, or asks what cannot be answered.
    """
    planner = _Planner(tables, timezone, evaluate)
    holder = exp.Paren(this=tree)
    planner.walk(tree, frozenset())
    outer = holder.this
    assert isinstance(outer, exp.Query)  # noqa: S101 -- walk() puts queries in place of queries
    if len(planner.leaves) == 1 and planner.whole is tree:
        return Plan((planner.leaves[0],), None)
    _name_all(outer)
    return Plan(tuple(planner.leaves), outer, tuple(planner.checks), frozenset(planner.catalog))


@dataclass(slots=True)
class _Planner:
    tables: Tables
    timezone: str
    evaluate: Evaluate
    leaves: list[Leaf] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    catalog: set[str] = field(default_factory=set)
    whole: exp.Query | None = None
    """The SELECT whose answer was enough by itself, which may be the statement."""

    def walk(self, query: exp.Query, hidden: frozenset[str]) -> None:
        """Cut a query and all below it; `hidden` are the names that a WITH gave."""
        with_ = query.args.get("with_")
        if with_ is not None:
            names = {item.alias for item in with_.expressions}
            for item in with_.expressions:
                inner = item.this
                if not isinstance(inner, exp.Query):
                    raise SqlError("WITH may hold queries only", sqlstate="25006")
                self.walk(inner, hidden | names if with_.args.get("recursive") else hidden)
                hidden = hidden | {item.alias}
        match query:
            case exp.SetOperation():
                for side in (query.this, query.expression):
                    self.walk(side, hidden)
            case exp.Subquery():
                self.walk(query.this, hidden)
            case exp.Select():
                self._walk_select(query, hidden)
            case _:
                raise refuse(query, "this query is not answered")

    def _walk_select(self, select: exp.Select, hidden: frozenset[str]) -> None:
        def is_table(table: exp.Table) -> bool:
            return self._find(table, hidden) is not None

        flatten(select, is_table)
        sources = _sources(select)
        if len(sources) == 1 and isinstance(sources[0], exp.Table) and is_table(sources[0]):
            fold_conditions(select, self.evaluate, _with_of(select))
        for inner in _nested(select):
            self.walk(inner, hidden)
        found = [table for table in sources if isinstance(table, exp.Table)]
        semantic = [(table, known) for table in found if (known := self._find(table, hidden))]
        for table in found:
            if not any(table is item for item, _ in semantic):
                self._check_other(table, hidden)
        if not semantic:
            return
        if len(sources) == 1:
            self._cut(select)
            return
        for table, known in semantic:
            self._wrap(select, table, known)

    def _cut(self, select: exp.Select) -> None:
        if len(self.leaves) >= MOST_LEAVES:
            raise LimitExceededError(f"a statement reads at most {MOST_LEAVES} tables")
        name = f"answer${len(self.leaves)}"
        with_ = select.args.get("with_")
        bare = select.copy()
        bare.set("with_", None)
        leaf, outer, checks = split(
            bare, self.tables.whole, self.tables.shown, timezone=self.timezone, name=name
        )
        self.leaves.append(leaf)
        self.checks += checks
        if outer is None:
            self.whole = select
            columns = [exp.column(column, quoted=True) for column, _ in leaf.columns]
            outer = exp.select(*columns).from_(exp.to_table(name, quoted=True))
        for part in list(select.args):
            select.set(part, None)
        for part, value in outer.args.items():
            select.set(part, value)
        if with_ is not None:
            select.set("with_", with_)
            self.whole = None

    def _wrap(  # noqa: C901 -- each way to name a column
        self, select: exp.Select, table: exp.Table, known: Table
    ) -> None:
        """Make a joined table a SELECT of its columns that the join uses: its rows."""
        _check_joined(select, table)
        alias = table.alias_or_name
        names = {column.name: column for column in known.columns}
        others = [item for item in _sources(select) if item is not table]
        used: dict[str, None] = {}
        for column in select.find_all(exp.Column):
            if isinstance(column.this, exp.Star):
                if column.table in {"", alias}:
                    used |= dict.fromkeys(
                        name for name, item in names.items() if item.kind == "dimension"
                    )
            elif column.name in names and (
                column.table == alias or (not column.table and not self._claims(others, column))
            ):
                used[column.name] = None
        for join in select.args.get("joins") or ():
            for name in join.args.get("using") or ():
                if name.name in names:
                    used[name.name] = None
        if any(isinstance(item, exp.Star) for item in select.expressions):
            used |= dict.fromkeys(name for name, item in names.items() if item.kind == "dimension")
        for name in used:
            if names[name].kind != "dimension":
                raise QueryError(
                    f"{alias}.{name} is a {names[name].kind} of a joined table",
                    suggestion=f"join (SELECT …, MEASURE({name}) FROM {known.name} GROUP BY …) "  # noqa: S608
                    "instead, or ask a view that joins what you need",
                )
        if not used:
            first = next((item for item in known.columns if item.kind == "dimension"), None)
            if first is None:
                raise QueryError(f"{known.name} has no columns to join")
            used[first.name] = None
        inner = exp.select(*[exp.column(name, quoted=True) for name in used]).from_(
            exp.Table(this=exp.to_identifier(known.name, quoted=True))
        )
        subquery = exp.Subquery(
            this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
        )
        if table.args.get("joins"):
            subquery.set("joins", table.args["joins"])
        table.replace(subquery)
        self._cut(inner)

    def _claims(self, sources: list[exp.Expr], column: exp.Column) -> bool:
        """Whether another source has a column of that name: then it is ambiguous, or not ours."""
        for source in sources:
            if isinstance(source, exp.Table):
                known = self._find(source, frozenset())
                if known is not None and any(item.name == column.name for item in known.columns):
                    return True
            elif (
                isinstance(source, exp.Subquery)
                and isinstance(source.this, exp.Query)
                and column.name in source.this.named_selects
            ):
                return True
        return False

    def _find(self, table: exp.Table, hidden: frozenset[str]) -> Table | None:
        if not isinstance(table.this, exp.Identifier):
            return None
        if not table.db and table.name in hidden:
            return None
        if table.db not in {"", SCHEMA} or table.catalog not in {"", DATABASE}:
            return None
        return self.tables.find(table.name)

    def _check_other(self, table: exp.Table, hidden: frozenset[str]) -> None:
        if not isinstance(table.this, exp.Identifier):
            return  # a function, which is checked with all others
        if not table.db and table.name in hidden:
            return
        if table.catalog not in {"", DATABASE}:
            raise SqlError(
                f'cross-database references are not implemented: "{table.catalog[:SHOWN]}"',
                sqlstate="0A000",
            )
        relation = find_relation(table.db, table.name)
        if relation is None:
            shown = table.name if not table.db else f"{table.db}.{table.name}"
            names = [item.name for item in self.tables.tables]
            raise SqlError(
                f'relation "{shown[:SHOWN]}" does not exist',
                sqlstate="42P01",
                suggestion=suggest(table.name[:SHOWN], names),
            )
        self.catalog.add(relation)
        alias = table.alias_or_name
        table.set("db", None)
        table.set("catalog", None)
        table.set("this", exp.to_identifier(relation, quoted=True))
        if not table.args.get("alias"):
            table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def _check_joined(select: exp.Select, table: exp.Table) -> None:
    """Refuse what a table made a SELECT of its used columns would not mean any more."""
    check_only(table, "this", "db", "catalog", "alias", "joins")
    alias = table.args.get("alias")
    if alias is not None:
        check_only(alias, "this")
    for join in select.args.get("joins") or ():
        if str(join.args.get("method") or "").upper() == "NATURAL":
            raise refuse(join, "NATURAL JOIN is not answered over tables", "write ON or USING")


def _with_of(select: exp.Select) -> exp.With | None:
    """Return the WITH that a condition's sub-selects may name: that of the SELECT itself."""
    found = select.args.get("with_")
    return found.copy() if isinstance(found, exp.With) else None


def _sources(select: exp.Select) -> list[exp.Expr]:
    """Return what FROM and its joins read."""
    source = select.args.get("from_")
    if source is None:
        return []
    found: list[exp.Expr] = []
    pending = [source.this, *(join.this for join in select.args.get("joins") or ())]
    while pending:
        item = pending.pop(0)
        if isinstance(item, exp.Paren | exp.Subquery) and isinstance(item.this, exp.Table):
            pending.append(item.this)  # brackets around a join
        else:
            found.append(item)
        pending += [join.this for join in item.args.get("joins") or ()]
    return [*found, *(select.args.get("laterals") or ())]


def _nested(select: exp.Select) -> list[exp.Query]:
    """Return the queries directly inside a SELECT, without those of its WITH."""
    found: list[exp.Query] = []

    def visit(node: exp.Expr) -> None:
        for child in node.iter_expressions():
            if isinstance(child, exp.With):
                continue
            if isinstance(child, exp.Subquery) and not isinstance(child.this, exp.Query):
                visit(child)
            elif isinstance(child, exp.Query):
                found.append(child)
            else:
                visit(child)

    visit(select)
    return found


def _name_all(query: exp.Query) -> None:
    """Give every column its name in PostgreSQL, where the statement gives none."""
    for select in query.find_all(exp.Select):
        if isinstance(select.parent, exp.Exists | exp.In):
            continue
        named: list[exp.Expr] = []
        for item in select.expressions:
            bare = isinstance(item, exp.Alias | exp.Star | exp.Aliases | exp.Column)
            named.append(item if bare else exp.alias_(item, name_output(item), quoted=True))
        select.set("expressions", named)
