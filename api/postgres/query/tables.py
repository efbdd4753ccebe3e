"""What SQL may name: each view and each cube that a caller sees is a table."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from semantic.catalog.catalog import (
    Catalog,
    Cube,
    Dimension,
    Measure,
    Segment,
    View,
    ViewMember,
)

_KEPT: Final = 64
Kind = Literal["dimension", "measure", "segment"]
_FIRST_OID: Final = 16_384


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a member, with the type that the model gives it."""

    name: str
    kind: Kind
    type: str
    title: str
    description: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A cube or a view. `oid` is the same as long as the model is."""

    name: str
    oid: int
    is_view: bool
    title: str
    description: str | None
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of one caller. `shown` is its catalog in which each cube is a view as well."""

    whole: Catalog
    shown: Catalog
    tables: tuple[Table, ...]

    def find(self, name: str) -> Table | None:
        """Return the table of that name."""
        return next((table for table in self.tables if table.name == name), None)


class TableBook:
    """Keeps the tables of the callers that asked last. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[int, int], tuple[Catalog, Tables]] = OrderedDict()

    def open(self, whole: Catalog, visible: Catalog) -> Tables:
        """Return the tables of a caller who sees `visible`."""
        key = (id(whole), id(visible))
        with self._lock:
            found = self._made.get(key)
            if found is not None:
                return found[1]
        made = make_tables(whole, visible)
        with self._lock:
            # The catalog is kept with its tables: its id stays its own.
            self._made[key] = (visible, made)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made


def make_tables(whole: Catalog, visible: Catalog) -> Tables:
    """Return the tables of a caller who sees `visible` of the catalog `whole`."""
    views = {name: view for name, view in visible.views.items() if view.public}
    for name, cube in visible.cubes.items():
        if cube.public and cube.role_of is None and name not in views:
            views[name] = _as_view(cube)
    shown = dataclasses.replace(visible, views=MappingProxyType(views))
    tables = tuple(
        _table(whole, view, _FIRST_OID + number, is_view=name in visible.views)
        for number, (name, view) in enumerate(sorted(views.items()))
    )
    return Tables(whole, shown, tables)


def _as_view(cube: Cube) -> View:
    members: dict[str, ViewMember] = {}
    found: list[tuple[Kind, Dimension | Measure | Segment]] = [
        *(("dimension", item) for item in cube.dimensions.values()),
        *(("measure", item) for item in cube.measures.values()),
        *(("segment", item) for item in cube.segments.values()),
    ]
    for kind, item in found:
        members[item.name] = ViewMember(
            view=cube.name,
            name=item.name,
            kind=kind,
            cube=cube.name,
            member=item.name,
            join_path=(cube.name,),
            title=item.title,
            short_title=item.short_title,
            description=item.description,
            public=item.public,
        )
    return View(
        name=cube.name,
        title=cube.title,
        members=MappingProxyType(members),
        description=cube.description,
    )


def _table(whole: Catalog, view: View, oid: int, *, is_view: bool) -> Table:
    columns = tuple(
        column
        for item in view.members.values()
        if item.public and (column := _column(whole, item)) is not None
    )
    return Table(view.name, oid, is_view, view.title, view.description, columns)


def _column(whole: Catalog, item: ViewMember) -> Column | None:
    cube = whole.cubes.get(item.cube)
    if cube is None:
        return None
    type_: str | None
    match item.kind:
        case "dimension":
            dimension = cube.dimensions.get(item.member)
            type_ = None if dimension is None else dimension.type
        case "measure":
            measure = cube.measures.get(item.member)
            type_ = None if measure is None else measure.type
        case "segment":
            type_ = "boolean" if item.member in cube.segments else None
        case "hierarchy":
            return None
    if type_ is None:
        return None
    return Column(item.name, item.kind, type_, item.title, item.description)
