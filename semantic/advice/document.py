"""Proposals as YAML of the model, ready to be pasted, with what each is for."""

from __future__ import annotations

from typing import Any

import yaml

from semantic.advice.advise import Advice, Proposal
from semantic.advice.needs import Need
from semantic.catalog.catalog import MemberReference
from semantic.query.query import Query


def write_yaml(advice: Advice) -> str:
    """Return one text: for each cube its `pre_aggregations`."""
    cubes: dict[str, list[Proposal]] = {}
    for proposal in advice.proposals:
        cubes.setdefault(proposal.need.cube, []).append(proposal)
    parts = []
    for cube, proposals in cubes.items():
        lines = [f"# Add to the cube {cube}:", "pre_aggregations:"]
        for item in proposals:
            lines += [f"  # {line}" for line in explain(item, advice)]
            text = yaml.safe_dump([describe(item.name, item.need)], sort_keys=False, width=100)
            lines += [f"  {line}" for line in text.splitlines()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + ("\n" if parts else "")


def describe(name: str, need: Need) -> dict[str, Any]:
    """Return a rollup as the model declares it; members of the cube itself by their short names."""
    times = sorted(need.times, key=str)
    item: dict[str, Any] = {"name": name}
    if need.measures:
        item["measures"] = sorted(_write(member, need.cube) for member in need.measures)
    if need.dimensions:
        item["dimensions"] = sorted(_write(member, need.cube) for member in need.dimensions)
    if need.segments:
        item["segments"] = sorted(_write(member, need.cube) for member in need.segments)
    if len(times) == 1:
        [(member, cut)] = times
        item |= {"time_dimension": _write(member, need.cube), "granularity": cut}
    elif times:
        item["time_dimensions"] = [
            {"dimension": _write(member, need.cube), "granularity": cut} for member, cut in times
        ]
    return item


def describe_advice(advice: Advice, unread: int) -> dict[str, Any]:
    """Return all of it as JSON."""
    return {
        "seconds": advice.seconds,
        "answeredSeconds": advice.answered,
        "unreadLines": unread,
        "rollups": [
            {
                "cube": item.need.cube,
                "definition": describe(item.name, item.need),
                "rows": item.rows,
                "sourceRows": item.source_rows,
                "queries": sum(shape.count for shape in item.shapes),
                "seconds": item.seconds,
                "timezones": item.timezones,
                "answers": [name_query(shape.query) for shape in item.shapes],
            }
            for item in advice.proposals
        ],
        "notHelped": [
            {
                "query": name_query(item.shape.query),
                "queries": item.shape.count,
                "seconds": item.shape.seconds,
                "why": item.why,
            }
            for item in advice.unhelped
        ],
    }


def explain(item: Proposal, advice: Advice) -> list[str]:
    """Return what the rollup is for, a line each."""
    share = item.seconds / advice.seconds if advice.seconds else 0.0
    count = sum(shape.count for shape in item.shapes)
    shapes = f"{len(item.shapes)} shape{'s' * (len(item.shapes) != 1)}"
    lines = [
        f"{item.rows:,} rows in place of {item.source_rows:,}",
        f"answers {count:,} logged queries of {shapes}, {share:.0%} of the time ({item.seconds:.1f} s)",
    ]
    if item.timezones != ("UTC",):
        lines.append(f"needs DUCAT_ROLLUP_TIMEZONES with {', '.join(item.timezones)}")
    return lines


def name_query(query: Query) -> str:
    """Return a query in one line."""
    times = [
        f"{item.dimension} by {item.granularity}"
        for item in query.time_dimensions
        if item.granularity is not None
    ]
    keys = [*query.dimensions, *times]
    return ", ".join(query.measures or ("rows",)) + (f" by {', '.join(keys)}" if keys else "")


def _write(member: MemberReference, cube: str) -> str:
    if member.path and len(member.path) > 1:
        return f"{member.path[-1].replace(f'{cube}.', '', 1)}.{member.member}"
    return member.member if member.cube == cube else f"{member.cube}.{member.member}"
