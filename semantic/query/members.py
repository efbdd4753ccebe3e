"""Finds members by the names that callers write, and only those that callers may see.

A name is `cube.member`, with the joins to go through between the two (`orders.customer.city`), and
with a granularity after a time dimension (`orders.customer.created_at.month`). In a path an element
is a join's name as long as the cube reached so far has such a join and something follows; what comes
next is the member. Views have no joins: what they show is named by one word.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NoReturn, Protocol, TypeVar

from semantic.catalog.catalog import (
    Catalog,
    Cube,
    Dimension,
    Hierarchy,
    Measure,
    MemberReference,
    Segment,
    View,
    ViewMember,
)
from semantic.errors import InternalError, LimitExceededError, UnknownMemberError, suggest
from semantic.query.bound import DimensionUse, MeasureUse, SegmentUse

AnyUse = DimensionUse | MeasureUse | SegmentUse
CubeMember = Dimension | Measure | Segment

MAXIMUM_ELEMENTS: Final = 24
_SHOWN: Final = 100


class Sight(Protocol):
    """What a caller may see of the model."""

    def sees(self, owner: Cube | View, item: CubeMember | Hierarchy | ViewMember | None) -> bool:
        """Whether the caller may see a member; None asks for its cube or view itself."""


class PublicSight:
    """What the model makes public."""

    __slots__ = ()

    def sees(self, owner: Cube | View, item: CubeMember | Hierarchy | ViewMember | None) -> bool:
        """Whether it is public."""
        return owner.public and (item is None or item.public)


class FullSight:
    """Everything: for names that the model's author wrote, not a caller."""

    __slots__ = ()

    def sees(
        self,
        owner: Cube | View,  # noqa: ARG002 -- agreed by the protocol
        item: CubeMember | Hierarchy | ViewMember | None,  # noqa: ARG002
    ) -> bool:
        """Return True."""
        return True


PUBLIC: Final[Sight] = PublicSight()
EVERYTHING: Final[Sight] = FullSight()
Item = TypeVar("Item", bound=CubeMember | Hierarchy | ViewMember)


@dataclass(frozen=True, slots=True)
class Found:
    """A member by its name: its use, how its view shows it, and the name cut in two.

    `member` is the name without `granularity`.
    """

    use: AnyUse
    shown: ViewMember | None
    member: str
    granularity: str | None = None


def find_member(
    catalog: Catalog, name: str, sight: Sight = PUBLIC
) -> tuple[AnyUse, ViewMember | None]:
    """Return the member called `name`, and how its view shows it, when a view does.

    Raises:
        UnknownMemberError: there is none, or the caller may not see it.
    """
    found = find_named(catalog, name, sight)
    if found.granularity is not None:
        refuse_member(catalog, name, sight)
    return found.use, found.shown


def find_named(catalog: Catalog, name: str, sight: Sight = PUBLIC) -> Found:
    """Return the member called `name`, which may end in the granularity of a time dimension.

    Raises:
        UnknownMemberError: there is none, or the caller may not see it.
        LimitExceededError: the path is too long.
    """
    first, *rest = name.split(".")
    if len(rest) > MAXIMUM_ELEMENTS:
        raise LimitExceededError(f"'{clip(name)}' has more than {MAXIMUM_ELEMENTS} elements")
    view = catalog.views.get(first)
    if view is not None and sight.sees(view, None):
        shown = view.members.get(rest[0]) if rest else None
        if shown is None or shown.kind == "hierarchy" or not sight.sees(view, shown):
            refuse_member(catalog, name, sight)
        return _cut(catalog, name, _resolve(catalog, shown), shown, rest[1:], sight)
    cube = catalog.cubes.get(first)
    if cube is None or not sight.sees(cube, None):
        owners = [item.name for item in _owners(catalog) if sight.sees(item, None)]
        raise UnknownMemberError(
            f"Cube '{clip(first)}' not found for path '{clip(name)}'",
            suggestion=suggest(clip(first), owners),
        )
    cube, path, rest = walk(catalog, cube, rest)
    item = _member(cube, rest[0]) if rest else None
    if item is None or not all(sight.sees(catalog.cubes[step], None) for step in path):
        refuse_member(catalog, name, sight)
    if not sight.sees(cube, item):
        refuse_member(catalog, name, sight)
    return _cut(catalog, name, _use(item, path), None, rest[1:], sight)


def walk(
    catalog: Catalog, cube: Cube, elements: list[str]
) -> tuple[Cube, tuple[str, ...], list[str]]:
    """Follow the joins that `elements` begin with, leaving at least one element.

    Return the cube reached, the names of all cubes from the first to it, and what is left.
    """
    path = [cube.name]
    place = 0
    while place < len(elements) - 1 and (join := cube.joins.get(elements[place])) is not None:
        joined = catalog.cubes.get(join.target)
        if joined is None:  # a role of a role of a role, longer than any that the catalog makes
            break
        cube = joined
        path.append(cube.name)
        place += 1
    return cube, tuple(path), elements[place:]


