"""What a member's SQL refers to, through all the members that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, assert_never

import sqlglot
from sqlglot.errors import SqlglotError

from semantic.catalog.catalog import (
    CaseExpression,
    Catalog,
    ColumnReference,
    CubeSource,
    Dimension,
    Expression,
    FilterGroup,
    FilterParameter,
    LocalTime,
    Measure,
    MemberReference,
    Segment,
    SwitchExpression,
)
from semantic.errors import InternalError, UnsupportedError
from semantic.spec.aggregates import is_aggregate

Item = Dimension | Measure | Segment
MeasureKind = Literal["leaf", "calculated", "staged"]

_TYPED: Final = frozenset(
    {"count", "count_distinct", "count_distinct_approx", "sum", "avg", "min", "max"}
)
_DEEPEST = 50


@dataclass(slots=True)
class Reach:
    """The cubes whose rows a member reads, and the ways its references insist on; both ordered."""

    cubes: dict[str, None] = field(default_factory=dict)
    paths: dict[tuple[str, ...], None] = field(default_factory=dict)

    def add(self, other: Reach) -> None:
        """Take in another reach."""
        self.cubes.update(other.cubes)
        self.paths.update(other.paths)


def is_typed(measure: Measure) -> bool:
    """Whether the measure's type names its aggregate, and its SQL is about one row."""
    return measure.type in _TYPED


def expressions_of(item: Item) -> Iterator[Expression]:
    """Yield every SQL snippet of a member that its value depends on."""
    match item:
        case Dimension():
            candidates = (item.sql, item.latitude, item.longitude)
            yield from (part for part in candidates if isinstance(part, Expression))
            if isinstance(item.sql, CaseExpression):
                yield from _case_expressions(item.sql)
            elif isinstance(item.sql, SwitchExpression):
                yield from switch_expressions(item.sql)
        case Measure():
            yield from _measure_expressions(item)
        case Segment():
            yield item.sql


def _measure_expressions(item: Measure) -> Iterator[Expression]:
    if isinstance(item.sql, Expression):
        yield item.sql
    elif isinstance(item.sql, SwitchExpression):
        yield from switch_expressions(item.sql)
    yield from item.filters
    if item.multi_stage is not None:
        yield from (key.sql for key in item.multi_stage.order_by)
    if item.non_additive is not None:
        members = (item.non_additive.time, *item.non_additive.groupings)
        yield from (Expression((member,)) for member in members)
    if item.conversion is not None:
        # Its dimensions are read with the rows of each of the two, not with its own.
        yield Expression((item.conversion.base.measure,))
        yield Expression((item.conversion.converted.measure,))


def _case_expressions(case: CaseExpression) -> Iterator[Expression]:
    for branch in case.branches:
        yield branch.condition
        if isinstance(branch.label, Expression):
            yield branch.label
    if isinstance(case.otherwise, Expression):
        yield case.otherwise


def switch_expressions(switch: SwitchExpression) -> Iterator[Expression]:
    """Yield the snippets of the branches, after the dimension that chooses."""
    yield Expression((switch.switch,))
    yield from (branch.sql for branch in switch.branches)
    if switch.otherwise is not None:
        yield switch.otherwise


def find_item(catalog: Catalog, reference: MemberReference) -> Item:
    """Return the member that a reference of the model stands for."""
    cube = catalog.cubes[reference.cube]
    item = (
        cube.dimensions.get(reference.member)
        or cube.measures.get(reference.member)
        or cube.segments.get(reference.member)
    )
    if item is None:
        raise InternalError(f"{reference.cube}.{reference.member} is not linked")
    return item


def references_in(expression: Expression) -> Iterator[MemberReference]:
    """Yield the members that a snippet names directly."""
    for part in expression.parts:
        if isinstance(part, MemberReference):
            yield part
        elif isinstance(part, LocalTime):
            yield from references_in(part.expression)


