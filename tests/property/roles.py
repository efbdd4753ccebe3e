"""Cubes under the names of joins: all that a cube is, once more, with its own name and joins renamed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tests.property.expressions import Column, Member
from tests.property.queries import Compares

if TYPE_CHECKING:
    from tests.property.model import Cube

T = TypeVar("T")
_LISTS = ("group_by", "reduce_by", "add_group_by", "excludes", "keeps", "member")


def make_roles(cubes: tuple[Cube, ...]) -> tuple[Cube, ...]:
    """Return the roles of the named joins, and of what the joined cubes join."""
    known = {cube.name: cube for cube in cubes}
    found: list[Cube] = []
    for cube in cubes:
        for join in cube.joins:
            if join.base:
                for name, role in rename_below(known, join.base, join.target).items():
                    found.append(renamed(known[name], rename_below(known, name, role)))
    return tuple(found)


def way_to(cube: str) -> tuple[str, ...]:
    """Return the cubes on the way to a role, from the cube that joins it; of another cube, itself."""
    names = cube.split(".")
    return tuple(".".join(names[: index + 1]) for index in range(len(names)))


def rename_below(cubes: Mapping[str, Cube], base: str, role: str) -> dict[str, str]:
    """Return the names in a role of the cube and of what its joins lead to."""
    names = {base: role}
    waiting = [base]
    for here in waiting:
        for join in cubes[here].joins:
            if join.target not in names and join.target in cubes:
                names[join.target] = f"{names[here]}.{join.target}"
                waiting.append(join.target)
    return names


def renamed(value: T, names: Mapping[str, str]) -> T:
    """Return a part of a cube with the cubes in it renamed."""
    found: Any = value
    match found:
        case Column() | Member():
            found = dataclasses.replace(found, cube=names.get(found.cube, found.cube))
        case Compares():
            found = dataclasses.replace(found, member=_rename(found.member, names))
        case tuple():
            found = tuple(renamed(part, names) for part in found)
        case _ if dataclasses.is_dataclass(found) and not isinstance(found, type):
            parts = {item.name: getattr(found, item.name) for item in dataclasses.fields(found)}
            kind = type(found).__name__
            for name, part in parts.items():
                if kind in {"Stage", "TimeShift"} and name in _LISTS:
                    parts[name] = _rename_listed(part, names)
                elif (kind, name) in {("Cube", "name"), ("Join", "target")}:
                    parts[name] = names.get(part, part)
                else:
                    parts[name] = renamed(part, names)
            found = type(found)(**parts)
        case _:
            pass
    result: T = found
    return result


def _rename_listed(part: Any, names: Mapping[str, str]) -> Any:
    if isinstance(part, tuple):
        return tuple(_rename(name, names) for name in part)
    return None if part is None else _rename(part, names)


def _rename(member: str, names: Mapping[str, str]) -> str:
    cube, _, name = member.rpartition(".")
    return f"{names.get(cube, cube)}.{name}"
