"""What a member's own SQL refers to, through other members, and by which ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from semantic.catalog.catalog import (
    Catalog,
    ColumnReference,
    CubeSource,
    Dimension,
    Measure,
    MemberReference,
    Segment,
)

_MEMORY: Final = 20_000
_NOT_SQL: Final = frozenset({"mask", "links", "drill_filters", "drill_members", "meta", "span"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A member of a cube, or (None) columns of it.

    `path` leads there from the first cube, as far as the model says; a path of one cube means the
    shortest joins. `inner`: the sub-query dimension (cube and name) that reads it, apart from the
    rows of the query. `apart`: it is read with the rows of conversions, which the query's conditions
    are not about.
    """

    cube: str
    member: str | None
    path: tuple[str, ...]
    inner: tuple[str, str] | None = None
    apart: bool = False


class References:
    """What the members of one catalog refer to, found once for each."""

    __slots__ = ("_catalog", "_found")

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._found: dict[tuple[str, str], tuple[Reference, ...]] = {}

    def of(self, cube: str, member: str) -> tuple[Reference, ...]:
        """Return the member itself, then everything that its SQL refers to."""
        key = (cube, member)
        known = self._found.get(key)
        if known is None:
            known = tuple(list_references(self._catalog, cube, member))
            if len(self._found) >= _MEMORY:  # of roles there are endlessly many
                self._found.clear()
            self._found[key] = known
        return known


def list_references(catalog: Catalog, cube: str, member: str) -> Iterator[Reference]:
    """Yield the member itself, then everything that its SQL, filters and stages refer to."""
    waiting = [Reference(cube, member, (cube,))]
    known = set(waiting)
    while waiting:
        current = waiting.pop()
        yield current
        owner = catalog.cubes.get(current.cube)
        if owner is None or current.member is None:
            continue
        item: Dimension | Measure | Segment | None = (
            owner.dimensions.get(current.member)
            or owner.measures.get(current.member)
            or owner.segments.get(current.member)
        )
        inner = current.inner
        if isinstance(item, Dimension) and item.sub_query:
            inner = (item.cube, item.name)
        sides = _sides(item)
        for part, apart in ((part, apart) for side, apart in sides for part in _parts(side)):
            found = _locate(part, current.path, inner=inner)
            found = dataclasses.replace(found, apart=current.apart or apart)
            if found.member is None and found.cube == current.cube:
                continue  # its own columns
            if found not in known and found.cube in catalog.cubes:
                known.add(found)
                waiting.append(found)


def _sides(item: object) -> tuple[tuple[object, bool], ...]:
    """Return what a member is made of, and whether it is read with the rows of conversions."""
    if isinstance(item, Measure) and item.conversion is not None:
        return ((item.conversion.base, False), (item.conversion.converted, True))
    return ((item, False),)


def _locate(
    part: MemberReference | ColumnReference | CubeSource,
    path: tuple[str, ...],
    *,
    inner: tuple[str, str] | None,
) -> Reference:
    member = part.member if isinstance(part, MemberReference) else None
    if isinstance(part, MemberReference) and part.path:
        whole = path + part.path[1:] if part.path[0] == path[-1] else part.path
        return Reference(part.cube, member, whole, inner)
    return Reference(part.cube, member, path if part.cube == path[-1] else (part.cube,), inner)


def _parts(value: object) -> Iterator[MemberReference | ColumnReference | CubeSource]:
    """Yield every reference in any part of a member that says what its value is."""
    if isinstance(value, MemberReference | ColumnReference | CubeSource):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _parts(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in _NOT_SQL:
                yield from _parts(getattr(value, field.name))
