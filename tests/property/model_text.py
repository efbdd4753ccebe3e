"""A world as the YAML that Ducat reads, and as SQL that fills its tables."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import yaml

from tests.property.expressions import Constant, Expression, write_literal, write_sql
from tests.property.model import (
    Case,
    Cube,
    Dimension,
    Granularity,
    Measure,
    Policy,
    SemiAdditive,
    Stage,
    Switch,
    Table,
    View,
    Window,
    World,
)
from tests.property.queries import Filter, Nested, write_filter

GROUP: Final = "readers"
"""The group of every caller."""


def write_model(world: World) -> str:
    """Return the model's YAML."""
    document: dict[str, Any] = {"cubes": [_cube(cube) for cube in world.cubes]}
    if world.views:
        document["views"] = [_view(view) for view in world.views]
    return yaml.safe_dump(document, sort_keys=False, width=120)


def write_seed(world: World) -> str:
    """Return the SQL that makes the tables."""
    return "\n".join(_table(table) for table in world.tables)


def _table(table: Table) -> str:
    columns = ", ".join(f"{name} {type_}" for name, type_ in table.columns)
    text = f"CREATE TABLE {table.name} ({columns});"
    if table.rows:
        rows = ", ".join(f"({', '.join(map(write_literal, row))})" for row in table.rows)
        text += f"\nINSERT INTO {table.name} VALUES {rows};"
    return text


def _cube(cube: Cube) -> dict[str, Any]:
    found: dict[str, Any] = {"name": cube.name}
    if cube.calendar:
        found["calendar"] = True
    if cube.where is None:
        found["sql_table"] = cube.table
    else:
        found["sql"] = f"SELECT * FROM {cube.table} WHERE {write_sql(cube.where, cube.name)}"
    joins = [
        {
            "name": join.target.rpartition(".")[2],
            "relationship": join.relationship,
            "sql": write_sql(join.on, cube.name),
        }
        | ({"cube": join.base} if join.base else {})
        for join in cube.joins
    ]
    parts: dict[str, list[dict[str, Any]]] = {
        "joins": joins,
        "dimensions": [_dimension(item, cube.name) for item in cube.dimensions],
        "measures": [_measure(item, cube.name) for item in cube.measures],
        "segments": [
            {"name": item.name, "sql": write_sql(item.sql, cube.name)} for item in cube.segments
        ],
    }
    if cube.policies:
        parts["access_policy"] = [_policy(policy) for policy in cube.policies]
    return found | {key: value for key, value in parts.items() if value}


