"""Expressions of a SELECT that stand for a member: columns, DATE_TRUNC, MEASURE and its spellings.

Whatever else an expression computes would be a number that the model does not define, under a name
that looks as if it did. So it is refused, with what to ask instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Container
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from sqlglot import exp

from semantic.catalog.catalog import Catalog, Dimension, Measure, View, ViewMember
from semantic.errors import QueryError, UnknownMemberError, suggest
from semantic.query.granularities import GRANULARITIES, list_granularities
from semantic.query.sql.strict import SHOWN, check_only, refuse, show

SCHEMA: Final = "public"
_NAMED: Final = 5
_MEASURE: Final = "measure"
_AGGREGATES: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Sum: frozenset({"sum"}),
    exp.Avg: frozenset({"avg"}),
    exp.Min: frozenset({"min", "time"}),
    exp.Max: frozenset({"max", "time"}),
    exp.Count: frozenset({"count"}),
}
_DISTINCT: Final = frozenset({"count_distinct", "count_distinct_approx"})


@dataclass(frozen=True, slots=True)
class Term:
    """A member of the view, a time also cut to a granularity."""

    member: str
    kind: Literal["measure", "dimension", "segment"]
    type: str
    granularity: str | None = None
    granularities: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The name of its column in the query's result."""
        return f"{self.member}.{self.granularity}" if self.granularity else self.member

    @property
    def short(self) -> str:
        """The member's name in the view."""
        return self.member.partition(".")[2]


