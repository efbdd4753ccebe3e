"""Roles: one cube joined several times, each time under the name of the join.

A cube `orders` that joins `users` as `customer` and as `manager` has two relations beside it, and
both have everything of `users`: "orders.customer.city" and "orders.manager.city". A role is made
of its cube by renaming: in every snippet, mask, filter and list the cube's own name becomes the
role's, and what the cube joins becomes the role below it. So a dimension of `users` that refers to
`departments` means, in the role, the customer's department: "orders.customer.departments".

Roles are made when looked up. A cube may join itself (`users.manager`), and then there are endlessly
many: "users.manager.manager" is one. Iterating over the cubes gives those that the model declares.

A reference without a path is followed along the shortest joins from the cube that it stands in. In
a cube that plays roles these must be unique, since no query could say which are meant:
`find_ambiguous_references` refuses a model in which they are not. What the joins of the cube do not
lead to is no part of a role, and such a reference keeps its name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from semantic.catalog.catalog import (
    Cube,
    CubeSource,
    Dimension,
    Expression,
    Join,
    Measure,
    MemberReference,
    Segment,
)
from semantic.catalog.join_graph import JoinGraph, build_join_graph, is_role, write_path
from semantic.catalog.names import humanise
from semantic.errors import Problem, Span

MAXIMUM_LENGTH: Final = 12
"""Joins in the name of a role."""

_MEMORY: Final = 2000


class CubesAndRoles(Mapping[str, Cube]):
    """The declared cubes when iterated and counted; on look-up the roles as well."""

    __slots__ = ("_declared", "_graph", "_roles")

    def __init__(self, declared: Mapping[str, Cube]) -> None:
        self._declared = declared
        self._roles: dict[str, Cube] = {}
        self._graph = build_join_graph(self)

    def __getitem__(self, name: str) -> Cube:
        found = self._declared.get(name)
        if found is None:
            found = self._roles.get(name) or self._make(name)
            if found is None:
                raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    @property
    def graph(self) -> JoinGraph:
        """The joins of the cubes and of the roles."""
        return self._graph

    def _make(self, name: str) -> Cube | None:
        """Return the role, or None when no joins are called so."""
        if not is_role(name) or name.count(".") > MAXIMUM_LENGTH:
            return None
        above, _, last = name.rpartition(".")
        parent = self.get(above)
        join = None if parent is None else parent.joins.get(last)
        base = None if join is None or join.target != name else self._declared.get(join.base)
        if parent is None or base is None:
            return None
        title = humanise(last) if last != base.name else base.title
        if parent.role_of is not None:
            title = f"{parent.title} {title}"
        made = _Renaming(self._graph, base, name, title).apply()
        if len(self._roles) >= _MEMORY:  # names come from queries: they must not fill the memory
            self._roles.clear()
        return self._roles.setdefault(name, made)


def add_roles(cubes: Mapping[str, Cube]) -> CubesAndRoles:
    """Return the cubes, and on look-up their roles. Hidden members may be gone from `cubes`."""
    return CubesAndRoles(cubes)


def find_ambiguous_references(cubes: CubesAndRoles) -> Iterator[Problem]:
    """Yield references, in cubes that play roles, to what equally short joins lead to."""
    for name in sorted(_list_players(cubes)):
        cube = cubes[name]
        for reference, span in dict.fromkeys(_references(cube, cube.span)):
            if reference.cube == name or reference.path:
                continue
            ways = list(islice(cubes.graph.shortest_paths(name, reference.cube), 2))
            if len(ways) > 1:
                yield Problem(
                    "ambiguous_reference",
                    f"{name} refers to {reference.cube}.{reference.member}, which equally short "
                    f"joins lead to: {write_path(ways[0])} and {write_path(ways[1])}",
                    span,
                    f"write the way: {{{write_path(ways[0])}.{reference.member}}}",
                )


def _list_players(cubes: Mapping[str, Cube]) -> set[str]:
    """Return the cubes that stand behind a named join, or below one that does."""
    waiting = [
        join.base
        for cube in cubes.values()
        for join in cube.joins.values()
        if is_role(join.target) and join.base in cubes
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            joins = cubes[name].joins.values()
            waiting += [base for join in joins if (base := join.base or join.target) in cubes]
    return found


class _Renaming:
    """Makes one role of one cube."""

    __slots__ = ("base", "graph", "renamed", "role", "title")

    def __init__(self, graph: JoinGraph, base: Cube, role: str, title: str) -> None:
        self.graph = graph
        self.base = base
        self.role = role
        self.title = title
        self.renamed: dict[str, str] = {}

    def apply(self) -> Cube:
        """Return the role."""
        changes: dict[str, Any] = {
            item.name: self._value(getattr(self.base, item.name))
            for item in dataclasses.fields(self.base)
            if item.name not in {"joins", "pre_aggregations"}
        }
        changes |= {"name": self.role, "title": self.title, "role_of": self.base.name}
        joins = {name: self._join(name, join) for name, join in self.base.joins.items()}
        # Rollups hold what the cube itself was asked; a role is answered from the source.
        return dataclasses.replace(
            self.base, **changes, joins=MappingProxyType(joins), pre_aggregations=()
        )

    def _join(self, name: str, join: Join) -> Join:
        """Return the join to the role below; in its SQL the target is that role, whatever is near."""
        below = f"{self.role}.{name}"
        inner = _Renaming(self.graph, self.base, self.role, self.title)
        inner.renamed = {join.target: below}
        return dataclasses.replace(
            join,
            cube=self.role,
            target=below,
            base=join.base or join.target,
            name=name,
            sql=inner._value(join.sql),
        )

    def _value(self, value: Any) -> Any:
        """Return any part of a cube with the names of cubes in it changed."""
        if isinstance(value, tuple):
            return tuple(self._value(item) for item in value)
        if isinstance(value, CubeSource) or not dataclasses.is_dataclass(value):
            if isinstance(value, Mapping) and any(map(dataclasses.is_dataclass, value.values())):
                return MappingProxyType({key: self._value(item) for key, item in value.items()})
            return value
        changes = {}
        for item in dataclasses.fields(value):
            old = getattr(value, item.name)
            new = self._field(value, item.name, old)
            if new is not old:
                changes[item.name] = new
        return dataclasses.replace(value, **changes) if changes else value  # type: ignore[type-var]

    def _field(self, owner: object, name: str, old: Any) -> Any:
        match name:
            case "cube" if isinstance(owner, MemberReference) and owner.path:
                return self._path(owner.path)[-1]
            case "cube" if isinstance(old, str):
                return self._cube(old)
            case "path" if isinstance(owner, MemberReference):
                return self._path(old)
            case "levels" | "drill_members":
                return tuple(self._member(item) for item in old)
            case "title" if isinstance(owner, Dimension | Measure | Segment):
                return f"{self.title}{str(old).removeprefix(self.base.title)}"
            case "meta" | "span":
                return old
            case _:
                return self._value(old)

    def _cube(self, name: str) -> str:
        """Return the name, seen from the role, of a cube that the base cube refers to."""
        if name == self.base.name:
            return self.role
        if name not in self.renamed:
            way = next(self.graph.shortest_paths(self.base.name, name), None)
            self.renamed[name] = name if way is None else self._below(way)
        return self.renamed[name]

    def _below(self, way: Iterable[str]) -> str:
        """Return the role at the end of a way that starts at the base cube."""
        return ".".join([self.role, *(self._join_name(cube) for cube in list(way)[1:])])

    def _join_name(self, cube: str) -> str:
        return cube.rpartition(".")[2]

    def _path(self, path: tuple[str, ...]) -> tuple[str, ...]:
        if not path:
            return path
        start = self._cube(path[0])
        if start == path[0]:
            return path  # not below the base cube
        names = [self._join_name(cube) for cube in path[1:]]
        return tuple(".".join([start, *names[:end]]) for end in range(len(path)))

    def _member(self, name: str) -> str:
        cube, _, member = name.rpartition(".")
        return f"{self._cube(cube)}.{member}"


def _references(value: Any, span: Span | None) -> Iterator[tuple[MemberReference, Span | None]]:
    """Yield every reference to a member in any part of a cube, but for the conditions of joins."""
    if isinstance(value, MemberReference):
        yield value, span
    elif isinstance(value, tuple):
        for item in value:
            yield from _references(item, span)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _references(item, span)
    elif dataclasses.is_dataclass(value) and not isinstance(value, Join):
        place = value.span if isinstance(value, Expression) else span
        for field in dataclasses.fields(value):
            yield from _references(getattr(value, field.name), place)