def is_computed(catalog: Catalog, dimension: Dimension) -> bool:
    """Whether the dimension's own SQL holds measures: a sub-query or multi-stage dimension."""
    if dimension.sub_query:
        return True
    return dimension.multi_stage is not None and any(
        isinstance(find_item(catalog, reference), Measure)
        for expression in expressions_of(dimension)
        for reference in references_in(expression)
    )


def reach_of(catalog: Catalog, item: Item, depth: int = 0) -> Reach:
    """Return what has to be joined for the member's SQL; measures inside computed dimensions not."""
    if depth > _DEEPEST:
        raise InternalError("members refer to each other without end")
    found = Reach()
    if not isinstance(item, Measure) or kind_of(catalog, item) == "leaf":
        found.cubes[item.cube] = None
    for expression in expressions_of(item):
        found.add(reach_in(catalog, expression, depth))
    if isinstance(item, Dimension) and item.multi_stage is not None:
        for reference in item.multi_stage.include:
            found.add(_reach_of_reference(catalog, reference, depth))
    return found


def reach_in(catalog: Catalog, expression: Expression, depth: int = 0) -> Reach:
    """Return what has to be joined for a snippet."""
    found = Reach()
    for part in expression.parts:
        match part:
            case ColumnReference():
                found.cubes[part.cube] = None
            case MemberReference():
                found.add(_reach_of_reference(catalog, part, depth))
            case LocalTime():
                found.add(reach_in(catalog, part.expression, depth))
            case FilterParameter():
                _add_template(found, part)
            case FilterGroup():
                for parameter in part.parameters:
                    _add_template(found, parameter)
            case str() | CubeSource():
                pass
            case _:  # ContextValue has no cube
                pass
    return found


def _add_template(found: Reach, parameter: FilterParameter) -> None:
    for piece in parameter.template:
        if isinstance(piece, ColumnReference):
            found.cubes[piece.cube] = None


def _reach_of_reference(catalog: Catalog, reference: MemberReference, depth: int) -> Reach:
    item = find_item(catalog, reference)
    found = Reach()
    if isinstance(item, Measure):
        # A measure in a computed dimension or a calculated measure is evaluated apart.
        return found
    if reference.path:
        found.paths[reference.path] = None
    found.add(reach_of(catalog, item, depth + 1))
    return found


def measures_of(catalog: Catalog, item: Item) -> tuple[Measure, ...]:
    """Return the measures that a member's SQL names, through the dimensions that it names."""
    found: dict[tuple[str, str], Measure] = {}
    _collect_measures(catalog, item, found, 0)
    return tuple(found.values())


def _collect_measures(
    catalog: Catalog, item: Item, found: dict[tuple[str, str], Measure], depth: int
) -> None:
    if depth > _DEEPEST:
        raise InternalError("members refer to each other without end")
    for expression in expressions_of(item):
        for reference in references_in(expression):
            named = find_item(catalog, reference)
            match named:
                case Measure():
                    found.setdefault((named.cube, named.name), named)
                case Dimension() | Segment():
                    pass
                case _ as unreachable:
                    assert_never(unreachable)


def computed_below(catalog: Catalog, item: Item, depth: int = 0) -> list[Dimension]:
    """Return the computed dimensions that the member's SQL needs, itself among them."""
    if depth > _DEEPEST:
        raise InternalError("members refer to each other without end")
    found: list[Dimension] = []
    for expression in expressions_of(item):
        found += computed_in(catalog, expression, depth)
    if isinstance(item, Dimension) and is_computed(catalog, item):
        found.append(item)
    return found


def computed_in(catalog: Catalog, expression: Expression, depth: int = 0) -> list[Dimension]:
    """Return the computed dimensions that a snippet needs."""
    found: list[Dimension] = []
    for reference in references_in(expression):
        item = find_item(catalog, reference)
        if isinstance(item, Dimension | Segment):
            found += computed_below(catalog, item, depth + 1)
    return found