def find_reference(catalog: Catalog, reference: MemberReference) -> AnyUse:
    """Return the member that the model itself names, whether callers may see it or not.

    Raises:
        InternalError: it is none, which loading the model refuses.
    """
    view = catalog.views.get(reference.cube)
    if view is not None:
        shown = view.members.get(reference.member)
        if shown is not None:
            return _resolve(catalog, shown)
    elif (cube := catalog.cubes.get(reference.cube)) is not None:
        item = _member(cube, reference.member)
        if item is not None:
            return _use(item, reference.path or (reference.cube,))
    raise InternalError(f"the model names {reference.cube}.{reference.member}, which is no member")


def clip(text: str) -> str:
    """Return at most the first 100 characters: what an error shows of what a caller wrote."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def refuse_member(catalog: Catalog, name: str, sight: Sight = PUBLIC) -> NoReturn:
    """Say that there is no such member, with the nearest one that the caller may see."""
    short = name.partition(".")[2]
    raise UnknownMemberError(
        f"'{clip(short)}' not found for path '{clip(name)}'",
        suggestion=suggest(clip(name), visible_members(catalog, sight)),
    )


def visible_members(catalog: Catalog, sight: Sight = PUBLIC) -> Iterator[str]:
    """Yield the full names of all members that the caller may see."""
    for cube in catalog.cubes.values():
        if sight.sees(cube, None):
            for items in (cube.measures, cube.dimensions, cube.segments):
                yield from (
                    f"{cube.name}.{item.name}" for item in items.values() if sight.sees(cube, item)
                )
    for view in catalog.views.values():
        if sight.sees(view, None):
            yield from (
                f"{view.name}.{item.name}"
                for item in view.members.values()
                if sight.sees(view, item)
            )


def hide_members(catalog: Catalog, sight: Sight = PUBLIC) -> Catalog:
    """Return the catalog without the members that the caller may not see.

    A cube or view that the caller may not see itself is not public there.
    """
    return dataclasses.replace(
        catalog,
        cubes=_SeenCubes(catalog.cubes, sight),
        views=MappingProxyType(
            {
                name: dataclasses.replace(
                    view,
                    members=_seen(sight, view, view.members),
                    public=sight.sees(view, None),
                )
                for name, view in catalog.views.items()
            }
        ),
    )


class _SeenCubes(Mapping[str, Cube]):
    """Cubes with only the members that the caller may see, made when they are looked at.

    Roles are not listed but found by their names, as in the mapping behind.
    """

    __slots__ = ("_cubes", "_made", "_sight")

    def __init__(self, cubes: Mapping[str, Cube], sight: Sight) -> None:
        self._cubes = cubes
        self._sight = sight
        self._made: dict[str, Cube] = {}

    def __getitem__(self, name: str) -> Cube:
        made = self._made.get(name)
        if made is None:
            made = _hide_cube(self._cubes[name], self._sight)
            if made.role_of is None:  # of roles there are endlessly many
                self._made[name] = made
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._cubes)

    def __len__(self) -> int:
        return len(self._cubes)


def _hide_cube(cube: Cube, sight: Sight) -> Cube:
    return dataclasses.replace(
        cube,
        dimensions=_seen(sight, cube, cube.dimensions),
        measures=_seen(sight, cube, cube.measures),
        segments=_seen(sight, cube, cube.segments),
        hierarchies=_seen(sight, cube, cube.hierarchies),
        public=sight.sees(cube, None),
    )


def _seen(sight: Sight, owner: Cube | View, items: Mapping[str, Item]) -> Mapping[str, Item]:
    # An owner that is not public keeps its members here: its own flag says what it is.
    whole = dataclasses.replace(owner, public=True)
    return MappingProxyType({name: item for name, item in items.items() if sight.sees(whole, item)})


def _owners(catalog: Catalog) -> Iterator[Cube | View]:
    yield from catalog.cubes.values()
    yield from catalog.views.values()


def _member(cube: Cube, name: str) -> CubeMember | None:
    return cube.dimensions.get(name) or cube.measures.get(name) or cube.segments.get(name)


def _cut(
    catalog: Catalog,
    name: str,
    use: AnyUse,
    shown: ViewMember | None,
    rest: list[str],
    sight: Sight,
) -> Found:
    match rest:
        case []:
            return Found(use, shown, name)
        case [granularity] if isinstance(use, DimensionUse):
            return Found(use, shown, name.rpartition(".")[0], granularity)
        case _:
            refuse_member(catalog, name, sight)


def _resolve(catalog: Catalog, shown: ViewMember) -> AnyUse:
    cube = catalog.cubes[shown.cube]
    items: Mapping[str, CubeMember]
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


def _use(item: CubeMember, path: tuple[str, ...]) -> AnyUse:
    match item:
        case Dimension():
            return DimensionUse(item, path)
        case Measure():
            return MeasureUse(item, path)
        case Segment():
            return SegmentUse(item, path)
