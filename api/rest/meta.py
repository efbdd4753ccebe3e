"""The model as Cube's `meta` describes it, for one caller."""

from __future__ import annotations

from typing import Any

import orjson

from api.annotation import group_drills
from api.members import Member, list_members
from api.rest.snippets import render_expression
from semantic.catalog.catalog import Catalog, Cube, Dimension, Hierarchy, Measure, View


def encode_meta(
    visible: Catalog, whole: Catalog, *, extended: bool = False, only_views: bool = False
) -> bytes:
    """Return the body of an answer to `meta`.

    `visible` is what the caller may see, `whole` holds the cubes behind the views. `extended` adds
    the SQL, the joins and the tables.
    """
    components = _components(whole)
    cubes = [
        _describe_cube(cube, visible, whole, components[cube.name], extended=extended)
        for cube in visible.cubes.values()
        if cube.public and not only_views
    ]
    views = [_describe_view(view, visible, whole) for view in visible.views.values() if view.public]
    return orjson.dumps(
        {"cubes": [*cubes, *views], "ducat": {"catalogVersion": whole.version}},
        default=_to_json,
    )


def _describe_cube(
    cube: Cube, visible: Catalog, whole: Catalog, component: int, *, extended: bool
) -> dict[str, Any]:
    described = _heading(cube, "cube") | {"connectedComponent": component}
    described |= _members(visible, whole, cube.name, extended=extended)
    described["hierarchies"] = [
        _hierarchy(cube.name, item) for item in cube.hierarchies.values() if item.public
    ]
    described |= {"folders": [], "nestedFolders": []}
    if extended:
        described |= {
            "sql": render_expression(cube.sql),
            "sqlTable": cube.sql_table,
            "dataSource": cube.data_source,
            "tables": cube.tables,
            "joins": [
                {
                    "name": join.target,
                    "relationship": join.relationship,
                    "sql": render_expression(join.sql),
                }
                for join in cube.joins.values()
            ],
        }
    return described


def _describe_view(view: View, visible: Catalog, whole: Catalog) -> dict[str, Any]:
    described = _heading(view, "view") | _members(visible, whole, view.name, extended=False)
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
    folders = [
        {"name": folder.name, "members": [_qualify(view.name, name) for name in folder.members]}
        for folder in view.folders
    ]
    return described | {"hierarchies": hierarchies, "folders": folders, "nestedFolders": folders}


def _qualify(owner: str, name: str) -> str:
    return name if "." in name else f"{owner}.{name}"


def _heading(owner: Cube | View, kind: str) -> dict[str, Any]:
    heading: dict[str, Any] = {"name": owner.name, "type": kind, "title": owner.title}
    if owner.description:
        heading["description"] = owner.description
    heading |= {"isVisible": owner.public, "public": owner.public}
    if owner.meta:
        heading["meta"] = dict(owner.meta)
    return heading


def _members(visible: Catalog, whole: Catalog, owner: str, *, extended: bool) -> dict[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {"measures": [], "dimensions": [], "segments": []}
    for member in list_members(visible, whole, owner):
        item = _describe_member(member, whole)
        if extended:
            item["sql"] = render_expression(member.definition.sql)
        lists[f"{member.kind}s"].append(item)
    return lists


def _describe_member(member: Member, whole: Catalog) -> dict[str, Any]:
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
        case Measure():
            item |= {
                "cumulativeTotal": False,
                "cumulative": False,
                "type": member.type,
                "aggType": member.definition.type,
                "drillMembers": member.drill_members,
                "drillMembersGrouped": group_drills(member.drill_members, whole),
            }
        case Dimension():
            item |= {
                "type": member.type,
                "suggestFilterValues": True,
                "primaryKey": member.is_key,
            }
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
        for target in cube.joins:
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
