"""A plan in words: what is read, how it is joined and why, and how each measure is counted."""

from __future__ import annotations

from typing import Any

from semantic.catalog.catalog import Measure
from semantic.catalog.join_graph import JoinHop
from semantic.plan.nodes import Combined, KeyStage, Leaf, Plan, RowStage, Stage
from semantic.query.bound import MeasureUse

INDENT = "  "


def explain_plan(plan: Plan) -> str:
    """Return the plan as an indented text."""
    lines = ["answer " + ", ".join(column.name for column in plan.columns)]
    if plan.limit is not None or plan.offset:
        lines.append(f"{INDENT}limit {plan.limit}, offset {plan.offset}")
    if plan.groups:
        lines.append(f"{INDENT}keep groups that pass {len(plan.groups)} condition(s) on measures")
    for (cube, name), source in plan.sources.items():
        if isinstance(source, Combined):
            lines.append(f"{INDENT}{cube}.{name} from other measures of the group")
    for stage in plan.stages:
        lines += [f"{INDENT}{line}" for line in _describe(stage)]
    lines.append(f"{INDENT}rows of {plan.rows.tree.root}")
    lines += [f"{INDENT * 2}{describe_hop(hop)}" for hop in plan.rows.tree.hops]
    if plan.rows.conditions:
        lines.append(f"{INDENT * 2}that pass {len(plan.rows.conditions)} condition(s)")
    return "\n".join(lines)


def explain_joins(plan: Plan) -> list[dict[str, Any]]:
    """Return each join, and the members for which it is needed."""
    joins = []
    for hop in plan.rows.tree.hops:
        below = plan.rows.tree.below(hop.target)
        needed = [
            column.name
            for column in plan.columns
            if (
                column.use.measure.cube
                if isinstance(column.use, MeasureUse)
                else column.use.dimension.cube
            )
            in below
        ]
        joins.append(
            {
                "from": hop.source,
                "to": hop.target,
                "relationship": hop.join.relationship,
                "why": f"for {', '.join(needed)}" if needed else "for a filter or an expression",
            }
        )
    return joins


def describe_hop(hop: JoinHop) -> str:
    """Return a join in words."""
    return f"left join {hop.target} from {hop.source} ({hop.join.relationship})"


def _describe(stage: Stage) -> list[str]:
    names = ", ".join(_name(leaf) for leaf in stage.leaves) or "the groups"
    match stage:
        case RowStage(sparse=None):
            return [f"aggregate the joined rows: {names}"]
        case RowStage():
            return [f"aggregate the joined rows that have a row of {stage.sparse}: {names}"]
        case KeyStage():
            reason = ", ".join(f"{hop.source} -> {hop.target}" for hop in stage.because)
            why = f"the join {reason} repeats its rows" if reason else "it has joins of its own"
            return [
                f"aggregate the distinct rows of {stage.cube} in each group, because {why}: {names}",
                *(f"{INDENT}{describe_hop(hop)}" for hop in stage.tree.hops),
            ]


def _name(measure: Measure) -> str:
    return f"{measure.cube}.{measure.name}"


def explain_measures(plan: Plan) -> dict[str, str]:
    """Return for each measure column where its value comes from."""
    found = {}
    for column in plan.columns:
        if not isinstance(column.use, MeasureUse):
            continue
        measure = column.use.measure
        source = plan.sources[measure.cube, measure.name]
        match source:
            case Combined():
                found[column.name] = "from other measures of the group"
            case Leaf():
                found[column.name] = _describe(plan.stages[source.stage])[0].split(":")[0]
    return found
