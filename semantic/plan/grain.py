"""The inner stage of a multi-stage measure: its groups, its conditions, its shifts of time.

In this order, as Cube's planner: the filter directive, then the grain, then what a `case` chooses
by, then time shifts. A filter on the measure itself never holds inside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import (
    Catalog,
    Dimension,
    FilterDirective,
    Measure,
    MemberReference,
    SwitchExpression,
    TimeShift,
)
from semantic.errors import UnsupportedError
from semantic.plan.frame import Frame, dimension_uses, name_of, unique_keys
from semantic.plan.nodes import GroupKey, Shift
from semantic.query.bound import (
    AllOf,
    AnyOf,
    BoundQuery,
    Condition,
    DimensionUse,
)
from semantic.query.conditions import bind_model_filter


def find_inner_frame(
    catalog: Catalog, measure: Measure, frame: Frame, root: Frame, bound: BoundQuery
) -> Frame:
    """Return what the measures inside a multi-stage measure are evaluated for."""
    stage = measure.multi_stage
    if stage is None:
        return frame
    inner = frame
    if stage.filter is not None:
        inner = _direct(catalog, stage.filter, frame, root, bound)
    keys = list(inner.keys if measure.type == "rank" else keys_of(measure, frame, root))
    if stage.grain is not None:
        keys += [_key(catalog, item, root) for item in stage.grain.include]
    if isinstance(measure.sql, SwitchExpression):
        keys.append(_key(catalog, measure.sql.switch, root))
    shifts = inner.shifts
    if stage.time_shifts:
        shifts = (*shifts, *_shifts(catalog, stage.time_shifts, inner))
    inner = dataclasses.replace(inner, keys=unique_keys(keys), shifts=shifts)
    return without_member(inner, measure)


def keys_of(measure: Measure, frame: Frame, root: Frame) -> tuple[GroupKey, ...]:
    """Return the keys of a frame (or of the query) that the measure's grain leaves."""
    grain = measure.multi_stage.grain if measure.multi_stage is not None else None
    if grain is None:
        return frame.keys
    if grain.mode == "fixed":
        kept = grain.keep_only or ()
        return tuple(key for key in root.keys if _listed(key, kept))
    keys = tuple(key for key in frame.keys if not _listed(key, grain.exclude))
    if grain.keep_only is not None:
        keys = tuple(key for key in keys if _listed(key, grain.keep_only))
    return keys


def without_member(frame: Frame, item: Measure | Dimension) -> Frame:
    """Return the frame without conditions on a member."""
    kept = _without(frame.conditions, {(item.cube, item.name)})
    return dataclasses.replace(frame, conditions=kept)


def _listed(key: GroupKey, references: Iterable[MemberReference]) -> bool:
    """Whether a key is named: a time by its granularity, or without one whatever its granularity."""
    return any(
        (key.dimension.cube, key.dimension.name) == (item.cube, item.member)
        and (item.granularity is None or item.granularity == key.granularity)
        for item in references
    )


def _key(catalog: Catalog, item: MemberReference, root: Frame) -> GroupKey:
    dimension = catalog.cubes[item.cube].dimensions.get(item.member)
    if dimension is None:
        raise UnsupportedError(f"{item.cube}.{item.member} is no dimension to group by")
    for key in root.keys:
        if (key.dimension.cube, key.dimension.name) == (item.cube, item.member) and (
            key.granularity == item.granularity
        ):
            return key
    return GroupKey(dimension, item.path or (item.cube,), item.granularity)


def _direct(
    catalog: Catalog, directive: FilterDirective, frame: Frame, root: Frame, bound: BoundQuery
) -> Frame:
    base = root if directive.mode == "fixed" else frame
    conditions, ranges = base.conditions, base.ranges
    excluded = {(item.cube, item.member) for item in directive.exclude}
    if excluded:
        conditions = _without(conditions, excluded)
        ranges = tuple(item for item in ranges if name_of(item.use) not in excluded)
    if directive.keep_only is not None:
        kept = {(item.cube, item.member) for item in directive.keep_only}
        conditions = _only(conditions, kept)
        ranges = tuple(item for item in ranges if name_of(item.use) in kept)
    zone = ZoneInfo(bound.timezone)
    added = tuple(
        bind_model_filter(catalog, item, now=bound.now, zone=zone) for item in directive.include
    )
    return dataclasses.replace(frame, ranges=ranges, conditions=(*conditions, *added))