def switches_below(catalog: Catalog, item: Item, depth: int = 0) -> list[Dimension]:
    """Return the switch dimensions without SQL that the member's SQL reads, itself among them."""
    if depth > _DEEPEST:
        raise InternalError("members refer to each other without end")
    if isinstance(item, Dimension) and item.type == "switch" and item.sql is None:
        return [item]
    found: list[Dimension] = []
    for expression in expressions_of(item):
        for reference in references_in(expression):
            named = find_item(catalog, reference)
            if not isinstance(named, Measure):
                found += switches_below(catalog, named, depth + 1)
    return found


def kind_of(catalog: Catalog, measure: Measure) -> MeasureKind:
    """Return how a measure is made: from rows, from measures of its group, or by stages.

    Raises:
        UnsupportedError: it mixes measures with aggregates over rows.
    """
    stage = measure.multi_stage
    special = measure.rolling_window or measure.conversion
    if special is not None or measure.type == "rank":
        return "staged"
    if stage is not None:
        changes = stage.grain or stage.filter or stage.time_shifts or stage.order_by
        if changes or is_typed(measure) or isinstance(measure.sql, SwitchExpression):
            return "staged"
        return "calculated"
    if is_typed(measure) or not isinstance(measure.sql, Expression):
        return "leaf"
    named = [find_item(catalog, reference) for reference in references_in(measure.sql)]
    if not any(isinstance(item, Measure) for item in named):
        return "leaf"
    columns = any(isinstance(part, ColumnReference) for part in measure.sql.parts)
    rows = columns or any(not isinstance(item, Measure) for item in named)
    if rows or _aggregates(measure.sql):
        raise UnsupportedError(
            f"the measure {measure.cube}.{measure.name} mixes other measures with aggregates "
            "of its own",
            suggestion="give the aggregate a measure of its own and refer to that",
        )
    if measure.filters:
        raise UnsupportedError(
            f"the measure {measure.cube}.{measure.name} is computed from measures and has filters",
            suggestion="put the filters on the measures that it is computed from",
        )
    return "calculated"


def find_fill(catalog: Catalog, measure: Measure) -> float | None:
    """Return what a measure shows in a group where it is null; None: null."""
    if measure.fill_nulls_with is not None or measure.conversion is None:
        return measure.fill_nulls_with
    if measure.conversion.rate:
        return None
    counted = find_item(catalog, measure.conversion.converted.measure)
    summed = isinstance(counted, Measure) and counted.type == "sum"
    return None if summed else 0  # as every count of nothing


def split(
    catalog: Catalog, measures: Iterable[Measure], depth: int = 0
) -> tuple[
    dict[tuple[str, str], Measure], dict[tuple[str, str], Measure], dict[tuple[str, str], Measure]
]:
    """Return the leaves, the staged and the calculated measures under `measures`, in order."""
    leaves: dict[tuple[str, str], Measure] = {}
    staged: dict[tuple[str, str], Measure] = {}
    calculated: dict[tuple[str, str], Measure] = {}
    if depth > _DEEPEST:
        raise InternalError("measures refer to each other without end")
    for measure in measures:
        name = (measure.cube, measure.name)
        match kind_of(catalog, measure):
            case "leaf":
                leaves.setdefault(name, measure)
            case "staged":
                staged.setdefault(name, measure)
            case "calculated":
                calculated.setdefault(name, measure)
                below = split(catalog, measures_of(catalog, measure), depth + 1)
                for mine, theirs in zip((leaves, staged, calculated), below, strict=True):
                    for key, item in theirs.items():
                        mine.setdefault(key, item)
            case _ as unreachable:
                assert_never(unreachable)
    return leaves, staged, calculated


@lru_cache(maxsize=4096)
def _aggregates(expression: Expression) -> bool:
    """Whether the text between the references calls an aggregate function."""
    text = "".join(part if isinstance(part, str) else " 1 " for part in expression.parts)
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
        return any(is_aggregate(node) for node in tree.walk())
    except SqlglotError:
        return True  # not understood: treated as what is refused
