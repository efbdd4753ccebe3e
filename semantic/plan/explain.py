"""A plan in words: what is read, how it is joined and why, and how each measure is made."""

from __future__ import annotations

from typing import Any, assert_never

from semantic.catalog.catalog import Measure, RollingWindow
from semantic.plan.nodes import (
    Aggregate,
    Coarsen,
    Conversions,
    GroupKey,
    Groups,
    Merge,
    Plan,
    Rank,
    Regroup,
    Relation,
    Roll,
    Rolled,
    Rows,
    SemiAdditive,
    Spine,
    Spread,
    Step,
    Ungrouped,
)
from semantic.plan.walk import parts_of, rows_of
from semantic.query.bound import MeasureUse

INDENT = "  "


def explain_plan(plan: Plan) -> str:
    """Return the plan as an indented text."""
    lines = ["answer " + ", ".join(column.name for column in plan.columns)]
    if plan.limit is not None or plan.offset:
        lines.append(f"{INDENT}limit {plan.limit}, offset {plan.offset}")
    if plan.groups:
        lines.append(f"{INDENT}keep groups that pass {len(plan.groups)} condition(s) on measures")
    lines += [
        f"{INDENT}{_name(measure)} from other measures of the group"
        for measure in plan.calculated.values()
    ]
    if isinstance(plan.source, Ungrouped):
        lines.append(f"{INDENT}the joined rows themselves")
        lines += _indent(_describe_rows(plan.source.rows), 2)
    else:
        lines += _indent(_describe(plan.source), 1)
    return "\n".join(lines)


def explain_root(plan: Plan) -> str:
    """Return the cube whose rows are read first."""
    return next(rows_of(plan.source)).cube


