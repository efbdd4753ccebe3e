"""Snippets become `Expression`s: every reference is resolved to a cube and a member that exist.

What a snippet may refer to depends on what it is for:

| usage     | columns                | dimensions        | measures               | aggregates |
|-----------|------------------------|-------------------|------------------------|------------|
| row       | yes                    | yes               | no                     | no         |
| aggregate | inside an aggregate    | inside an aggregate | outside an aggregate | yes        |
| stage     | no                     | yes               | yes                    | no         |
| computed  | yes                    | yes               | yes                    | no         |

`stage` is the SQL of a multi-stage measure, over the values and groups of its inner stage; `computed`
that of a dimension that is a sub-query or computed in stages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from semantic.catalog.calls import OWN, link_call
from semantic.catalog.catalog import (
    ColumnReference,
    Expression,
    ExpressionPart,
    MemberReference,
)
from semantic.catalog.join_graph import is_role
from semantic.errors import Problem, Span, suggest
from semantic.spec.cube import CubeSpec
from semantic.spec.intervals import UNITS
from semantic.spec.reader import NAME, Text
from semantic.spec.relation import Relation
from semantic.spec.sheet import DIALECT
from semantic.spec.snippet import (
    OwnColumn,
    Snippet,
    SnippetKind,
    SnippetReference,
    check_snippet,
)

MemberKind = Literal["dimension", "measure", "segment"]
Usage = Literal["row", "aggregate", "stage", "computed"]


@dataclass(frozen=True, slots=True)
class CubeNames:
    """The names of one cube's members, the granularities of its time dimensions, and its joins.

    `joins` says for each join's name which cube it leads to.
    """

    kinds: Mapping[str, MemberKind]
    granularities: Mapping[str, frozenset[str]]
    joins: Mapping[str, str] = field(default_factory=dict)


def list_names(spec: CubeSpec) -> CubeNames:
    """Return the names that snippets may use."""
    kinds: dict[str, MemberKind] = {}
    for dimension in spec.dimensions:
        kinds.setdefault(dimension.name, "dimension")
    for measure in spec.measures:
        kinds.setdefault(measure.name, "measure")
    for segment in spec.segments:
        kinds.setdefault(segment.name, "segment")
    times = {
        dimension.name: frozenset(UNITS).union(item.name for item in dimension.granularities)
        for dimension in spec.dimensions
        if dimension.type == "time"
    }
    return CubeNames(kinds, times, {join.name: join.cube for join in spec.joins})


@dataclass(slots=True)
class Resolver:
    """Resolves the snippets of one cube. `tables` collects what their sub-selects read."""

    cube: str
    names: Mapping[str, CubeNames]
    problems: list[Problem]
    tables: set[str] = field(default_factory=set)
    dialect: str = DIALECT

    def resolve(
        self, text: Text, usage: Usage, *, join: tuple[str, str] | None = None
    ) -> Expression:
        """Return the expression; a snippet with problems gives one without parts.

        `join` is a named join's name and cube, whose condition this is: both mean the role.
        """
        kind: SnippetKind = "aggregate" if usage == "aggregate" else "row"
        snippet = check_snippet(text, kind, self.problems, self.dialect)
        if snippet is None:
            return Expression((), text.span)
        self.tables.update(snippet.tables)
        if kind == "aggregate" and snippet.loose_columns:
            self._report(
                "not_aggregated",
                "a column outside of an aggregate function has no single value for a group",
                text.node.place(0),
                "wrap it, as in max({CUBE}.column), or refer to a measure",
            )
        parts = self._link_parts(snippet, text, usage, join)
        if usage == "stage" and any(isinstance(part, ColumnReference) for part in parts):
            self._report(
                "not_aggregated",
                "a multi-stage measure has no columns of its own",
                text.node.place(0),
                "refer to measures and dimensions in braces",
            )
        return Expression(tuple(parts), text.span)

    def _link_parts(
        self, snippet: Snippet, text: Text, usage: Usage, join: tuple[str, str] | None
    ) -> list[ExpressionPart]:
        parts: list[ExpressionPart] = []
        for part in snippet.parts:
            match part:
                case str():
                    _add_text(parts, part)
                case OwnColumn():
                    parts.append(ColumnReference(self.cube))
                    _add_text(parts, ".")
                case SnippetReference(call=call) if call is not None:
                    for piece in link_call(call, text, part.offset, self):
                        _add(parts, piece)
                case SnippetReference():
                    resolved = self._resolve(_renamed(part, join), text)
                    if resolved is None:
                        continue
                    if isinstance(resolved, MemberReference):
                        self._check_use(resolved, part, usage, text)
                    parts.append(self._in_role(resolved, part, join))
        return parts

    def resolve_relation(self, relation: Relation, text: Text) -> Expression:
        """Return a cube's own SELECT as an expression."""
        parts: list[ExpressionPart] = []
        for part in relation.parts:
            if isinstance(part, str):
                _add_text(parts, part)
            elif part.call is not None:
                for piece in link_call(part.call, text, part.offset, self, relation=True):
                    _add(parts, piece)
        return Expression(tuple(parts), text.span)

    def resolve_member(self, text: Text, allowed: Collection[str]) -> MemberReference | None:
        """Return the member that a name stands for, with or without braces, `CUBE.` and a path."""
        written = text.value.strip()
        if written.startswith("{") and written.endswith("}"):
            written = written[1:-1]
        path = tuple(name.strip() for name in written.split("."))
        if not all(NAME.match(name) for name in path):
            self._report(
                "reference_syntax", f"`{written[:60]}` is no member", text.node.place(0),
                "write cube.member",
            )  # fmt: skip
            return None
        found = self._resolve(SnippetReference(path, 0, dotted=False, aggregated=False), text)
        if not isinstance(found, MemberReference):
            return None
        kind = self.names[base_of(found.cube, self.names)].kinds[found.member]
        if kind not in allowed:
            self._report(
                "invalid_reference",
                f"`{written}` is a {kind}, not a {' or '.join(sorted(allowed))}",
                text.node.place(0),
            )
            return None
        return found

    def _in_role(
        self,
        part: ColumnReference | MemberReference,
        written: SnippetReference,
        join: tuple[str, str] | None,
    ) -> ColumnReference | MemberReference:
        """Return what refers to a named join's cube as a reference to the role."""
        if join is None:
            return part
        by_name = written.path[0] == join[0]
        if by_name or (part.cube == join[1] and join[1] != self.cube):
            return dataclasses.replace(part, cube=f"{self.cube}.{join[0]}")
        return part

    def _resolve(
        self, reference: SnippetReference, text: Text
    ) -> ColumnReference | MemberReference | None:
        path = reference.path
        head = path[0]
        own = self.names[self.cube]
        short = _read_short(reference, self.cube, own)
        if short is not None:
            return short
        place, shown = text.node.place(reference.offset), "{" + ".".join(path) + "}"
        if len(path) == 1:
            cube = self.cube if head in OWN else head
            if reference.dotted and cube in self.names:
                return ColumnReference(cube)
            if reference.dotted and head in own.joins:
                return ColumnReference(f"{self.cube}.{head}")
            if head in own.kinds and head not in OWN:
                return self._member(self.cube, path, reference, place)
            if cube in self.names:
                self._report(
                    "reference_syntax", f"{shown} stands for a relation, not a value", place,
                    f"write {shown}.column or {{{head}.member}}",
                )  # fmt: skip
                return None
            known = [*own.kinds, *self.names, "CUBE"]
            self._report(
                "unknown_reference", f"{shown} is no member of {self.cube} and no cube", place,
                suggest(head, known),
            )  # fmt: skip
            return None
        if head in OWN or head in self.names:
            cube = self.cube if head in OWN else head
            return self._member(cube, path[1:], reference, place)
        if head in own.kinds or head in own.joins:
            return self._member(self.cube, path, reference, place)
        self._report(
            "unknown_reference", f"{shown}: there is no cube `{head}`", place,
            suggest(head, [*self.names, "CUBE"]),
        )  # fmt: skip
        return None

    def _member(
        self, cube: str, names: tuple[str, ...], reference: SnippetReference, place: Span
    ) -> MemberReference | None:
        name, rest = names[0], names[1:]
        known = self.names[cube]
        granularities = known.granularities.get(name, frozenset())
        # `origin` may be a dimension and a join: `{flights.origin.city}` is behind the join.
        if rest and name in known.joins and not (len(rest) == 1 and rest[0] in granularities):
            return self._walk(cube, names, reference, place)
        if name not in known.kinds:
            self._report(
                "unknown_reference", f"{cube} has no member `{name}`", place,
                suggest(name, known.kinds),
            )  # fmt: skip
            return None
        if reference.dotted:
            self._report("reference_syntax", f"`{name}` is a value: no `.column` can follow", place)
            return None
        if not rest:
            return MemberReference(cube, name)
        if len(rest) > 1 or rest[0] not in granularities:
            self._report(
                "unknown_reference",
                f"{cube}.{name} has no granularity `{'.'.join(rest)}`",
                place,
                suggest(rest[0], granularities),
            )
            return None
        return MemberReference(cube, name, rest[0])

    def _walk(
        self, cube: str, names: tuple[str, ...], reference: SnippetReference, place: Span
    ) -> MemberReference | None:
        """Follow a join path; what lies behind a named join is a role."""
        path, base = [cube], cube
        while len(names) > 1 and names[0] in self.names[base].joins:
            target = self.names[base].joins[names[0]]
            if target not in self.names:
                return None  # the join itself is reported
            named = names[0] != target or is_role(path[-1])
            path.append(f"{path[-1]}.{names[0]}" if named else target)
            base, names = target, names[1:]
        found = self._member(base, names, reference, place)
        if found is None or found.path:
            return None
        return MemberReference(path[-1], found.member, found.granularity, tuple(path))

    def _check_use(
        self,
        member: MemberReference,
        reference: SnippetReference,
        kind: Usage,
        text: Text,
    ) -> None:
        what = self.names[base_of(member.cube, self.names)].kinds[member.member]
        if what == "dimension" and kind != "aggregate":
            return
        place, name = text.node.place(reference.offset), f"{member.cube}.{member.member}"
        if what == "segment":
            self._report(
                "invalid_reference", f"{name} is a segment: it has no value", place,
                "repeat its condition",
            )  # fmt: skip
        elif kind == "row" and what == "measure":
            self._report(
                "invalid_reference", f"{name} is a measure: it has no value in one row", place,
                "refer to dimensions and columns here",
            )  # fmt: skip
        elif kind == "aggregate" and what == "measure" and reference.aggregated:
            self._report(
                "nested_aggregate", f"{name} is a measure: it is aggregated already", place
            )
        elif kind == "aggregate" and what == "dimension" and not reference.aggregated:
            self._report(
                "not_aggregated",
                f"{name} is a dimension: outside of an aggregate it has no single value",
                place,
                f"wrap it, as in max({{{name}}})",
            )

    def _report(self, code: str, message: str, place: Span, suggestion: str | None = None) -> None:
        self.problems.append(Problem(code, message, place, suggestion))


def _read_short(
    reference: SnippetReference, cube: str, own: CubeNames
) -> ColumnReference | MemberReference | None:
    """Return what most references are, `{CUBE}.column` and `{member}`, without further ado."""
    head = reference.path[0]
    if len(reference.path) > 1:
        return None
    if head in OWN:
        return ColumnReference(cube) if reference.dotted else None
    if head in own.kinds and not reference.dotted:
        return MemberReference(cube, head)
    return None


def base_of(cube: str, names: Mapping[str, CubeNames]) -> str:
    """Return the cube itself, or the cube that a role is a role of."""
    if cube in names:
        return cube
    head, *rest = cube.split(".")
    for join in rest:
        head = names[head].joins[join]
    return head


def _renamed(reference: SnippetReference, join: tuple[str, str] | None) -> SnippetReference:
    """Return a reference to a named join's own name as one to its cube."""
    if join is None or reference.path[0] != join[0]:
        return reference
    return dataclasses.replace(reference, path=(join[1], *reference.path[1:]))


def _add(parts: list[ExpressionPart], part: ExpressionPart) -> None:
    if isinstance(part, str):
        _add_text(parts, part)
    else:
        parts.append(part)


def _add_text(parts: list[ExpressionPart], text: str) -> None:
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)
