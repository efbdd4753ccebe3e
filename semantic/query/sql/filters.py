"""WHERE and HAVING to filters, with SQL's three-valued logic kept.

SQL keeps a row when its condition is true: neither false nor unknown. So every comparison becomes a
filter that holds exactly where it is true. NOT is pushed down to the comparisons first, which the
laws of De Morgan allow for three values as well; AND and OR of what is left need no third value.

The filters of the layer follow Cube, whose negative operators keep nulls; SQL's do not. `x <> 'a'`
is therefore two filters: x is set, and x is not 'a'. A comparison with NULL is never true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from sqlglot import exp

from semantic.errors import LimitExceededError, QueryError
from semantic.query.query import AndFilter, Filter, MemberFilter, Operator, OrFilter
from semantic.query.sql.literals import Value, fit_value, read_value
from semantic.query.sql.patterns import read_pattern
from semantic.query.sql.strict import check_only, refuse, show
from semantic.query.sql.terms import Scope, Term

MAXIMUM_CONDITIONS: Final = 500
MAXIMUM_VALUES: Final = 10_000

Comparison = Literal["=", "<>", "<", "<=", ">", ">="]
Condition = Filter | bool
"""What holds where the SQL is true; True and False hold everywhere and nowhere."""

_COMPARISONS: Final[dict[type[exp.Expr], Comparison]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_NEGATED: Final[dict[Comparison, Comparison]] = {
    "=": "<>",
    "<>": "=",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
}
_FLIPPED: Final[dict[Comparison, Comparison]] = {
    "=": "=",
    "<>": "<>",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_ORDERED: Final[dict[Comparison, Operator]] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_PLACES: Final[dict[str, tuple[Operator, Operator]]] = {
    "whole": ("equals", "notEquals"),
    "inside": ("contains", "notContains"),
    "start": ("startsWith", "notStartsWith"),
    "end": ("endsWith", "notEndsWith"),
}
_TEXTS: Final = (exp.DType.VARCHAR, exp.DType.TEXT)
_COMPARABLE_TEXTS: Final = frozenset({"number", "string", "boolean"})


@dataclass(slots=True)
class Filters:
    """The filters and segments of one SELECT, while they are read."""

    scope: Scope
    filters: list[Filter] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    """The time dimensions that are compared with moments."""
    _count: int = 0

    def add_where(self, node: exp.Expr) -> None:
        """Add the condition of a WHERE.

        Raises:
            QueryError, UnsupportedError: it is not one that filters can say.
        """
        for part in _conjuncts(node):
            segment = self._segment(part)
            if segment is not None:
                self.segments.append(segment.member)
            else:
                self._add(self._read(part, "dimension", negated=False), "dimension")

    def add_having(self, node: exp.Expr) -> None:
        """Add the condition of a HAVING, which is one of measures.

        Raises:
            QueryError, UnsupportedError: it is not one that filters can say.
        """
        for part in _conjuncts(node):
            self._add(self._read(part, "measure", negated=False), "measure")

    def _add(self, condition: Condition, kind: Literal["dimension", "measure"]) -> None:
        if condition is False:
            anchor = self.scope.anchor(kind)
            condition = AndFilter(
                (MemberFilter(anchor.member, "set"), MemberFilter(anchor.member, "notSet"))
            )
        if condition is not True:
            self.filters.append(condition)

    def _read(
        self, node: exp.Expr, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        node = node.unnest()
        self._count += 1
        if self._count > MAXIMUM_CONDITIONS:
            raise LimitExceededError(f"at most {MAXIMUM_CONDITIONS} conditions are allowed")
        if node.args.get("negate"):
            negated = not negated
        match node:
            case exp.And() | exp.Or():
                check_only(node, "this", "expression")
                parts = [self._read(part, kind, negated=negated) for part in node.flatten()]
                return _all(parts) if isinstance(node, exp.And) is not negated else _any(parts)
            case exp.Not():
                return self._read(node.this, kind, negated=not negated)
            case exp.Boolean():
                return bool(node.this) is not negated
            case exp.Null():
                return False
            case _:
                return self._read_leaf(node, kind, negated=negated)

    def _read_leaf(
        self, node: exp.Expr, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        match node:
            case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
                return self._read_comparison(node, kind, negated=negated)
            case exp.In():
                return self._read_list(node, kind, negated=negated)
            case exp.Between():
                return self._read_between(node, kind, negated=negated)
            case exp.Is():
                return self._read_is(node, kind, negated=negated)
            case exp.Like() | exp.ILike():
                return self._read_like(node, kind, negated=negated)
            case exp.Column():
                term = self._operand(node, kind)
                if term.type != "boolean":
                    raise refuse(node, "it is no condition", "compare it with a value")
                return MemberFilter(term.member, "equals", ("false" if negated else "true",))
            case _:
                raise refuse(
                    node,
                    "this condition is not answered",
                    "use =, <>, <, <=, >, >=, IN, BETWEEN, ILIKE, IS NULL with AND, OR and NOT",
                )

    def _read_between(
        self, node: exp.Between, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        check_only(node, "this", "low", "high", "negate")
        term = self._operand(node.this, kind)
        low, high = node.args["low"], node.args["high"]
        if negated:
            return _any((self._compare(term, "<", low, node), self._compare(term, ">", high, node)))
        return _all((self._compare(term, ">=", low, node), self._compare(term, "<=", high, node)))

    def _read_comparison(
        self, node: exp.Expr, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        check_only(node, "this", "expression")
        left, right = node.this, node.expression
        comparison = _COMPARISONS[type(node)]
        if negated:
            comparison = _NEGATED[comparison]
        value = read_value(left)
        if value is None:
            return self._compare(self._operand(left, kind), comparison, right, node)
        other = read_value(right)
        if other is None:
            return self._compare(self._operand(right, kind), _FLIPPED[comparison], left, node)
        return _compare_values(value, comparison, other, node)

    def _compare(
        self, term: Term, comparison: Comparison, node: exp.Expr, whole: exp.Expr
    ) -> Condition:
        value = read_value(node)
        if value is None:
            raise refuse(whole, "a member is compared with a value, nothing else")
        if value.kind == "null":
            return False
        text = fit_value(value, term, whole)
        if term.kind == "dimension" and term.type == "time":
            self.times.append(term.member)
        match comparison:
            case "=":
                return MemberFilter(term.member, "equals", (text,))
            case "<>":
                return _not(term, "notEquals", (text,))
            case _:
                return MemberFilter(term.member, _ORDERED[comparison], (text,))

    def _read_list(
        self, node: exp.In, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        check_only(node, "this", "expressions", "negate")
        term = self._operand(node.this, kind)
        if len(node.expressions) > MAXIMUM_VALUES:
            raise LimitExceededError(f"IN takes at most {MAXIMUM_VALUES} values")
        values = []
        for item in node.expressions:
            value = read_value(item)
            if value is None:
                raise refuse(node, "IN takes values, nothing else")
            values.append(value)
        texts = tuple(fit_value(value, term, node) for value in values if value.kind != "null")
        if negated:
            return _not(term, "notIn", texts) if len(texts) == len(values) else False
        return MemberFilter(term.member, "in", texts) if texts else False

    def _read_is(
        self, node: exp.Is, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        check_only(node, "this", "expression", "negate")
        term = self._operand(node.this, kind)
        match node.expression:
            case exp.Null():
                return MemberFilter(term.member, "set" if negated else "notSet")
            case exp.Boolean() as value if term.type == "boolean":
                # IS TRUE is never unknown, so its opposite keeps nulls, as Cube's notEquals does.
                text = "true" if value.this else "false"
                return MemberFilter(term.member, "notEquals" if negated else "equals", (text,))
            case _:
                raise refuse(node, "IS takes NULL, or TRUE or FALSE for a boolean column")

    def _read_like(
        self, node: exp.Expr, kind: Literal["dimension", "measure"], *, negated: bool
    ) -> Condition:
        check_only(node, "this", "expression", "negate")
        term = self._text(node, kind)
        value = read_value(node.expression)
        if value is None or value.kind not in {"text", "null"}:
            raise refuse(node, "the pattern must be a text in single quotes")
        if value.kind == "null":
            return False
        pattern = read_pattern(value.text, node, cased=isinstance(node, exp.Like))
        if pattern is None:
            return False if negated else MemberFilter(term.member, "set")
        if pattern.place == "whole" and term.type not in {"string", "switch"}:
            raise refuse(node, f"{term.short} is not a text", "compare it with =")
        positive, negative = _PLACES[pattern.place]
        if negated:
            return _not(term, negative, (pattern.text,))
        return MemberFilter(term.member, positive, (pattern.text,))

    def _text(self, node: exp.Expr, kind: Literal["dimension", "measure"]) -> Term:
        """Return what a pattern is matched with; Superset casts what is no text to VARCHAR."""
        operand = node.this.unnest()
        if isinstance(operand, exp.Cast) and operand.to.this in _TEXTS:
            check_only(operand, "this", "to")
            check_only(operand.to, "this", "nested")
            operand = operand.this
        term = self._operand(operand, kind)
        if term.kind != "dimension" or term.type not in _COMPARABLE_TEXTS:
            raise refuse(node, f"{term.short} is not a text")
        return term

    def _operand(self, node: exp.Expr, kind: Literal["dimension", "measure"]) -> Term:
        node = node.unnest()
        term = self.scope.read(node)
        if term.kind == "segment":
            raise refuse(
                node,
                "a segment can only stand by itself among conditions that must all hold",
                f"write … AND {term.short}",
            )
        if kind == "dimension" and term.kind == "measure":
            raise QueryError(
                f"{show(node)}: a measure cannot be a condition of WHERE",
                suggestion="put it in HAVING",
            )
        if kind == "measure" and term.kind == "dimension":
            raise QueryError(
                f"{show(node)}: a column cannot be a condition of HAVING",
                suggestion="put it in WHERE",
            )
        if term.granularity is not None:
            raise refuse(
                node, "a cut time cannot be compared", f"compare {term.short} with two moments"
            )
        return term

    def _segment(self, node: exp.Expr) -> Term | None:
        """Return the segment that a condition asks to hold, as a column or compared with TRUE."""
        column = node
        if isinstance(node, exp.Is | exp.EQ) and not node.args.get("negate"):
            right = node.expression
            if not (isinstance(right, exp.Boolean) and right.this):
                return None
            column = node.this.unnest()
        if not isinstance(column, exp.Column) or not self.scope.has(column):
            return None
        term = self.scope.find(column)
        return term if term.kind == "segment" else None


def _conjuncts(node: exp.Expr) -> Iterable[exp.Expr]:
    """Yield the conditions that must all hold, without the brackets around them."""
    node = node.unnest()
    if not isinstance(node, exp.And):
        yield node
        return
    for part in node.flatten():
        yield from _conjuncts(part)


def _not(term: Term, name: Operator, values: tuple[str, ...]) -> Filter:
    return AndFilter((MemberFilter(term.member, "set"), MemberFilter(term.member, name, values)))


def _all(conditions: Iterable[Condition]) -> Condition:
    parts: list[Filter] = []
    for condition in conditions:
        if condition is False:
            return False
        if condition is not True:
            parts.append(condition)
    if not parts:
        return True
    return parts[0] if len(parts) == 1 else AndFilter(tuple(parts))


def _any(conditions: Iterable[Condition]) -> Condition:
    parts: list[Filter] = []
    for condition in conditions:
        if condition is True:
            return True
        if condition is not False:
            parts.append(condition)
    if not parts:
        return False
    return parts[0] if len(parts) == 1 else OrFilter(tuple(parts))


def _compare_values(left: Value, comparison: Comparison, right: Value, node: exp.Expr) -> bool:
    """Return whether two written values compare so, as in `1 = 0`."""
    if "null" in {left.kind, right.kind}:
        return False
    if left.kind != right.kind or left.kind not in {"number", "text"}:
        raise refuse(node, "these two values cannot be compared")
    if left.kind == "text" and comparison not in {"=", "<>"}:
        raise refuse(node, "the order of two texts is not answered")
    if left.kind == "text":
        return (left.text == right.text) is (comparison == "=")
    first, second = Decimal(left.text), Decimal(right.text)
    match comparison:
        case "=" | "<>":
            return (first == second) is (comparison == "=")
        case "<" | ">=":
            return (first < second) is (comparison == "<")
        case "<=" | ">":
            return (first <= second) is (comparison == "<=")
