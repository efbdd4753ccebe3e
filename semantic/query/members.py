"""Finds members by the names that callers write, and only those that callers may see."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NoReturn, Protocol, TypeVar

from semantic.catalog.catalog import Catalog, Cube, Dimension, Measure, Segment, View, ViewMember
from semantic.errors import InternalError, UnknownMemberError, suggest
from semantic.query.bound import DimensionUse, MeasureUse, SegmentUse

AnyUse = DimensionUse | MeasureUse | SegmentUse


class _Named(Protocol):
    @property
    def public(self) -> bool: ...


Item = TypeVar("Item", bound=_Named)


def find_member(catalog: Catalog, name: str) -> tuple[AnyUse, ViewMember | None]:
    """Return the member called `name`, and how its view shows it, when a view does.

    Raises:
        UnknownMemberError: there is none, or it is not public.
    """
    owner_name, _, short = name.partition(".")
    owner: Cube | View | None = catalog.cubes.get(owner_name) or catalog.views.get(owner_name)
    if owner is None or not owner.public:
        owners = [item.name for item in _owners(catalog) if item.public]
        raise UnknownMemberError(
            f"Cube '{owner_name}' not found for path '{name}'",
            suggestion=suggest(owner_name, owners),
        )
    if isinstance(owner, View):
        shown = owner.members.get(short)
        if shown is None or not shown.public or shown.kind == "hierarchy":
            refuse_member(catalog, name)
        return _resolve(catalog, shown), shown
    item = owner.dimensions.get(short) or owner.measures.get(short) or owner.segments.get(short)
    if item is None or not item.public:
        refuse_member(catalog, name)
    return _use(item, (owner_name,)), None


def refuse_member(catalog: Catalog, name: str) -> NoReturn:
    """Say that there is no such member, with the nearest one that the caller may see."""
    short = name.partition(".")[2]
    raise UnknownMemberError(
        f"'{short}' not found for path '{name}'", suggestion=suggest(name, public_members(catalog))
    )


def public_members(catalog: Catalog) -> Iterator[str]:
    """Yield the full names of all members that are public."""
    for cube in catalog.cubes.values():
        if cube.public:
            for items in (cube.measures, cube.dimensions, cube.segments):
                yield from (f"{cube.name}.{item.name}" for item in items.values() if item.public)
    for view in catalog.views.values():
        if view.public:
            yield from (f"{view.name}.{item.name}" for item in view.members.values() if item.public)


def hide_members(catalog: Catalog) -> Catalog:
    """Return the catalog without what is not public."""
    return dataclasses.replace(
        catalog,
        cubes=_filtered({name: _hide_cube(cube) for name, cube in catalog.cubes.items()}),
        views=_filtered(
            {
                name: dataclasses.replace(view, members=_filtered(view.members))
                for name, view in catalog.views.items()
            }
        ),
    )


def _hide_cube(cube: Cube) -> Cube:
    return dataclasses.replace(
        cube,
        dimensions=_filtered(cube.dimensions),
        measures=_filtered(cube.measures),
        segments=_filtered(cube.segments),
        hierarchies=_filtered(cube.hierarchies),
    )


def _filtered(items: Mapping[str, Item]) -> Mapping[str, Item]:
    return MappingProxyType({name: item for name, item in items.items() if item.public})


def _owners(catalog: Catalog) -> Iterator[Cube | View]:
    yield from catalog.cubes.values()
    yield from catalog.views.values()


def _resolve(catalog: Catalog, shown: ViewMember) -> AnyUse:
    cube = catalog.cubes[shown.cube]
    items: Mapping[str, Dimension | Measure | Segment]
    match shown.kind:
        case "measure":
            items = cube.measures
        case "dimension":
            items = cube.dimensions
        case "segment":
            items = cube.segments
        case "hierarchy":
            raise InternalError(f"{shown.view}.{shown.name} is a hierarchy, not a member")
    return _use(items[shown.member], shown.join_path)


def _use(item: Dimension | Measure | Segment, path: tuple[str, ...]) -> AnyUse:
    match item:
        case Dimension():
            return DimensionUse(item, path)
        case Measure():
            return MeasureUse(item, path)
        case Segment():
            return SegmentUse(item, path)
