"""What the columns of an answer mean, in Cube's `annotation`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.members import Member, Model, find_member
from semantic.catalog.catalog import Catalog
from semantic.engine.result import Result, ResultColumn


def annotate(result: Result, model: Model) -> dict[str, Any]:
    """Return Cube's annotation of a result's members."""
    catalog = model.whole
    measures: dict[str, Any] = {}
    dimensions: dict[str, Any] = {}
    times: dict[str, Any] = {}
    for column in result.columns:
        member = find_member(catalog, column.member)
        item = _describe_column(column, member)
        if column.kind == "measure":
            item |= describe_drills(member.drill_members if member else (), model)
            measures[column.name] = item
        elif column.granularity is None:
            dimensions[column.name] = item
        else:
            plain = dict(item)
            item["granularity"] = _describe_granularity(column.granularity, member)
            times[column.name] = item
            times.setdefault(column.member, plain)
    return {
        "measures": measures,
        "dimensions": dimensions,
        "segments": {name: _describe_segment(name, catalog) for name in result.query.segments},
        "timeDimensions": times,
    }


def describe_drills(names: Iterable[str], model: Model) -> dict[str, Any]:
    """Return the drill members that the caller may see, in a list and by kind."""
    shown = [name for name in names if model.shows(name)]
    grouped: dict[str, list[str]] = {"measures": [], "dimensions": []}
    for name in shown:
        member = find_member(model.whole, name)
        key = "measures" if member is not None and member.kind == "measure" else "dimensions"
        grouped[key].append(name)
    return {"drillMembers": shown, "drillMembersGrouped": grouped}


def _describe_column(column: ResultColumn, member: Member | None) -> dict[str, Any]:
    item: dict[str, Any] = {
        "title": column.title,
        "shortTitle": column.short_title,
        "type": column.type,
    }
    if column.description:
        item["description"] = column.description
    if column.format:
        item["format"] = column.format
    if column.currency:
        item["currency"] = column.currency
    if member is not None and member.meta:
        item["meta"] = dict(member.meta)
    return item


def _describe_granularity(name: str, member: Member | None) -> dict[str, Any]:
    custom = {item.name: item for item in member.granularities} if member else {}
    if name not in custom:
        return {"name": name, "title": name, "interval": f"1 {name}"}
    found = custom[name]
    described = {"name": name, "title": found.title, "interval": found.interval}
    if found.offset is not None:
        described["offset"] = found.offset
    if found.origin is not None:
        described["origin"] = found.origin
    return described


def _describe_segment(name: str, catalog: Catalog) -> dict[str, Any]:
    member = find_member(catalog, name)
    if member is None:
        return {"title": name, "shortTitle": name}
    described = {"title": member.title, "shortTitle": member.short_title}
    return described | ({"description": member.description} if member.description else {})
