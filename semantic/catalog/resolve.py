"""Snippets become `Expression`s: every reference is resolved to a cube and a member that exist.

What a snippet may refer to depends on what it is for:

| usage     | columns                | dimensions        | measures               | aggregates |
|-----------|------------------------|-------------------|------------------------|------------|
| row       | yes                    | yes               | no                     | no         |
| aggregate | inside an aggregate    | inside an aggregate | outside an aggregate | yes        |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from semantic.catalog.catalog import ColumnReference, Expression, MemberReference
from semantic.errors import Problem, Span, suggest
from semantic.spec.cube import CubeSpec
from semantic.spec.intervals import UNITS
from semantic.spec.reader import Text
from semantic.spec.snippet import (
    OwnColumn,
    SnippetKind,
    SnippetReference,
    check_snippet,
)

MemberKind = Literal["dimension", "measure", "segment"]

_OWN: Final = frozenset({"CUBE", "TABLE"})


@dataclass(frozen=True, slots=True)
class CubeNames:
    """The names of one cube's members, and the granularities of its time dimensions."""

    kinds: Mapping[str, MemberKind]
    granularities: Mapping[str, frozenset[str]]


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
    return CubeNames(kinds, times)


@dataclass(slots=True)
class Resolver:
    """Resolves the snippets of one cube. `tables` collects what their sub-selects read."""

    cube: str
    names: Mapping[str, CubeNames]
    problems: list[Problem]
    tables: set[str] = field(default_factory=set)

    def resolve(self, text: Text, kind: SnippetKind) -> Expression:
        """Return the expression; a snippet with problems gives one without parts."""
        snippet = check_snippet(text, kind, self.problems)
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
        parts: list[str | ColumnReference | MemberReference] = []
        for part in snippet.parts:
            match part:
                case str():
                    _add_text(parts, part)
                case OwnColumn():
                    parts.append(ColumnReference(self.cube))
                    _add_text(parts, ".")
                case SnippetReference():
                    resolved = self._resolve(part, text)
                    if resolved is None:
                        continue
                    parts.append(resolved)
                    if isinstance(resolved, MemberReference):
                        self._check_use(resolved, part, kind, text)
        return Expression(tuple(parts), text.span)

    def _resolve(
        self, reference: SnippetReference, text: Text
    ) -> ColumnReference | MemberReference | None:
        path, place = reference.path, text.node.place(reference.offset)
        head, shown = path[0], "{" + ".".join(path) + "}"
        own = self.names[self.cube]
        if len(path) == 1:
            cube = self.cube if head in _OWN else head
            if reference.dotted and cube in self.names:
                return ColumnReference(cube)
            if head in own.kinds and head not in _OWN:
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
        if head in _OWN or head in self.names:
            cube = self.cube if head in _OWN else head
            return self._member(cube, path[1:], reference, place)
        if head in own.kinds:
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
        if name not in known.kinds:
            if name in self.names and rest:
                self._report(
                    "unsupported", "join paths in references are not supported yet", place,
                    f"write {{{'.'.join(names)}}}",
                )  # fmt: skip
                return None
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
        granularities = known.granularities.get(name, frozenset())
        if len(rest) > 1 or rest[0] not in granularities:
            self._report(
                "unknown_reference",
                f"{cube}.{name} has no granularity `{'.'.join(rest)}`",
                place,
                suggest(rest[0], granularities),
            )
            return None
        return MemberReference(cube, name, rest[0])

    def _check_use(
        self,
        member: MemberReference,
        reference: SnippetReference,
        kind: SnippetKind,
        text: Text,
    ) -> None:
        what = self.names[member.cube].kinds[member.member]
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


def _add_text(parts: list[str | ColumnReference | MemberReference], text: str) -> None:
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)
