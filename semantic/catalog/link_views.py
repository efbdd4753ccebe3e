"""From view specs to views: join paths checked, members chosen, renamed, titled and foldered.

A member keeps its own `public` when `"*"` brings it; named in `includes` it is public, also when
its cube hides it. (Cube shows every included member; hiding what nobody named is the safer half.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

from semantic.catalog.catalog import (
    Cube,
    Dimension,
    Folder,
    Hierarchy,
    Measure,
    Segment,
    View,
    ViewMember,
)
from semantic.catalog.link import freeze
from semantic.catalog.names import humanise
from semantic.errors import Problem, Span, suggest
from semantic.spec.formats import is_dimension_format, is_number_format
from semantic.spec.reader import Text
from semantic.spec.view import FolderSpec, IncludeSpec, ViewCubeSpec, ViewSpec

MemberKind = Literal["measure", "dimension", "segment", "hierarchy"]


@dataclass(frozen=True, slots=True)
class _Source:
    """A member of a cube, whatever its kind, as a view sees it."""

    kind: MemberKind
    item: Measure | Dimension | Segment | Hierarchy


def link_view(spec: ViewSpec, cubes: Mapping[str, Cube], problems: list[Problem]) -> View:
    """Return the view; what is wrong is added to `problems`, the view is then for no use."""
    title = spec.labels.title or humanise(spec.name)
    members: dict[str, ViewMember] = {}
    paths = _check_paths(spec, cubes, problems)
    for cube_spec, path in paths:
        for span, member in _choose(spec.name, title, cube_spec, path, cubes, problems):
            known = members.get(member.name)
            if known is None:
                members[member.name] = member
            else:
                problems.append(
                    Problem(
                        "duplicate_name",
                        f"{spec.name} has `{member.name}` from {known.cube} and from {member.cube}",
                        span,
                        "use `prefix: true`, an `alias`, or exclude one of them",
                    )
                )
    if not members and paths:
        problems.append(Problem("empty_view", f"view {spec.name} has no members", spec.span))
    return View(
        name=spec.name,
        title=title,
        members=MappingProxyType(members),
        folders=tuple(_link_folder(folder, members, problems) for folder in spec.folders),
        description=spec.labels.description,
        public=spec.labels.public is not False,
        meta=freeze(spec.labels.meta),
        span=spec.span,
    )


def _check_paths(
    spec: ViewSpec, cubes: Mapping[str, Cube], problems: list[Problem]
) -> list[tuple[ViewCubeSpec, tuple[str, ...]]]:
    """Return the parts of a view whose join paths exist, one root and one path per cube."""
    found: list[tuple[ViewCubeSpec, tuple[str, ...]]] = []
    reached: dict[str, tuple[str, ...]] = {}
    for cube_spec in spec.cubes:
        text = cube_spec.join_path
        path = tuple(name.strip() for name in text.value.split("."))
        problem = _check_path(path, text, cubes)
        if problem is None and found and found[0][1][0] != path[0]:
            problem = Problem(
                "unsupported",
                f"view {spec.name} has two roots, {found[0][1][0]} and {path[0]}",
                text.span,
                "start every join_path of a view at one cube",
            )
        if problem is None:
            for end in range(1, len(path) + 1):
                cube, way = path[end - 1], path[:end]
                if reached.setdefault(cube, way) != way:
                    problem = Problem(
                        "invalid_join_path",
                        f"view {spec.name} reaches {cube} by {'.'.join(reached[cube])} "
                        f"and by {'.'.join(way)}",
                        text.span,
                        f"declare a cube that extends {cube} for the second role",
                    )
                    break
        if problem is not None:
            problems.append(problem)
        else:
            found.append((cube_spec, path))
    return found


def _check_path(path: tuple[str, ...], text: Text, cubes: Mapping[str, Cube]) -> Problem | None:
    if path[0] not in cubes:
        return Problem(
            "unknown_cube", f"there is no cube `{path[0]}`", text.span, suggest(path[0], cubes)
        )
    for left, right in pairwise(path):
        if right not in cubes[left].joins:
            return Problem(
                "invalid_join_path",
                f"cube {left} declares no join to `{right}`",
                text.span,
                suggest(right, cubes[left].joins),
            )
    if len(set(path)) != len(path):
        return Problem("invalid_join_path", f"`{text.value}` runs in a circle", text.span)
    return None


def _choose(
    view: str,
    view_title: str,
    spec: ViewCubeSpec,
    path: tuple[str, ...],
    cubes: Mapping[str, Cube],
    problems: list[Problem],
) -> Iterator[tuple[Span, ViewMember]]:
    cube = cubes[path[-1]]
    known = _list_members(cube)
    excluded = {text.value for text in spec.excludes}
    problems.extend(
        _unknown(cube, text, known) for text in spec.excludes if text.value not in known
    )
    includes = spec.includes
    if includes is None:
        includes = tuple(IncludeSpec(Text(name, spec.join_path.node)) for name in known)
    prefix = f"{spec.alias or cube.name}_" if spec.prefix else ""
    for include in includes:
        name = include.member.value
        source = known.get(name)
        if source is None:
            problems.append(_unknown(cube, include.member, known))
        elif name not in excluded:
            alias = include.alias.value if include.alias else name
            problems.extend(_check_format(include, source))
            yield (
                include.member.span,
                _show(view, view_title, f"{prefix}{alias}", source, include, path,
                      named=spec.includes is not None),
            )  # fmt: skip


def _show(
    view: str,
    view_title: str,
    name: str,
    source: _Source,
    include: IncludeSpec,
    path: tuple[str, ...],
    *,
    named: bool,
) -> ViewMember:
    item = source.item
    own = item.title if isinstance(item, Hierarchy) else item.short_title
    renamed = name != item.name and own == humanise(item.name)
    short = include.title or (humanise(name) if renamed else own)
    described = None if isinstance(item, Hierarchy) else item.description
    formatted = item.format if isinstance(item, Measure | Dimension) else None
    meta = {} if isinstance(item, Hierarchy) else item.meta
    return ViewMember(
        view=view,
        name=name,
        kind=source.kind,
        cube=path[-1],
        member=item.name,
        join_path=path,
        title=f"{view_title} {short}",
        short_title=short,
        description=include.description or described,
        format=include.format or formatted,
        public=named or item.public,
        meta=freeze(include.meta if include.meta is not None else meta),
    )


def _list_members(cube: Cube) -> dict[str, _Source]:
    found: dict[str, _Source] = {}
    for name, dimension in cube.dimensions.items():
        found[name] = _Source("dimension", dimension)
    for name, measure in cube.measures.items():
        found.setdefault(name, _Source("measure", measure))
    for name, segment in cube.segments.items():
        found.setdefault(name, _Source("segment", segment))
    for name, hierarchy in cube.hierarchies.items():
        found.setdefault(name, _Source("hierarchy", hierarchy))
    return found


def _check_format(include: IncludeSpec, source: _Source) -> Iterator[Problem]:
    value, item = include.format, source.item
    if value is None:
        return
    if isinstance(item, Dimension):
        valid = is_dimension_format(value, item.type)
    else:
        valid = isinstance(item, Measure) and is_number_format(value)
    if not valid:
        yield Problem(
            "invalid_value",
            f"`format: {value}` does not fit {item.name}",
            include.member.span,
        )


def _link_folder(
    spec: FolderSpec, members: Mapping[str, ViewMember], problems: list[Problem]
) -> Folder:
    if spec.includes is None:
        return Folder(spec.name, tuple(members))
    chosen: dict[str, None] = {}
    for entry in spec.includes:
        text = entry.text
        if entry.whole_path:
            path = tuple(name.strip() for name in text.value.split("."))
            found = [name for name, member in members.items() if member.join_path == path]
            wrong = f"the view takes nothing from `{text.value}`"
        else:
            found = [text.value] if text.value in members else []
            wrong = f"`{text.value}` is no member of the view"
        if not found:
            problems.append(
                Problem(
                    "unknown_reference",
                    f"folder `{spec.name}`: {wrong}",
                    text.span,
                    None if entry.whole_path else suggest(text.value, members),
                )
            )
        chosen.update(dict.fromkeys(found))
    return Folder(spec.name, tuple(chosen))


def _unknown(cube: Cube, text: Text, known: Mapping[str, _Source]) -> Problem:
    return Problem(
        "unknown_reference",
        f"cube {cube.name} has no member `{text.value}`",
        text.span,
        suggest(text.value, known),
    )