class Scope:
    """The view that a SELECT reads: finds what its expressions stand for.

    `visible` are the views that the caller may see; `catalog` also holds the cubes behind them.
    """

    __slots__ = ("_alias", "_catalog", "_is_plain", "_view")

    def __init__(self, catalog: Catalog, visible: Catalog, table: exp.Table) -> None:
        self._catalog = catalog
        self._view = _find_view(visible, table)
        self._alias = str(table.alias or self._view.name)
        self._is_plain = not table.alias  # an alias hides the schema

    def anchor(self, kind: Literal["dimension", "measure"]) -> Term:
        """Return a member of a kind: what a condition that never holds can be written with."""
        for item in self._view.members.values():
            term = self._term(item) if item.public else None
            if term is not None and term.kind == kind:
                return term
        raise QueryError(f"the view {self._view.name} has no {kind} to filter by")

    def find(self, column: exp.Column) -> Term:
        """Return the member that a column names.

        Raises:
            UnknownMemberError: there is none, or it is hidden.
        """
        check_only(column, "this", "table", "db")
        if isinstance(column.this, exp.Star):
            raise refuse(column, "every column at once is not answered", "name the columns")
        schema = column.args.get("db")
        if schema is not None and not (self._is_plain and pick_name(schema, {SCHEMA})):
            raise UnknownMemberError(f"{show(column)}: the statement reads {self._alias}")
        table = column.args.get("table")
        if table is not None and not pick_name(table, {self._alias}):
            raise UnknownMemberError(
                f"{show(column)}: the statement reads {self._alias}, not {table.name}"
            )
        name = pick_name(column.this, self._view.members)
        item = None if name is None else self._view.members[name]
        term = self._term(item) if item is not None and item.public else None
        if term is None:
            self._refuse_unknown(str(column.name))
        return term

    def list_terms(self) -> list[Term]:
        """Return every member that the caller may name, in the view's order."""
        terms = (self._term(item) for item in self._view.members.values() if item.public)
        return [term for term in terms if term is not None]

    def has(self, column: exp.Column) -> bool:
        """Whether the view has a column of that name."""
        return pick_name(column.this, self._view.members) is not None

    def read(  # noqa: RET503 -- the last case does not return
        self, node: exp.Expr
    ) -> Term:
        """Return the member that an expression stands for.

        Raises:
            QueryError: it stands for none: an aggregate or a calculation of the caller's own.
            UnknownMemberError: it names a member that is none.
            UnsupportedError: it is something else.
        """
        node = node.unnest()
        match node:
            case exp.Column():
                term = self.find(node)
                if term.kind == "measure":
                    raise QueryError(
                        f"{term.short} is a measure and cannot stand by itself",
                        suggestion=f"write MEASURE({term.short})",
                    )
                return term
            case exp.TimestampTrunc() | exp.DateTrunc():
                return self._read_truncated(node)
            case exp.Anonymous() if str(node.name).lower() == _MEASURE:
                return self._read_measure(node)
            case exp.Count() if isinstance(node.this, exp.Star):
                check_only(node, "this", "big_int")
                return self._count_rows(node)
            case exp.Sum() | exp.Avg() | exp.Min() | exp.Max() | exp.Count():
                return self._read_aggregate(node)
            case _:
                self._refuse_expression(node)

    def _term(self, item: ViewMember) -> Term | None:
        cube = self._catalog.cubes.get(item.cube)
        if cube is None:
            return None
        name = f"{self._view.name}.{item.name}"
        found: Dimension | Measure | None
        match item.kind:
            case "measure":
                found = cube.measures.get(item.member)
            case "dimension":
                found = cube.dimensions.get(item.member)
            case "segment":
                return Term(name, "segment", "boolean") if item.member in cube.segments else None
            case "hierarchy":
                return None
        if isinstance(found, Dimension):
            return Term(name, item.kind, found.type, None, list_granularities(found))
        return None if found is None else Term(name, item.kind, found.type)

    def _read_truncated(self, node: exp.TimestampTrunc | exp.DateTrunc) -> Term:
        check_only(node, "this", "unit")
        if not isinstance(node.this, exp.Column):
            raise refuse(node, "DATE_TRUNC cuts a time column of the view, nothing else")
        term = self.find(node.this)
        if term.kind != "dimension" or term.type != "time":
            raise refuse(node, f"{term.short} is not a time")
        unit = node.args.get("unit")
        name = str(unit.name).lower() if isinstance(unit, exp.Var | exp.Literal) else ""
        known = term.granularities
        if name not in known:
            raise refuse(
                node,
                "there is no such time grain here",
                suggest(name[:SHOWN], known) or f"use one of {', '.join(known)}",
            )
        return Term(term.member, "dimension", "time", name)

    def _read_measure(self, node: exp.Anonymous) -> Term:
        check_only(node, "this", "expressions")
        match node.expressions:
            case [exp.Column() as column]:
                term = self.find(column)
            case _:
                raise QueryError(
                    f"{show(node)}: MEASURE takes the name of one measure",
                    suggestion=self._propose(""),
                )
        if term.kind != "measure":
            raise QueryError(
                f"{show(node)}: {term.short} is a {term.kind}, not a measure",
                suggestion=self._propose(term.short),
            )
        return term

    def _read_aggregate(self, node: exp.Expr) -> Term:
        check_only(node, "this", "big_int")
        operand = node.this
        allowed = _AGGREGATES[type(node)]
        if isinstance(operand, exp.Distinct) and isinstance(node, exp.Count):
            check_only(operand, "expressions")
            if len(operand.expressions) == 1:
                operand, allowed = operand.expressions[0], _DISTINCT
        if not isinstance(operand, exp.Column):
            self._refuse_aggregate(node)
        term = self.find(operand)
        if term.kind != "measure":
            self._refuse_aggregate(node, term.short)
        if term.type not in allowed:
            raise QueryError(
                f"{show(node)}: {term.short} is a measure of type {term.type}, "
                "which already says how it is aggregated",
                suggestion=f"write MEASURE({term.short})",
            )
        return term

    def _count_rows(self, node: exp.Expr) -> Term:
        """Return the view's first measure that counts the rows of its root, all of them."""
        for item in self._view.members.values():
            term = self._term(item) if item.public and item.kind == "measure" else None
            if term is None or term.type != "count" or len(item.join_path) != 1:
                continue
            measure = self._catalog.cubes[item.cube].measures[item.member]
            if measure.sql is None and not measure.filters:
                return term
        raise QueryError(
            f"{show(node)}: the view {self._view.name} has no measure that counts its rows",
            suggestion=self._propose("count"),
        )

    def _refuse_aggregate(self, node: exp.Expr, near: str = "") -> NoReturn:
        raise QueryError(f"{show(node)} is not a governed measure", suggestion=self._propose(near))

    def _refuse_expression(self, node: exp.Expr) -> NoReturn:
        if isinstance(node, exp.AggFunc):
            self._refuse_aggregate(node)
        if isinstance(node, exp.Subquery | exp.Select):
            raise refuse(node, "a sub-select is not answered", "ask the view itself")
        if isinstance(node, exp.Star):
            raise refuse(node, "every column at once is not answered", "name the columns")
        if node.find(exp.TimestampTrunc, exp.DateTrunc) is not None:
            raise refuse(
                node,
                "this time grain is not answered",
                f"choose one of {', '.join(GRANULARITIES)}",
            )
        if node.find(exp.Anonymous, exp.AggFunc) is not None:
            raise QueryError(
                f"{show(node)} computes a number that the model does not define",
                suggestion="ask for a measure by itself, or have this one added to the model",
            )
        raise refuse(
            node,
            "a calculation is not answered",
            "name a column of the view, DATE_TRUNC of a time, or MEASURE(…)",
        )

    def _refuse_unknown(self, name: str) -> NoReturn:
        shown = [item.name for item in self._view.members.values() if item.public]
        raise UnknownMemberError(
            f"the view {self._view.name} has no column {name[:100]}",
            suggestion=suggest(name[:100], shown),
        )

    def _propose(self, near: str) -> str:
        names = [
            item.name
            for item in self._view.members.values()
            if item.public and item.kind == "measure"
        ]
        close = [name for name in names if near and near in name]
        close += difflib.get_close_matches(near, names, n=_NAMED, cutoff=0.5)
        chosen = list(dict.fromkeys(close or names))[:_NAMED]
        if not chosen:
            return "the view has no measures"
        return f"use one of {', '.join(f'MEASURE({name})' for name in chosen)}"


def _find_view(visible: Catalog, table: exp.Table) -> View:
    check_only(table, "this", "db", "alias")
    schema = table.args.get("db")
    if schema is not None and not pick_name(schema, {SCHEMA}):
        raise UnknownMemberError(
            f"there is no schema {schema.name[:100]}", suggestion="views are in public"
        )
    alias = table.args.get("alias")
    if alias is not None:
        check_only(alias, "this")
    if not isinstance(table.this, exp.Identifier):
        raise refuse(table, "only views can be read")
    shown = {name: view for name, view in visible.views.items() if view.public}
    name = pick_name(table.this, shown)
    if name is None:
        asked = str(table.name)[:100]
        raise UnknownMemberError(
            f"there is no view {asked}",
            suggestion=suggest(asked, shown) or f"use one of {', '.join(sorted(shown))}",
        )
    return shown[name]


def pick_name(identifier: exp.Expr, names: Container[str]) -> str | None:
    """Return the name that an identifier means: as written, or in lower case when not quoted."""
    name = str(identifier.name)
    if name in names:
        return name
    if not identifier.args.get("quoted") and name.lower() in names:
        return name.lower()
    return None
