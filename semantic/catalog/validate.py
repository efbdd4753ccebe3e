"""Rules about the linked model as a whole. Each is a function that returns Problems; none raises.

A rule sees cubes whose snippets may be empty because they had problems of their own: it must not
mind. Add a rule by adding a function to RULES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from semantic.catalog.catalog import (
    CaseExpression,
    ColumnReference,
    Cube,
    Dimension,
    Expression,
    LocalTime,
    Measure,
    MemberReference,
    SwitchExpression,
)
from semantic.catalog.join_graph import JoinGraph
from semantic.errors import Problem, suggest

Rule = Callable[[Mapping[str, Cube], JoinGraph], Iterator[Problem]]

_NEEDS_KEY: Final = frozenset({"sum", "avg", "count", "number", "number_agg"})


def find_problems(cubes: Mapping[str, Cube], graph: JoinGraph) -> list[Problem]:
    """Return what every rule finds."""
    return [problem for rule in RULES for problem in rule(cubes, graph)]


def find_empty_cubes(cubes: Mapping[str, Cube], graph: JoinGraph) -> Iterator[Problem]:
    """A cube without dimensions, measures and segments answers nothing."""
    del graph
    for cube in cubes.values():
        if not (cube.dimensions or cube.measures or cube.segments):
            yield Problem("empty_cube", f"cube {cube.name} has no members", cube.span)


def find_bad_joins(cubes: Mapping[str, Cube], graph: JoinGraph) -> Iterator[Problem]:
    """A join leads to another cube that exists, and its condition is about these two."""
    del graph
    for cube in cubes.values():
        for join in cube.joins.values():
            base = join.base or join.target
            if base not in cubes:
                yield Problem(
                    "unknown_cube",
                    f"join of {cube.name} to `{base}`: there is no such cube",
                    join.span,
                    suggest(base, cubes),
                )
                continue
            if join.target == cube.name:
                yield Problem(
                    "invalid_join",
                    f"{cube.name} joins itself",
                    join.span,
                    "give the join a name of its own: `name: manager`, `cube: %s`" % cube.name,
                )
                continue
            if not join.sql.parts:
                continue
            named = set(_cubes_in(join.sql))
            for other in sorted(named - {cube.name, join.target}):
                yield Problem(
                    "invalid_join",
                    f"the join of {cube.name} to {join.target} refers to {other}",
                    join.sql.span,
                    "a join is about its two cubes only",
                )
            if not {cube.name, join.target} <= named:
                yield Problem(
                    "invalid_join",
                    f"the join of {cube.name} to {join.target} does not compare the two",
                    join.sql.span,
                    f"write {{CUBE}}.column = {{{join.target}}}.column",
                )


def find_missing_keys(cubes: Mapping[str, Cube], graph: JoinGraph) -> Iterator[Problem]:
    """A cube that takes part in a join needs a primary key, or its measures could double count."""
    del graph
    joined: dict[str, str] = {}
    for cube in cubes.values():
        for join in cube.joins.values():
            if join.target in cubes:
                joined.setdefault(cube.name, join.target)
                joined.setdefault(join.target, cube.name)
    for name, other in joined.items():
        cube = cubes[name]
        additive = [item.name for item in cube.measures.values() if item.type in _NEEDS_KEY]
        if additive and not cube.primary_key:
            yield Problem(
                "missing_primary_key",
                f"{name} is joined with {other}, so {additive[0]} needs a primary key of {name} "
                "to count no row twice",
                cube.span,
                "mark the dimensions that identify a row with `primary_key: true`",
            )


def find_geo_keys(cubes: Mapping[str, Cube], graph: JoinGraph) -> Iterator[Problem]:
    """A primary key is a plain value."""
    del graph
    for cube in cubes.values():
        for dimension in cube.primary_key:
            if dimension.type == "geo":
                yield Problem(
                    "invalid_value",
                    f"{cube.name}.{dimension.name} is geo: it cannot be a primary key",
                    dimension.span,
                )


def find_unreachable_references(cubes: Mapping[str, Cube], graph: JoinGraph) -> Iterator[Problem]:
    """A row may read another cube only when joins lead from one of the two to the other.

    Measures of other cubes are computed apart: whether they can stand together is decided by query.
    """
    reaching = {name: graph.reachable(name) for name in cubes}
    for cube in cubes.values():
        for name, expression in _expressions(cube):
            for other in sorted(set(_cubes_in(expression, cubes))):
                reached = reaching.get(other) or graph.reachable(other)
                if other in reaching[cube.name] or cube.name in reached or "." in other:
                    continue
                yield Problem(
                    "no_join_path",
                    f"{cube.name}.{name} refers to {other}, and no joins connect the two",
                    expression.span,
                    f"declare a join from {cube.name} to {other}",
                )


def _cubes_in(expression: Expression, cubes: Mapping[str, Cube] | None = None) -> Iterator[str]:
    """Yield the cubes whose rows a snippet reads; with `cubes`, without those of its measures."""
    for part in expression.parts:
        match part:
            case ColumnReference():
                yield part.cube
            case MemberReference():
                owner = cubes.get(part.cube) if cubes is not None else None
                if owner is None or part.member not in owner.measures:
                    yield part.cube
            case LocalTime():
                yield from _cubes_in(part.expression, cubes)
            case _:
                pass


def find_cycles(cubes: Mapping[str, Cube], graph: JoinGraph) -> Iterator[Problem]:
    """No member refers to itself, also not through others."""
    del graph
    references: dict[str, list[str]] = {}
    items: dict[str, Dimension | Measure] = {}
    for cube in cubes.values():
        items.update((f"{cube.name}.{name}", item) for name, item in cube.dimensions.items())
        items.update((f"{cube.name}.{name}", item) for name, item in cube.measures.items())
        for name, expression in _expressions(cube):
            references.setdefault(f"{cube.name}.{name}", []).extend(
                f"{part.cube}.{part.member}"
                for part in expression.parts
                if isinstance(part, MemberReference)
            )
    done: set[str] = set()
    for start in references:
        cycle = _find_cycle(start, references, done)
        if cycle is not None:
            item = items.get(cycle[0])
            yield Problem(
                "reference_cycle",
                f"members refer to each other in a circle: {' -> '.join(cycle)}",
                item.span if item else None,
            )


def _find_cycle(
    start: str, references: Mapping[str, list[str]], done: set[str]
) -> list[str] | None:
    """Return a circle reachable from `start`, its first member also last. Iterative: no depth."""
    path: list[str] = []
    on_path: set[str] = set()
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            path.pop()
            on_path.discard(name)
            done.add(name)
            continue
        if name in on_path:
            circle = [*path[path.index(name) :], name]
            done.update(path)
            return circle
        if name in done:
            continue
        path.append(name)
        on_path.add(name)
        stack.append((name, True))
        stack.extend((other, False) for other in references.get(name, ()))
    return None


def _expressions(cube: Cube) -> Iterator[tuple[str, Expression]]:
    """Every snippet of a cube's members, with the member's name."""
    for dimension in cube.dimensions.values():
        for expression in _dimension_expressions(dimension):
            yield dimension.name, expression
    for measure in cube.measures.values():
        match measure.sql:
            case Expression() as expression:
                yield measure.name, expression
            case SwitchExpression() as switch:
                for expression in _switch_expressions(switch):
                    yield measure.name, expression
            case None:
                pass
        for condition in (*measure.filters, *measure.drill_filters):
            yield measure.name, condition
        if measure.multi_stage is not None:
            for key in measure.multi_stage.order_by:
                yield measure.name, key.sql
    for segment in cube.segments.values():
        yield segment.name, segment.sql


def _switch_expressions(switch: SwitchExpression) -> Iterator[Expression]:
    yield Expression((switch.switch,))
    yield from (branch.sql for branch in switch.branches)
    if switch.otherwise is not None:
        yield switch.otherwise


def _dimension_expressions(dimension: Dimension) -> Iterator[Expression]:
    match dimension.sql:
        case Expression() as expression:
            yield expression
        case CaseExpression(branches=branches, otherwise=otherwise):
            yield from (branch.condition for branch in branches)
            labels = (*(branch.label for branch in branches), otherwise)
            yield from (label for label in labels if isinstance(label, Expression))
        case SwitchExpression() as switch:
            yield from _switch_expressions(switch)
        case None:
            pass
    yield from (
        coordinate
        for coordinate in (dimension.latitude, dimension.longitude)
        if coordinate is not None
    )


RULES: Final[tuple[Rule, ...]] = (
    find_empty_cubes,
    find_bad_joins,
    find_missing_keys,
    find_geo_keys,
    find_unreachable_references,
    find_cycles,
)
