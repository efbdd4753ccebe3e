"""From view specs to views: join paths checked, members chosen, renamed, titled and foldered.

A member keeps its own `public` when `"*"` brings it; named in `includes` it is public, also when
its cube hides it. (Cube shows every included member; hiding what nobody named is the safer half.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from semantic.catalog.catalog import (
    Cube,
    Dimension,
    Hierarchy,
    Measure,
    Segment,
    View,
    ViewMember,
)
from semantic.catalog.join_graph import write_path
from semantic.catalog.link_policy import link_access_policy
from semantic.catalog.names import humanise
from semantic.catalog.view_parts import link_filters, link_folder
from semantic.errors import Problem, Span, suggest
from semantic.spec.formats import is_dimension_format, is_number_format
from semantic.spec.reader import Text
from semantic.spec.view import IncludeSpec, ViewCubeSpec, ViewSpec

MemberKind = Literal["measure", "dimension", "segment", "hierarchy"]


@dataclass(frozen=True, slots=True)
class _Source:
    """A member of a cube, whatever its kind, as a view sees it."""

    kind: MemberKind
    item: Measure | Dimension | Segment | Hierarchy


def link_view(
    spec: ViewSpec, cubes: Mapping[str, Cube], problems: list[Problem]
) -> tuple[View, ...]:
    """Return the view and those that `split` makes beside it.

    What is wrong is added to `problems`; the views are then for no use.
    """
    paths = _check_paths(spec, cubes, problems)
    names = dict.fromkeys([spec.name, *(_view_name(spec, part, path) for part, path in paths)])
    found: list[View] = []
    for name in names:
        parts = [item for item in paths if _view_name(spec, *item) == name]
        view = _link_part(spec, name, parts, cubes, problems)
        if view.members or not parts:
            found.append(view)
        else:
            problems.append(Problem("empty_view", f"view {name} has no members", spec.span))
    return tuple(found if len(names) == 1 else (view for view in found if view.members))


def _view_name(spec: ViewSpec, part: ViewCubeSpec, path: tuple[str, ...]) -> str:
    """Return the view that a part belongs to: its own when it is split off."""
    return f"{spec.name}_{part.alias or _short(path[-1])}" if part.split else spec.name


def _link_part(
    spec: ViewSpec,
    name: str,
    parts: list[tuple[ViewCubeSpec, tuple[str, ...]]],
    cubes: Mapping[str, Cube],
    problems: list[Problem],
) -> View:
    own = name == spec.name
    title = (spec.labels.title if own else None) or humanise(name)
    members: dict[str, ViewMember] = {}
    for cube_spec, path in parts:
        for span, member in _choose(name, title, cube_spec, path, cubes, problems):
            known = members.get(member.name)
            if known is None:
                members[member.name] = member
            else:
                problems.append(
                    Problem(
                        "duplicate_name",
                        f"{name} has `{member.name}` from {known.cube} and from {member.cube}",
                        span,
                        "use `prefix: true`, an `alias`, or exclude one of them",
                    )
                )
    folders = spec.folders if own else ()
    kinds = {member.name: member.kind for member in members.values()}
    return View(
        name=name,
        title=title,
        members=MappingProxyType(members),
        folders=tuple(link_folder(folder, members, problems) for folder in folders),
        filters=link_filters(spec, members, problems) if own else (),
        description=spec.labels.description if own else None,
        public=spec.labels.public is not False,
        meta=_freeze(spec.labels.meta),
        span=spec.span,
        policies=tuple(
            link_access_policy(policy, name, kinds, problems)
            for policy in (spec.policies if own else ())
        ),
    )


def _check_paths(
    spec: ViewSpec, cubes: Mapping[str, Cube], problems: list[Problem]
) -> list[tuple[ViewCubeSpec, tuple[str, ...]]]:
    """Return the parts of a view whose join paths exist, as the catalog names their cubes.

    From each root, a cube is reached in one way; a role is a cube of its own. Several roots make a
    view of several facts.
    """
    found: list[tuple[ViewCubeSpec, tuple[str, ...]]] = []
    reached: dict[tuple[str, str], tuple[str, ...]] = {}
    for cube_spec in spec.cubes:
        text = cube_spec.join_path
        path, problem = _check_path(text, cubes)
        for end in range(1, len(path) + 1):
            key, way = (path[0], path[end - 1]), path[:end]
            if problem is None and reached.setdefault(key, way) != way:
                problem = Problem(
                    "invalid_join_path",
                    f"view {spec.name} reaches {way[-1]} by {write_path(reached[key])} "
                    f"and by {write_path(way)}",
                    text.span,
                    f"give the joins to {way[-1]} names of their own, one for each way",
                )
        if problem is not None:
            problems.append(problem)
        else:
            found.append((cube_spec, path))
    return found


def _short(cube: str) -> str:
    """Return the last part of a role's name, or the name."""
    return cube.rpartition(".")[2]


def _check_path(text: Text, cubes: Mapping[str, Cube]) -> tuple[tuple[str, ...], Problem | None]:
    """Return the cubes of a path, roles by their names, as far as there are joins."""
    names = [name.strip() for name in text.value.split(".")]
    if names[0] not in cubes:
        return (), Problem(
            "unknown_cube", f"there is no cube `{names[0]}`", text.span, suggest(names[0], cubes)
        )
    path = [names[0]]
    for name in names[1:]:
        joins = cubes[path[-1]].joins
        if name not in joins or joins[name].target not in cubes:
            return tuple(path), Problem(
                "invalid_join_path",
                f"cube {path[-1]} declares no join to `{name}`",
                text.span,
                suggest(name, joins),
            )
        path.append(joins[name].target)
    if len(set(path)) != len(path):
        return tuple(path), Problem(
            "invalid_join_path", f"`{text.value}` runs in a circle", text.span
        )
    return tuple(path), None


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
    prefix = f"{spec.alias or _short(cube.name)}_" if spec.prefix else ""
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
        meta=_freeze(include.meta if include.meta is not None else meta),
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


def _unknown(cube: Cube, text: Text, known: Mapping[str, _Source]) -> Problem:
    return Problem(
        "unknown_reference",
        f"cube {cube.name} has no member `{text.value}`",
        text.span,
        suggest(text.value, known),
    )


def _freeze(meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return MappingProxyType(dict(meta or {}))
