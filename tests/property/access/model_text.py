"""A world as YAML: the guarded model, and for one caller the model in which the forbidden is not."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.property.access.rules import Rules
from tests.property.access.world import Cube, Member, Policy, View, World

JOINS: Final = [
    {"name": "shops", "relationship": "many_to_one", "sql": "{CUBE}.shop_id = {shops}.id"},
    {"name": "items", "relationship": "many_to_one", "sql": "{CUBE}.item_id = {items}.id"},
]
DRILLS: Final = ("kind", "secret", "level")


def write_guarded(world: World) -> str:
    """Return the model with its policies."""
    return _dump(
        [
            _cube(cube.name, [_member(cube, item, item.sql) for item in cube.members], JOINS)
            | (
                {"access_policy": [_policy(item) for item in cube.policies]}
                if cube.policies
                else {}
            )
            for cube in world.cubes
        ],
        [
            _view(view.name, list(view.members))
            | (
                {"access_policy": [_policy(item) for item in view.policies]}
                if view.policies
                else {}
            )
            for view in world.views
        ],
    )


def write_reduced(rules: Rules) -> str:
    """Return the model that has what the caller may see, and nothing that says there is more.

    What visible members need of hidden ones stands under names that begin with `zz_`, private.
    """
    world = rules.world
    cubes = []
    for cube in world.cubes:
        shown = [item for item in cube.members if rules.sees(cube, item)]
        written = [_member(cube, item, _shown_sql(rules, cube, item)) for item in shown]
        drills = {item.name for item in shown}
        for item in written:
            if "drill_members" in item:
                item["drill_members"] = [name for name in item["drill_members"] if name in drills]
        hidden = [
            _member(cube, item, _shown_sql(rules, cube, item))
            | {"name": f"zz_{item.name}", "public": False}
            for item in cube.members
        ]
        for item in hidden:
            if "drill_members" in item:
                item["drill_members"] = [f"zz_{name}" for name in item["drill_members"]]
        joins = [join for join in JOINS if cube.name == "sales"]
        cubes.append(_cube(cube.name, [*written, *hidden], joins) | {"public": bool(shown)})
    views = []
    for view in world.views:
        members = [
            (alias, name, member)
            for alias, name, member in view.members
            if rules.sees_through(view, alias, rules.cube(name), _find(rules.cube(name), member))
        ]
        if members:
            views.append(
                _view(view.name, [(alias, name, f"zz_{member}") for alias, name, member in members])
            )
    return _dump(cubes, views)


def _shown_sql(rules: Rules, cube: Cube, member: Member) -> str:
    return rules.mask(cube, member, member.plain)


def _find(cube: Cube, name: str) -> Member:
    return next(item for item in cube.members if item.name == name)


def _cube(name: str, members: list[dict[str, Any]], joins: list[dict[str, str]]) -> dict[str, Any]:
    key = {
        "name": "zz_id",
        "type": "number",
        "sql": "{CUBE}.id",
        "primary_key": True,
        "public": False,
    }
    written: dict[str, Any] = {"name": name, "sql_table": f"gold.{name}"}
    if name == "sales" and joins:
        written["joins"] = joins
    for kind in ("dimension", "measure", "segment"):
        found = [item for item in members if item["kind"] == kind]
        written[f"{kind}s"] = [{k: v for k, v in item.items() if k != "kind"} for item in found]
    written["dimensions"] = [key, *written["dimensions"]]
    return {key: value for key, value in written.items() if value}


def _member(cube: Cube, member: Member, sql: str) -> dict[str, Any]:
    written: dict[str, Any] = {"kind": member.kind, "name": member.name}
    if member.type:
        written["type"] = member.type
    if sql:
        written["sql"] = sql
    if member.mask is not None:
        written["mask"] = {"sql": member.mask}
    if member.type == "count":
        names = {item.name for item in cube.members}
        written["drill_members"] = [name for name in DRILLS if name in names]
    return written


def _view(name: str, members: list[tuple[str, str, str]]) -> dict[str, Any]:
    parts = []
    for cube, path in (("sales", "sales"), ("shops", "sales.shops"), ("items", "sales.items")):
        items = [
            {"name": member, "alias": alias} if member != alias else {"name": member}
            for alias, owner, member in members
            if owner == cube
        ]
        if items:
            parts.append({"join_path": path, "includes": items})
    return {"name": name, "cubes": parts}


def _policy(policy: Policy) -> dict[str, Any]:
    written: dict[str, Any] = {"group": policy.group}
    if policy.needs_boss is not None:
        word = "" if policy.needs_boss else "not "
        written["conditions"] = [{"if": f"{{ {word}security_context.is_boss }}"}]
    if policy.includes is not None:
        written["member_level"] = {"includes": list(policy.includes)}
    elif policy.excludes is not None:
        written["member_level"] = {"excludes": list(policy.excludes)}
    if policy.masked:
        written["member_masking"] = {"includes": list(policy.masked)}
    if policy.rows is not None:
        item = {
            "member": policy.rows.member,
            "operator": policy.rows.operator,
            "values": list(policy.rows.values),
        }
        written["row_level"] = {"filters": [item]}
    return written


def _dump(cubes: list[dict[str, Any]], views: list[dict[str, Any]]) -> str:
    """Return YAML: JSON is some."""
    return json.dumps({"cubes": cubes, "views": views})


__all__ = ["View", "write_guarded", "write_reduced"]