def _policy(policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = {"group": GROUP}
    if policy.masked:
        found["member_level"] = {"includes": "*", "excludes": list(policy.masked)}
        found["member_masking"] = {"includes": list(policy.masked)}
    if policy.filters:
        found["row_level"] = {"filters": [_row_filter(item) for item in policy.filters]}
    return found


def _row_filter(item: Filter) -> dict[str, Any]:
    """Return a filter of a policy: members of a cube go without its name there."""
    found = write_filter(item)
    if isinstance(item, Nested):
        return {item.word: [_row_filter(part) for part in item.parts]}
    return found | {"member": item.member.partition(".")[2]}


def _dimension(item: Dimension, own: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": item.name, "type": item.type}
    if item.values:
        found["values"] = list(item.values)
    elif isinstance(item.sql, Case):
        found["case"] = _case(item.sql, own)
    else:
        found["sql"] = write_sql(item.sql, own)
    if isinstance(item.mask, Constant) and not isinstance(item.mask.value, date):
        found |= {} if item.mask.value is None else {"mask": item.mask.value}
    else:
        found["mask"] = {"sql": write_sql(item.mask, own)}
    if item.primary_key:
        found |= {"primary_key": True, "public": True}
    if item.sub_query:
        found["sub_query"] = True
    if item.moved:
        found["time_shift"] = [
            {
                "interval": f"{moved.amount} {moved.unit}",
                "type": "prior" if moved.prior else "next",
                "sql": write_sql(moved.column, own),
            }
            for moved in item.moved
        ]
    if item.granularities:
        found["granularities"] = [_granularity(custom, own) for custom in item.granularities]
    if item.propagates:
        found["propagate_filters_to_sub_query"] = True
    return found


def _granularity(item: Granularity, own: str) -> dict[str, Any]:
    if item.sql is not None:
        return {"name": item.name, "sql": write_sql(item.sql, own)}
    found: dict[str, Any] = {"name": item.name, "interval": f"{item.amount} {item.unit}"}
    if item.origin is not None:
        found["origin"] = item.origin.isoformat()
    if item.offset is not None:
        found["offset"] = f"{item.offset[0]} {item.offset[1]}"
    return found


def _case(case: Case, own: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "when": [
            {"sql": write_sql(condition, own), "label": _label(label, own)}
            for condition, label in case.branches
        ]
    }
    if case.otherwise is not None:
        found["else"] = {"label": _label(case.otherwise, own)}
    return found


def _label(label: str | Expression, own: str) -> str | dict[str, str]:
    return label if isinstance(label, str) else {"sql": write_sql(label, own)}


def _measure(item: Measure, own: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": item.name, "type": item.type}
    if isinstance(item.sql, Switch):
        found |= {"multi_stage": True, "case": _switch(item.sql, own)}
    elif item.sql is not None:
        found["sql"] = write_sql(item.sql, own)
    if item.filters:
        found["filters"] = [{"sql": write_sql(part, own)} for part in item.filters]
    if item.mask is not None:
        found["mask"] = item.mask
    if item.semi is not None:
        found["non_additive_dimension"] = _semi_additive(item.semi)
    if item.fill is not None:
        found["fill_nulls_with"] = item.fill
    if item.spined:
        found["join_to_timespine"] = True
    if item.window is not None:
        found["rolling_window"] = _window(item.window)
    if item.stage is not None:
        found |= {"multi_stage": True} | _stage(item.stage, own)
    return found


def _switch(switch: Switch, own: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "switch": write_sql(switch.by, own),
        "when": [{"value": value, "sql": write_sql(part, own)} for value, part in switch.branches],
    }
    if switch.otherwise is not None:
        found["else"] = {"sql": write_sql(switch.otherwise, own)}
    return found


def _semi_additive(item: SemiAdditive) -> dict[str, Any]:
    period = "" if item.period is None else f".{item.period}"
    return {
        "name": f"{item.time.name}{period}",
        "window_choice": "max" if item.last else "min",
        "window_groupings": [member.name for member in item.groupings],
    }


def _window(window: Window) -> dict[str, Any]:
    if window.to_date is not None:
        return {"type": "to_date", "granularity": window.to_date}
    bounds = {"trailing": window.trailing, "leading": window.leading}
    found: dict[str, Any] = {
        key: by if isinstance(by, str) else f"{by[0]} {by[1]}"
        for key, by in bounds.items()
        if by is not None
    }
    return found | {"offset": window.offset}


def _stage(stage: Stage, own: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if stage.group_by is not None:
        found["group_by"] = list(stage.group_by)
    if stage.reduce_by:
        found["reduce_by"] = list(stage.reduce_by)
    if stage.add_group_by:
        found["add_group_by"] = list(stage.add_group_by)
    if directive := _directive(stage):
        found["filter"] = directive
    if stage.ranks:
        found["order_by"] = [
            {"sql": write_sql(by, own), "dir": "desc" if down else "asc"}
            for by, down in stage.ranks
        ]
    if stage.shift is not None:
        shift = {
            "interval": f"{stage.shift.amount} {stage.shift.unit}",
            "type": "prior" if stage.shift.prior else "next",
        }
        if stage.shift.member is not None:
            shift["time_dimension"] = stage.shift.member
        found["time_shift"] = [shift]
    return found


def _directive(stage: Stage) -> dict[str, Any]:
    directive: dict[str, Any] = {}
    if stage.excludes:
        directive["exclude"] = list(stage.excludes)
    if stage.keeps is not None:
        directive["keep_only"] = list(stage.keeps)
    if stage.includes:
        directive["include"] = [write_filter(item) for item in stage.includes]
    if stage.fixed:
        directive["mode"] = "fixed"
    return directive


def _view(view: View) -> dict[str, Any]:
    parts = []
    for part in view.parts:
        path = [name.rpartition(".")[2] for name in part.path]
        found: dict[str, Any] = {"join_path": ".".join(path)}
        found["includes"] = "*" if part.includes is None else list(part.includes)
        if part.prefix:
            found["prefix"] = True
            if part.prefix != f"{path[-1]}_":
                found["alias"] = part.prefix.removesuffix("_")
        parts.append(found)
    return {"name": view.name, "cubes": parts}
