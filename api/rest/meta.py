"""The model as Cube's `meta` describes it, for one caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from api.annotation import describe_drills
from api.members import Member, Model, list_members
from api.rest.snippets import render_expression
from semantic.catalog.catalog import (
    Catalog,
    Cube,
    Dimension,
    Folder,
    Hierarchy,
    Join,
    Measure,
    View,
    ViewGroup,
)


def encode_meta(
    visible: Catalog,
    whole: Catalog,
    *,
    extended: bool = False,
    only_views: bool = False,
    with_sql: bool = True,
) -> bytes:
    """Return the body of an answer to `meta`.

    `visible` is what the caller may see, `whole` holds the cubes behind the views. `extended` adds
    the joins and, `with_sql`, the SQL and the tables; without them the answer says so.
    """
    components = _components(whole)
    model = Model(whole, visible)
    cubes = [
        _describe_cube(cube, model, components[cube.name], extended=extended, with_sql=with_sql)
        for cube in visible.cubes.values()
        if cube.public and not only_views
    ]
    views = [_describe_view(view, model) for view in visible.views.values() if view.public]
    body: dict[str, Any] = {"cubes": [*cubes, *views]}
    if whole.view_groups:
        body["viewGroups"] = [_describe_group(group, visible) for group in whole.view_groups]
    body["ducat"] = {"catalogVersion": whole.version}
    if extended:
        body["ducat"]["sqlIncluded"] = with_sql
    return orjson.dumps(body, default=_to_json)


def _describe_cube(
    cube: Cube, model: Model, component: int, *, extended: bool, with_sql: bool
) -> dict[str, Any]:
    described = _heading(cube, "cube") | {"connectedComponent": component}
    described |= _members(model, cube.name, with_sql=extended and with_sql)
    described["hierarchies"] = [
        _hierarchy(cube.name, item) for item in cube.hierarchies.values() if item.public
    ]
    described |= {"folders": [], "nestedFolders": []}
    if extended:
        described["dataSource"] = cube.data_source
        described["joins"] = [
            _describe_join(name, join, with_sql=with_sql)
            for name, join in cube.joins.items()
            if model.visible.cubes[join.target].public
        ]
        if with_sql:
            described |= {
                "sql": render_expression(cube.sql),
                "sqlTable": cube.sql_table,
                "tables": cube.tables,
            }
    return described


def _describe_join(name: str, join: Join, *, with_sql: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "relationship": join.relationship}
    return described | ({"sql": render_expression(join.sql)} if with_sql else {})


def _describe_view(view: View, model: Model) -> dict[str, Any]:
    whole = model.whole
    described = _heading(view, "view") | _members(model, view.name, with_sql=False)
    shown = {f"{item.cube}.{item.member}": item.name for item in view.members.values()}
    hierarchies = []
    for item in view.members.values():
        if item.kind == "hierarchy" and item.public and item.cube in whole.cubes:
            found = whole.cubes[item.cube].hierarchies[item.member]
            levels = [f"{view.name}.{shown[level]}" for level in found.levels if level in shown]
            hierarchies.append(
                {
                    "name": f"{view.name}.{item.name}",
                    "aliasMember": f"{item.cube}.{item.member}",
                    "title": item.title,
                    "levels": levels,
                    "public": True,
                }
            )
    described["hierarchies"] = hierarchies
    described["folders"] = [_flat_folder(folder, view) for folder in view.folders]
    described["nestedFolders"] = [_nested_folder(folder, view) for folder in view.folders]
    groups = [*view.groups, *(item.name for item in whole.view_groups if view.name in item.views)]
    if groups:
        described["viewGroups"] = list(dict.fromkeys(groups))
    return described


def _flat_folder(folder: Folder, view: View) -> dict[str, Any]:
    """Return a folder with the members of the folders in it, for tools that know no nesting."""
    return {"name": folder.name, "members": list(dict.fromkeys(_below(folder, view)))}


def _below(folder: Folder, view: View) -> Iterator[str]:
    yield from _shown(folder, view)
    for inner in folder.folders:
        yield from _below(inner, view)


def _nested_folder(folder: Folder, view: View) -> dict[str, Any]:
    inner = [_nested_folder(item, view) for item in folder.folders]
    return {"name": folder.name, "members": [*_shown(folder, view), *inner]}


def _shown(folder: Folder, view: View) -> Iterator[str]:
    """Yield the members of a folder that the caller may see."""
    for member in folder.members:
        short = member.rpartition(".")[2]
        if short in view.members:
            yield f"{view.name}.{short}"


def _describe_group(group: ViewGroup, visible: Catalog) -> dict[str, Any]:
    described: dict[str, Any] = {"name": group.name, "title": group.title}
    if group.description:
        described["description"] = group.description
    described["views"] = [
        name for name in group.views if name in visible.views and visible.views[name].public
    ]
    return described


def _heading(owner: Cube | View, kind: str) -> dict[str, Any]:
    heading: dict[str, Any] = {"name": owner.name, "type": kind, "title": owner.title}
    if owner.description:
        heading["description"] = owner.description
    heading |= {"isVisible": owner.public, "public": owner.public}
    if owner.meta:
        heading["meta"] = dict(owner.meta)
    return heading


def _members(model: Model, owner: str, *, with_sql: bool) -> dict[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {"measures": [], "dimensions": [], "segments": []}
    for member in list_members(model.visible, model.whole, owner):
        item = _describe_member(member, model)
        if with_sql:
            item["sql"] = render_expression(member.definition.sql)
        lists[f"{member.kind}s"].append(item)
    return lists


def _describe_member(member: Member, model: Model) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": member.full_name,
        "title": member.title,
        "shortTitle": member.short_title,
    }
    if member.description:
        item["description"] = member.description
    if member.format:
        item["format"] = member.format
    if member.currency:
        item["currency"] = member.currency
    if member.alias_of:
        item["aliasMember"] = member.alias_of
    match member.definition:
        case Measure() as measure:
            cumulative = measure.rolling_window is not None
            item |= {
                "cumulativeTotal": cumulative,
                "cumulative": cumulative,
                "type": member.type,
                "aggType": measure.type,
            } | describe_drills(member.drill_members, model)
        case Dimension() as dimension:
            item |= {
                "type": member.type,
                "suggestFilterValues": dimension.suggest_filter_values,
                "primaryKey": member.is_key,
            }
            if dimension.order:
                item["order"] = dimension.order
            if member.granularities:
                item["granularities"] = [
                    {
                        key: value
                        for key, value in (
                            ("name", custom.name),
                            ("title", custom.title),
                            ("interval", custom.interval),
                            ("offset", custom.offset),
                            ("origin", custom.origin),
                        )
                        if value is not None
                    }
                    for custom in member.granularities
                ]
        case _:
            pass
    item |= {"isVisible": member.public, "public": member.public}
    if member.meta:
        item["meta"] = dict(member.meta)
    return item


def _hierarchy(owner: str, hierarchy: Hierarchy) -> dict[str, Any]:
    return {
        "name": f"{owner}.{hierarchy.name}",
        "title": hierarchy.title,
        "levels": hierarchy.levels,
        "public": hierarchy.public,
    }


def _components(whole: Catalog) -> dict[str, int]:
    """Return the number of the group of joined cubes that each cube is in, from 1."""
    neighbours: dict[str, set[str]] = {name: set() for name in whole.cubes}
    for cube in whole.cubes.values():
        for join in cube.joins.values():
            target = join.base or join.target
            neighbours[cube.name].add(target)
            neighbours.setdefault(target, set()).add(cube.name)
    components: dict[str, int] = {}
    for name in neighbours:
        if name in components:
            continue
        number = len(set(components.values())) + 1
        reached = [name]
        while reached:
            current = reached.pop()
            if current not in components:
                components[current] = number
                reached.extend(neighbours[current])
    return components


def _to_json(value: object) -> object:
    """Let read-only mappings of the model through."""
    return dict(value) if hasattr(value, "keys") else str(value)  # type: ignore[call-overload]
