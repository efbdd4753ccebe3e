"""Calls in braces become parts of expressions: FILTER_PARAMS, `cube.sql()`, convertTz, contexts.

The SQL that a call carries is checked like any snippet: one expression, its comments cut out, its
quotes and brackets closed, and a bare column is the cube's own. What stands for a condition is put
in brackets, so that NOT and AND around it mean all of it. In a cube's own SELECT (`relation`) there
is no cube around yet, and bare columns are those of its tables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, assert_never

from semantic.catalog.catalog import (
    Argument,
    ColumnReference,
    ContextValue,
    CubeSource,
    Expression,
    ExpressionPart,
    FilterGroup,
    FilterParameter,
    LocalTime,
    TemplatePart,
)
from semantic.errors import Problem, Span, suggest
from semantic.spec.context_references import (
    ContextCall,
    ContextFilterReference,
    ContextReference,
    FilterGroupReference,
    FilterReference,
    LocalTimeReference,
    SourceReference,
)
from semantic.spec.reader import Text
from semantic.spec.snippet import OwnColumn, SnippetReference, check_snippet
from semantic.spec.source import ScalarNode

if TYPE_CHECKING:
    from semantic.catalog.resolve import Resolver

OWN: Final = frozenset({"CUBE", "TABLE"})
_STEM: Final = "ducat_argument_"
_ARGUMENT: Final = re.compile(rf"{_STEM}([0-9]+)\Z")


def link_call(
    call: ContextCall, text: Text, offset: int, resolver: Resolver, *, relation: bool = False
) -> list[ExpressionPart]:
    """Return what a call stands for; what is wrong is added to the resolver's problems."""
    scope = _Scope(resolver, text.node.place(offset), relation=relation)
    match call:
        case SourceReference():
            return scope.source(call.cube)
        case FilterReference():
            found = scope.parameter(call)
            return [] if found is None else ["(", found, ")"]
        case FilterGroupReference():
            filters = (scope.parameter(item) for item in call.filters)
            return ["(", FilterGroup(tuple(item for item in filters if item is not None)), ")"]
        case LocalTimeReference():
            return [LocalTime(scope.inner(call.sql))]
        case ContextReference():
            return [ContextValue(call.path)]
        case ContextFilterReference():
            # A claim that is absent must not open the rows: nothing equals null.
            column: list[ExpressionPart] = [
                part
                for part in scope.template((call.column,))
                if not isinstance(part, Argument)  # a text has none
            ]
            return ["((", *column, ") = ", ContextValue(call.path), ")"]
        case _ as unreachable:
            assert_never(unreachable)


class _Scope:
    """Where a call stands."""

    __slots__ = ("place", "relation", "resolver")

    def __init__(self, resolver: Resolver, place: Span, *, relation: bool) -> None:
        self.resolver = resolver
        self.place = place
        self.relation = relation

    def report(self, code: str, message: str, suggestion: str | None = None) -> None:
        """Add a problem at the call."""
        self.resolver.problems.append(Problem(code, message, self.place, suggestion))

    def cube(self, name: str) -> str | None:
        """Return the cube that a name stands for."""
        found = self.resolver.cube if name in OWN else name
        if found in self.resolver.names:
            return found
        self.report(
            "unknown_cube", f"there is no cube `{name}`", suggest(name, self.resolver.names)
        )
        return None

    def source(self, name: str) -> list[ExpressionPart]:
        """Return the relation of another cube."""
        cube = self.cube(name)
        if cube is None:
            return []
        if cube == self.resolver.cube and self.relation:
            self.report("reference_cycle", f"the `sql` of {cube} is made of itself")
            return []
        return [CubeSource(cube)]

    def parameter(self, call: FilterReference) -> FilterParameter | None:
        """Return a FILTER_PARAMS of a dimension or segment that exists."""
        cube = self.cube(call.cube)
        if cube is None:
            return None
        kinds = self.resolver.names[cube].kinds
        kind = kinds.get(call.member)
        if kind is None:
            near = suggest(call.member, kinds)
            self.report("unknown_reference", f"{cube} has no member `{call.member}`", near)
            return None
        if kind == "measure":
            self.report(
                "invalid_reference",
                f"{cube}.{call.member} is a measure: its filters are about groups, not rows",
                "name a dimension or a segment",
            )
            return None
        return FilterParameter(cube, call.member, self.template(call.template), call.is_lambda)

    def inner(self, sql: str) -> Expression:
        """Return the expression inside `convertTz`."""
        text = self._text(sql)
        if not self.relation:
            return self.resolver.resolve(text, "row")
        parts = tuple(part for part in self.template((sql,)) if isinstance(part, str))
        return Expression(parts, self.place)

    def template(self, pieces: tuple[str | int, ...]) -> tuple[TemplatePart, ...]:
        """Return the SQL of a template; `{CUBE}.column` and a lambda's values are its references."""
        if any(isinstance(piece, str) and _STEM in piece for piece in pieces):
            self.report("reference_syntax", f"`{_STEM}` is a name of our own")
            return ()
        sql = "".join(
            piece if isinstance(piece, str) else f"{{{_STEM}{piece}}}" for piece in pieces
        )
        snippet = check_snippet(
            self._text(sql), "row", self.resolver.problems, self.resolver.dialect
        )
        parts: list[TemplatePart] = []
        for part in () if snippet is None else snippet.parts:
            match part:
                case str():
                    parts.append(part)
                case OwnColumn():
                    if not self.relation:
                        parts += [ColumnReference(self.resolver.cube), "."]
                case SnippetReference():
                    found = self._reference(part)
                    if found is not None:
                        parts.append(found)
        if snippet is not None:
            self.resolver.tables.update(snippet.tables)
        return _joined(parts)

    def _reference(self, part: SnippetReference) -> TemplatePart | None:
        argument = _ARGUMENT.match(part.path[0]) if len(part.path) == 1 else None
        if argument is not None and not part.dotted and part.call is None:
            return Argument(int(argument[1]))
        if part.call is None and part.dotted and len(part.path) == 1 and not self.relation:
            cube = self.cube(part.path[0])
            return None if cube is None else ColumnReference(cube)
        shown = ".".join(part.path)[:60]
        shown = "the value" if argument is not None else f"{{{shown}}}"
        self.report(
            "reference_syntax", f"{shown} cannot stand in the SQL of a filter",
            "name the table's column" if self.relation else "write {CUBE}.column",
        )  # fmt: skip
        return None

    def _text(self, sql: str) -> Text:
        return Text(sql, ScalarNode(sql, "'", self.place))


def _joined(parts: list[TemplatePart]) -> tuple[TemplatePart, ...]:
    """Return the parts with texts beside each other as one."""
    joined: list[TemplatePart] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)