def explain_joins(plan: Plan) -> list[dict[str, Any]]:
    """Return each join once, and the members for which it is needed."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for rows in rows_of(plan.source):
        for step in rows.steps:
            below = _below(rows, step)
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
            found.setdefault(
                (step.source, step.target, step.join.relationship),
                {
                    "from": step.source,
                    "to": step.target,
                    "relationship": step.join.relationship,
                    "why": f"for {', '.join(needed)}"
                    if needed
                    else "for a filter or an expression",
                },
            )
    return list(found.values())


def explain_measures(plan: Plan) -> dict[str, str]:
    """Return for each measure column where its value comes from."""
    found = {}
    for column in plan.columns:
        if not isinstance(column.use, MeasureUse):
            continue
        measure = column.use.measure
        if (measure.cube, measure.name) in plan.calculated:
            found[column.name] = "from other measures of the group"
        elif isinstance(plan.source, Ungrouped):
            found[column.name] = "the value of the row"
        else:
            owner = _owner(plan.source, (measure.cube, measure.name))
            found[column.name] = "" if owner is None else _describe(owner)[0].split(":")[0]
    return found


def explain_rollups(plan: Plan) -> list[dict[str, Any]]:
    """Return what became of each pre-aggregation: whether it is used, and why or why not."""
    return [{"name": note.rollup, "used": note.used, "why": note.why} for note in plan.notes]


def describe_step(step: Step) -> str:
    """Return a join in words."""
    repeats = ", which may repeat rows" if step.multiplies else ""
    declared = "" if step.join.cube == step.source else " against its direction"
    return (
        f"left join {step.target} from {step.source} ({step.join.relationship}{declared}){repeats}"
    )


def _owner(relation: Relation, name: tuple[str, str]) -> Relation | None:
    if isinstance(relation, Merge):
        for part in relation.parts:
            found = _owner(part, name)
            if found is not None:
                return found
        return None
    return relation if name in relation.measures else None


def _describe(relation: Relation) -> list[str]:
    match relation:
        case Aggregate() | Coarsen() | Groups() | Rolled():
            return _describe_aggregate(relation)
        case Merge():
            head = "put together group by group" if relation.keys else "put side by side"
            return [head, *_below_of(relation)]
        case Regroup():
            word = (
                "one row for each inner group" if relation.plain else "aggregate the inner groups"
            )
            return [f"{word}: {_name(relation.measure)}{_by(relation.keys)}", *_below_of(relation)]
        case Spread():
            text = f"the value of the coarser group in each of its parts: {_name(relation.measure)}"
            return [text + _by(relation.keys), *_below_of(relation)]
        case Rank():
            return [
                f"rank{_within(relation.within)}: {_name(relation.measure)}",
                *_below_of(relation),
            ]
        case Roll():
            lines = [f"roll {_window(relation.measure.rolling_window)}: {_name(relation.measure)}"]
            if isinstance(relation.source, Rows):
                return lines + _indent(_describe_rows(relation.source), 1)
            return [*lines, *_below_of(relation)]
        case SemiAdditive() | Spine() | Conversions():
            return _describe_kind(relation)
        case _ as unreachable:
            assert_never(unreachable)


def _describe_aggregate(relation: Aggregate | Coarsen | Groups | Rolled) -> list[str]:
    match relation:
        case Coarsen():
            return _describe_coarsen(relation)
        case Groups():
            head = f"the groups of the rows{_by(relation.keys)}"
            return [head, *_indent(_describe_rows(relation.rows), 1)]
        case Rolled():
            return _describe_rolled(relation)
        case Aggregate():
            pass
    names = ", ".join(_name(leaf) for leaf in relation.leaves)
    text = f"aggregate the joined rows: {names}"
    if relation.distinct:
        reason = ", ".join(f"{step.source} -> {step.target}" for step in relation.rows.multiplying)
        text = (
            f"aggregate the distinct rows of {relation.rows.cube} in each group, "
            f"because the join {reason} repeats its rows: {names}"
        )
    return [f"{text}{_by(relation.keys)}", *_indent(_describe_rows(relation.rows), 1)]


def _describe_rolled(relation: Rolled) -> list[str]:
    names = ", ".join(".".join(name) for name in relation.measures)
    lines = [f"read the rollup {relation.rollup.name}: {names or 'its groups'}{_by(relation.keys)}"]
    rows = relation.whole.rows
    count = len(rows.conditions) + len(rows.guards)
    if count:
        lines.append(f"{INDENT}its groups that pass {count} condition(s)")
    return lines


def _describe_coarsen(relation: Coarsen) -> list[str]:
    first = [_key(key) for key in relation.kept]
    first += [f"{item.cube}.{item.name} as it is stored" for item in relation.times]
    first += [f"the key of {link.step.target}" for link in relation.links]
    lines = _describe_aggregate(relation.whole)
    late = [] if relation.unjoined else [link.step for link in relation.links]
    late += relation.steps
    return [
        lines[0],
        f"{INDENT}{'in one step' if relation.unjoined else 'in two steps: first'} by {', '.join(first)}",
        *_indent(_describe_rows(relation.rows), 2),
        *[f"{INDENT}then {describe_step(step)}" for step in late],
    ]


def _describe_kind(relation: SemiAdditive | Spine | Conversions) -> list[str]:
    match relation:
        case SemiAdditive():
            which = "last" if relation.last else "first"
            text = f"aggregate the rows at the {which} {_key(relation.time)}"
            text += _within(relation.within).replace(" within ", " of each ")
            text += f": {_name(relation.leaf)}{_by(relation.keys)}"
            return [text, *_indent(_describe_rows(relation.rows), 1)]
        case Spine():
            return [
                f"every period of {_key(relation.series.time)} in which there is no group of",
                *_below_of(relation),
            ]
        case Conversions():
            conversion = relation.measure.conversion
            window = None if conversion is None else conversion.window
            head = f"conversions {'after' if window is None else f'within {window} of'} events"
            return [
                f"{head}: {_name(relation.measure)}{_by(relation.keys)}",
                *_below_of(relation),
                f"{INDENT}the events, of which the latest before a conversion led to it",
                *_indent(_describe_rows(relation.events), 2),
                f"{INDENT}the conversions",
                *_indent(_describe_rows(relation.converted), 2),
            ]
        case _ as unreachable:
            assert_never(unreachable)


def _below_of(relation: Relation) -> list[str]:
    return [line for part in parts_of(relation) for line in _indent(_describe(part), 1)]


def _describe_rows(rows: Rows) -> list[str]:
    lines = [f"rows of {rows.cube}"]
    lines += [f"{INDENT}{describe_step(step)}" for step in rows.steps]
    for attachment in rows.attachments:
        item = attachment.dimension
        lines.append(f"{INDENT}with {item.cube}.{item.name}, computed from measures")
        lines += _indent(_describe(attachment.relation), 2)
    if rows.conditions or rows.guards:
        count = len(rows.conditions) + len(rows.guards)
        lines.append(f"{INDENT}that pass {count} condition(s)")
    for shift in rows.shifts:
        lines.append(f"{INDENT}{shift.cube}.{shift.member} moved by {shift.interval or 'calendar'}")
    return lines


def _indent(lines: list[str], depth: int) -> list[str]:
    return [f"{INDENT * depth}{line}" for line in lines]


def _by(keys: tuple[GroupKey, ...]) -> str:
    return f" by {', '.join(_key(key) for key in keys)}" if keys else ""


def _within(keys: tuple[GroupKey, ...]) -> str:
    return f" within {', '.join(_key(key) for key in keys)}" if keys else ""


def _key(key: GroupKey) -> str:
    name = f"{key.dimension.cube}.{key.dimension.name}"
    return name if key.granularity is None else f"{name}.{key.granularity}"


def _window(window: RollingWindow | None) -> str:
    if window is None:
        return ""
    if window.kind == "to_date":
        return f"from the begin of the {window.granularity}"
    return f"trailing {window.trailing or '0'}, leading {window.leading or '0'}"


def _name(measure: Measure) -> str:
    return f"{measure.cube}.{measure.name}"


def _below(rows: Rows, step: Step) -> set[str]:
    found = {step.target}
    for other in rows.steps:
        if other.source in found:
            found.add(other.target)
    return found
