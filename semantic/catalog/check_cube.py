"""Rules about one cube as it is written, which no single member can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from semantic.catalog.resolve import CubeNames
from semantic.errors import Problem
from semantic.spec.cube import CubeSpec, DimensionSpec
from semantic.spec.intervals import UNITS


def find_cube_problems(spec: CubeSpec, names: Mapping[str, CubeNames]) -> Iterator[Problem]:
    """Yield what is wrong with keys and joins, and with what only calendars have."""
    yield from _find_join_problems(spec, names)
    for dimension in spec.dimensions:
        yield from _find_key_problems(dimension)
        yield from _find_calendar_problems(spec, dimension)


def _find_join_problems(spec: CubeSpec, names: Mapping[str, CubeNames]) -> Iterator[Problem]:
    for join in spec.joins:
        if join.name != join.cube and join.name in names:
            yield Problem(
                "invalid_join",
                f"the join of {spec.name} to {join.cube} is named like the cube {join.name}",
                join.span,
                "give it a name that no cube has",
            )


def _find_key_problems(dimension: DimensionSpec) -> Iterator[Problem]:
    """A key is read from the row: other cubes are joined by it before anything is computed."""
    if not dimension.primary_key:
        return
    computed = dimension.sub_query or dimension.multi_stage is not None
    if computed or (dimension.type == "switch" and dimension.sql is None):
        kind = "computed from measures" if computed else "a switch without `sql`"
        yield Problem(
            "invalid_value",
            f"`{dimension.name}` is {kind}: it cannot be a primary key",
            dimension.span,
            "mark the columns that identify a row",
        )


def _find_calendar_problems(spec: CubeSpec, dimension: DimensionSpec) -> Iterator[Problem]:
    shifts = dimension.time_shifts
    if shifts and dimension.type != "time":
        yield Problem(
            "invalid_value",
            f"`{dimension.name}` is no time: it has no `time_shift`",
            shifts[0].span,
        )
    if spec.calendar:
        return
    if shifts:
        yield Problem(
            "invalid_value",
            f"`time_shift` of `{dimension.name}` belongs to a calendar, and {spec.name} is none",
            shifts[0].span,
            "write `calendar: true` on the cube",
        )
    for granularity in dimension.granularities:
        if granularity.name in UNITS:
            yield Problem(
                "invalid_value",
                f"only a calendar redefines `{granularity.name}`, and {spec.name} is none",
                dimension.span,
                "write `calendar: true` on the cube, or choose another name",
            )