def _without(conditions: Iterable[Condition], names: set[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return the conditions without what is said about the named members, also inside and/or."""
    found = (_pruned(item, names, keep=False) for item in conditions)
    return tuple(item for item in found if item is not None)


def _only(conditions: Iterable[Condition], names: set[tuple[str, str]]) -> tuple[Condition, ...]:
    found = (_pruned(item, names, keep=True) for item in conditions)
    return tuple(item for item in found if item is not None)


def _pruned(condition: Condition, names: set[tuple[str, str]], *, keep: bool) -> Condition | None:
    match condition:
        case AllOf() | AnyOf():
            found = (_pruned(part, names, keep=keep) for part in condition.parts)
            parts = tuple(part for part in found if part is not None)
            if not parts:
                return None
            if parts == condition.parts:
                return condition
            return parts[0] if len(parts) == 1 else dataclasses.replace(condition, parts=parts)
        case _:
            return condition if (name_of(condition.use) in names) is keep else None


def _shifts(catalog: Catalog, shifts: Iterable[TimeShift], frame: Frame) -> tuple[Shift, ...]:
    found: dict[tuple[str, str], Shift] = {}
    for shift in shifts:
        for dimension in _shifted(catalog, shift, frame):
            resolved = _resolve(catalog, shift, dimension)
            found[resolved.cube, resolved.member] = resolved
    return tuple(found.values())


def _shifted(catalog: Catalog, shift: TimeShift, frame: Frame) -> tuple[Dimension, ...]:
    """Return the time dimensions that a shift moves: the one it names, or all of the query."""
    if shift.time_dimension is not None:
        item = shift.time_dimension
        return (catalog.cubes[item.cube].dimensions[item.member],)
    uses = [key.dimension for key in frame.keys if key.dimension.type == "time"]
    uses += [item.use.dimension for item in frame.ranges if isinstance(item.use, DimensionUse)]
    used = [use.dimension for use in dimension_uses(frame.conditions)]
    uses += [dimension for dimension in used if dimension.type == "time"]
    return tuple({(item.cube, item.name): item for item in uses}.values())


def _resolve(catalog: Catalog, shift: TimeShift, dimension: Dimension) -> Shift:
    """Return the shift for a dimension; a calendar may define it by a column of its own."""
    cube = catalog.cubes[dimension.cube]
    interval, direction = shift.interval, shift.direction
    if not cube.calendar:
        if interval is None or direction is None:
            raise UnsupportedError(
                f"the time shift {shift.name} is not defined for {dimension.cube}.{dimension.name}",
                suggestion="name a time dimension of a calendar cube that defines it",
            )
        return Shift(dimension.cube, dimension.name, interval, _sign(direction))
    moved = None
    if shift.name is not None:
        named = next((item for item in dimension.time_shifts if item.name == shift.name), None)
        if named is None:
            raise UnsupportedError(
                f"{dimension.cube}.{dimension.name} has no time shift {shift.name}"
            )
        interval, direction, moved = named.interval, named.direction, named.sql
    if moved is None:
        matching = (
            item
            for item in dimension.time_shifts
            if item.sql is not None and (item.interval, item.direction) == (interval, direction)
        )
        moved = next((item.sql for item in matching), None)
    if moved is None and (interval is None or direction is None):
        raise UnsupportedError(f"the time shift {shift.name} has neither interval nor sql")
    # The calendar's key is moved: facts are joined to the day that stands for theirs.
    key = next((item for item in cube.primary_key if item.type == "time"), None)
    if key is None:
        raise UnsupportedError(
            f"the calendar {cube.name} has no primary key of type time to shift by",
            suggestion="mark its day with `primary_key: true`",
        )
    sign = _sign(direction) if direction is not None else 1
    return Shift(cube.name, key.name, interval, sign, moved, calendar=True)


def _sign(direction: str) -> Literal[1, -1]:
    match direction:
        case "prior":
            return 1
        case "next":
            return -1
        case other:
            msg = f"a shift goes prior or next, not {other}"
            raise ValueError(msg)
