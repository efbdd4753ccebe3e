"""What a member's SQL refers to, through all the members that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import sqlglot
from sqlglot.errors import SqlglotError

from semantic.catalog.catalog import (
    CaseExpression,
    Catalog,
    ColumnReference,
    Dimension,
    Expression,
    Measure,
    MemberReference,
    Segment,
)
from semantic.errors import InternalError, UnsupportedError
from semantic.spec.aggregates import is_aggregate

_TYPED = frozenset({"count", "count_distinct", "count_distinct_approx", "sum", "avg", "min", "max"})
_DEEPEST = 50


def is_typed(measure: Measure) -> bool:
    """Whether the measure's type names its aggregate, and its SQL is about one row."""
    return measure.type in _TYPED


def expressions_of(item: Dimension | Measure | Segment) -> Iterator[Expression]:
    """Yield every SQL snippet of a member."""
    match item:
        case Dimension():
            candidates = (item.sql, item.latitude, item.longitude)
            yield from (part for part in candidates if isinstance(part, Expression))
            if isinstance(item.sql, CaseExpression):
                yield from _case_expressions(item.sql)
        case Measure():
            if item.sql is not None:
                yield item.sql
            yield from item.filters
        case Segment():
            yield item.sql


def _case_expressions(case: CaseExpression) -> Iterator[Expression]:
    for branch in case.branches:
        yield branch.condition
        if isinstance(branch.label, Expression):
            yield branch.label
    if isinstance(case.otherwise, Expression):
        yield case.otherwise


def find_item(catalog: Catalog, reference: MemberReference) -> Dimension | Measure | Segment:
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


def cubes_of(
    catalog: Catalog, item: Dimension | Measure | Segment, depth: int = 0
) -> dict[str, None]:
    """Return the cubes whose rows the member's SQL reads, its own first (an ordered set)."""
    found: dict[str, None] = {}
    if not isinstance(item, Measure) or not is_combined(catalog, item):
        found[item.cube] = None
    for expression in expressions_of(item):
        found.update(cubes_in(catalog, expression, depth))
    return found


def cubes_in(catalog: Catalog, expression: Expression, depth: int = 0) -> dict[str, None]:
    """Return the cubes whose rows a snippet reads."""
    if depth > _DEEPEST:
        raise InternalError("members refer to each other without end")
    found: dict[str, None] = {}
    for part in expression.parts:
        match part:
            case ColumnReference():
                found[part.cube] = None
            case MemberReference():
                found.update(cubes_of(catalog, find_item(catalog, part), depth + 1))
            case str():
                pass
    return found


def is_combined(catalog: Catalog, measure: Measure) -> bool:
    """Whether the measure is arithmetic over other measures, and reads no row itself.

    Raises:
        UnsupportedError: it mixes measures with aggregates over rows.
    """
    if is_typed(measure) or measure.sql is None:
        return False
    measures = rows = False
    for part in measure.sql.parts:
        match part:
            case MemberReference():
                if isinstance(find_item(catalog, part), Measure):
                    measures = True
                else:
                    rows = True
            case ColumnReference():
                rows = True
            case str():
                pass
    if not measures:
        return False
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
    return True


def measures_in(catalog: Catalog, expression: Expression) -> Iterator[Measure]:
    """Yield the measures that a snippet names directly."""
    for part in expression.parts:
        if isinstance(part, MemberReference):
            item = find_item(catalog, part)
            if isinstance(item, Measure):
                yield item


def leaves_of(catalog: Catalog, measures: Iterable[Measure], depth: int = 0) -> Iterator[Measure]:
    """Yield the measures that rows have to be read for, in the order in which they are needed."""
    if depth > _DEEPEST:
        raise InternalError("measures refer to each other without end")
    for measure in measures:
        if measure.sql is not None and is_combined(catalog, measure):
            yield from leaves_of(catalog, measures_in(catalog, measure.sql), depth + 1)
        else:
            yield measure


@lru_cache(maxsize=4096)
def _aggregates(expression: Expression) -> bool:
    """Whether the text between the references calls an aggregate function."""
    text = "".join(part if isinstance(part, str) else " 1 " for part in expression.parts)
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
        return any(is_aggregate(node) for node in tree.walk())
    except SqlglotError:
        return True  # not understood: treated as what is refused
