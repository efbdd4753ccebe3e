"""Members as the doors describe them: a cube's own, or the one behind a view's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from semantic.catalog.catalog import (
    Catalog,
    Cube,
    Dimension,
    Granularity,
    Measure,
    Segment,
    View,
)
from semantic.query.members import walk

Kind = Literal["measure", "dimension", "segment"]
Type = Literal["string", "number", "boolean", "time", "geo", "switch"]
NOT_NUMBERS: Final[Mapping[str, Type]] = {"string": "string", "time": "time", "boolean": "boolean"}


@dataclass(frozen=True, slots=True)
class Model:
    """The model as one request uses it: the whole one, and what the caller may see of it."""

    whole: Catalog
    visible: Catalog

    def shows(self, full_name: str) -> bool:
        """Whether the caller may see a member."""
        owner, *rest = full_name.split(".")
        if owner in self.visible.views:
            view = self.visible.views[owner]
            return view.public and len(rest) == 1 and rest[0] in view.members
        if owner not in self.visible.cubes:
            return False
        cube, _, rest = walk(self.visible, self.visible.cubes[owner], rest)
        if not cube.public or len(rest) != 1:
            return False
        return any(rest[0] in items for items in (cube.measures, cube.dimensions, cube.segments))


@dataclass(frozen=True, slots=True)
class Member:
    """One member with the names that its cube or view gives it, and what defines it."""

    owner: str
    name: str
    kind: Kind
    type: Type
    title: str
    short_title: str
    description: str | None
    format: str | None
    public: bool
    meta: Mapping[str, Any]
    definition: Measure | Dimension | Segment
    alias_of: str | None = None
    drill_members: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """`cube.member`."""
        return f"{self.owner}.{self.name}"

    @property
    def currency(self) -> str | None:
        """The currency that a money measure or dimension is in."""
        return None if isinstance(self.definition, Segment) else self.definition.currency

    @property
    def granularities(self) -> tuple[Granularity, ...]:
        """The custom granularities of a time dimension."""
        return self.definition.granularities if isinstance(self.definition, Dimension) else ()

    @property
    def is_key(self) -> bool:
        """Whether it is (a part of) the primary key of its cube."""
        return isinstance(self.definition, Dimension) and self.definition.primary_key


def find_member(catalog: Catalog, full_name: str) -> Member | None:
    """Return the member of that name, or None; `catalog` is the whole one.

    The name may lead through joins: `orders.customer.city`.
    """
    owner, *rest = full_name.split(".")
    if owner in catalog.views and len(rest) == 1:
        return _view_member(catalog, catalog.views[owner], rest[0])
    if owner not in catalog.cubes:
        return None
    cube, _, rest = walk(catalog, catalog.cubes[owner], rest)
    return _cube_member(catalog, cube.name, rest[0]) if len(rest) == 1 else None


def list_owners(catalog: Catalog) -> tuple[Cube | View, ...]:
    """Return the public cubes, then the public views."""
    cubes = tuple(cube for cube in catalog.cubes.values() if cube.public)
    return (*cubes, *(view for view in catalog.views.values() if view.public))


def list_members(catalog: Catalog, whole: Catalog, owner: str) -> Iterator[Member]:
    """Yield the public members of a cube or view of `catalog`, in the order of the model.

    `catalog` is what the caller may see; `whole` also holds the cubes behind the views.
    """
    if owner in catalog.views:
        names = [item.name for item in catalog.views[owner].members.values()]
    else:
        cube = catalog.cubes[owner]
        names = [*cube.measures, *cube.dimensions, *cube.segments]
    for name in names:
        member = find_member(whole, f"{owner}.{name}")
        if member is not None and member.public:
            yield member


def _cube_member(catalog: Catalog, owner: str, name: str) -> Member | None:
    cube = catalog.cubes[owner]
    found = cube.measures.get(name) or cube.dimensions.get(name) or cube.segments.get(name)
    if found is None:
        return None
    return Member(
        owner=owner,
        name=name,
        kind=_kind(found),
        type=_type(found),
        title=found.title,
        short_title=found.short_title,
        description=found.description,
        format=None if isinstance(found, Segment) else found.format,
        public=found.public,
        meta=found.meta,
        definition=found,
        drill_members=found.drill_members if isinstance(found, Measure) else (),
    )


def _view_member(catalog: Catalog, view: View, name: str) -> Member | None:
    shown = view.members.get(name)
    if shown is None or shown.kind == "hierarchy":
        return None
    behind = _cube_member(catalog, shown.cube, shown.member)
    if behind is None:
        return None
    names = {f"{item.cube}.{item.member}": item.name for item in view.members.values()}
    return Member(
        owner=view.name,
        name=name,
        kind=behind.kind,
        type=behind.type,
        title=shown.title,
        short_title=shown.short_title,
        description=shown.description or behind.description,
        format=shown.format or behind.format,
        public=shown.public,
        meta=shown.meta or behind.meta,
        definition=behind.definition,
        alias_of=behind.full_name,
        drill_members=tuple(
            f"{view.name}.{names[drill]}" for drill in behind.drill_members if drill in names
        ),
    )


def _kind(found: Measure | Dimension | Segment) -> Kind:
    match found:
        case Measure():
            return "measure"
        case Dimension():
            return "dimension"
        case Segment():
            return "segment"


def _type(found: Measure | Dimension | Segment) -> Type:
    match found:
        case Measure():
            return NOT_NUMBERS.get(found.type, "number")
        case Dimension():
            return found.type
        case Segment():
            return "boolean"
