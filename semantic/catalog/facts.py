"""What the rules about a model need to know of each cube, gathered once for each cube that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from semantic.catalog.catalog import (
    CaseExpression,
    ColumnReference,
    Cube,
    Dimension,
    Expression,
    FilterGroup,
    FilterParameter,
    LocalTime,
    Measure,
    MemberReference,
    SwitchExpression,
)
from semantic.errors import Span


@dataclass(frozen=True, slots=True)
class OtherCube:
    """A snippet of `member` reads another cube: its columns, or (`read`) one of its members."""

    member: str
    cube: str
    read: str | None
    span: Span | None


@dataclass(frozen=True, slots=True)
class MaskSql:
    """What the SQL of a member's mask reads: cubes by their columns, and members by full names."""

    member: str
    cubes: frozenset[str]
    named: tuple[str, ...]
    span: Span | None


@dataclass(frozen=True, slots=True)
class Facts:
    """`references` holds the members that each member's snippets name, all by full names.

    What a member's mask names stands there too: it is read where the member is. A custom granularity
    with SQL is `cube.member.granularity`, and who names a granularity names it beside its member.
    `joined` holds the cubes that the condition of each join names; `roles` says whether a role is
    among the references; `kinds` are the semi-additive, spined and conversion measures.
    """

    references: Mapping[str, tuple[str, ...]]
    roles: bool
    joined: Mapping[str, frozenset[str]]
    others: tuple[OtherCube, ...]
    keys: tuple[Dimension, ...]
    kinds: tuple[Measure, ...] = ()
    masks: tuple[MaskSql, ...] = ()


def list_facts(cube: Cube) -> Facts:
    """Return what the rules need to know of a cube."""
    references: dict[str, tuple[str, ...]] = {}
    others: dict[OtherCube, None] = {}
    for name, expression in list_expressions(cube):
        for part in _flatten(expression):
            match part:
                case MemberReference():
                    full = f"{cube.name}.{name}"
                    references[full] = (*references.get(full, ()), *_names(part))
                    if part.cube != cube.name:
                        others[OtherCube(name, part.cube, part.member, expression.span)] = None
                case ColumnReference() if part.cube != cube.name:
                    others[OtherCube(name, part.cube, None, expression.span)] = None
                case _:
                    pass
    for full, expression in _list_hidden(cube):
        found = [part for part in _flatten(expression) if isinstance(part, MemberReference)]
        if found:
            names = (name for part in found for name in _names(part))
            references[full] = (*references.get(full, ()), *names)
    return Facts(
        references,
        roles=any("." in other.cube for other in others),
        joined={name: frozenset(_list_cubes(join.sql)) for name, join in cube.joins.items()},
        others=tuple(others),
        keys=cube.primary_key,
        kinds=tuple(measure for measure in cube.measures.values() if _is_special(measure)),
        masks=tuple(_describe_mask(name, sql) for name, sql in _list_masks(cube)),
    )


def _names(part: MemberReference) -> tuple[str, ...]:
    """Return the full names of what a reference names."""
    member = f"{part.cube}.{part.member}"
    return (member,) if part.granularity is None else (member, f"{member}.{part.granularity}")


def _list_hidden(cube: Cube) -> Iterator[tuple[str, Expression]]:
    """Yield the SQL of granularities and masks, with the full name of what reads it."""
    for dimension in cube.dimensions.values():
        for item in dimension.granularities:
            if item.sql is not None:
                yield f"{cube.name}.{dimension.name}.{item.name}", item.sql
    for name, sql in _list_masks(cube):
        yield f"{cube.name}.{name}", sql


def _list_masks(cube: Cube) -> Iterator[tuple[str, Expression]]:
    """Yield the SQL of masks, with the member's name."""
    for dimension in cube.dimensions.values():
        if dimension.mask is not None and dimension.mask.sql is not None:
            yield dimension.name, dimension.mask.sql
    for measure in cube.measures.values():
        if measure.mask is not None and measure.mask.sql is not None:
            yield measure.name, measure.mask.sql


def _describe_mask(member: str, sql: Expression) -> MaskSql:
    parts = tuple(_flatten(sql))
    cubes = frozenset(part.cube for part in parts if isinstance(part, ColumnReference))
    named = [name for part in parts if isinstance(part, MemberReference) for name in _names(part)]
    return MaskSql(member, cubes, tuple(named), sql.span)


def _is_special(measure: Measure) -> bool:
    special = measure.non_additive or measure.conversion or measure.join_to_timespine
    return bool(special)


def _list_cubes(expression: Expression) -> Iterator[str]:
    """Yield the cubes that a snippet reads columns or members of."""
    for part in _flatten(expression):
        if isinstance(part, ColumnReference | MemberReference):
            yield part.cube


def _flatten(expression: Expression) -> Iterator[object]:
    for part in expression.parts:
        if isinstance(part, LocalTime):
            yield from _flatten(part.expression)
        elif isinstance(part, FilterParameter):
            yield from (piece for piece in part.template if not isinstance(piece, str))
        elif isinstance(part, FilterGroup):
            yield from _flatten(Expression(part.parameters))
        elif not isinstance(part, str):
            yield part


def list_expressions(cube: Cube) -> Iterator[tuple[str, Expression]]:
    """Yield every snippet of a cube's members, with the member's name."""
    for dimension in cube.dimensions.values():
        for expression in _dimension_expressions(dimension):
            yield dimension.name, expression
    for measure in cube.measures.values():
        for expression in _measure_expressions(measure):
            yield measure.name, expression
    for segment in cube.segments.values():
        yield segment.name, segment.sql


def _switch_expressions(switch: SwitchExpression) -> Iterator[Expression]:
    yield Expression((switch.switch,))
    yield from (branch.sql for branch in switch.branches)
    if switch.otherwise is not None:
        yield switch.otherwise


def _measure_expressions(measure: Measure) -> Iterator[Expression]:
    match measure.sql:
        case Expression() as expression:
            yield expression
        case SwitchExpression() as switch:
            yield from _switch_expressions(switch)
        case None:
            pass
    yield from measure.filters
    yield from measure.drill_filters
    if measure.multi_stage is not None:
        yield from (key.sql for key in measure.multi_stage.order_by)
    if measure.non_additive is not None:
        members = (measure.non_additive.time, *measure.non_additive.groupings)
        yield from (Expression((member,), measure.span) for member in members)
    if measure.conversion is not None:
        events = (measure.conversion.base, measure.conversion.converted)
        yield from (Expression((event.measure,), measure.span) for event in events)


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
