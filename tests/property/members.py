"""What members are made of, and their values: in a row, and over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tests.property.expressions import (
    Aggregate,
    Call,
    Column,
    Constant,
    Expression,
    Member,
    aggregate,
    apply,
    evaluate_row,
    walk,
)
from tests.property.model import Case, Dimension, Measure, Place, Segment, Switch, World
from tests.property.values import Joined, Value

Name = tuple[str, str]
"""Cube and member."""
Readers = Mapping[Name, Callable[[Joined], Value]]
"""How dimensions are read from a row."""


def expressions_of(item: Dimension | Measure | Segment) -> Iterator[Expression]:
    """Yield a member's expressions in the order of the YAML."""
    match item:
        case Dimension():
            if isinstance(item.sql, Case):
                for condition, label in item.sql.branches:
                    yield condition
                    if not isinstance(label, str):
                        yield label
                if item.sql.otherwise is not None and not isinstance(item.sql.otherwise, str):
                    yield item.sql.otherwise
            else:
                yield item.sql
        case Measure():
            yield from _measure_expressions(item)
        case Segment():
            yield item.sql


def _measure_expressions(item: Measure) -> Iterator[Expression]:
    if isinstance(item.sql, Switch):
        yield item.sql.by
        yield from (part for _, part in item.sql.branches)
        if item.sql.otherwise is not None:
            yield item.sql.otherwise
    elif item.sql is not None:
        yield item.sql
    yield from item.filters
    if item.semi is not None:
        yield from (item.semi.time, *item.semi.groupings)
    if item.stage is not None:
        yield from (ordered for ordered, _ in item.stage.ranks)


def measures_below(world: World, item: Dimension | Measure) -> list[tuple[str, Measure]]:
    """Return the measures that a member is computed from."""
    found: dict[Name, Measure] = {}
    for expression in expressions_of(item):
        for part in walk(expression):
            if isinstance(part, Member):
                named = world.item(part.cube, part.name)
                if isinstance(named, Measure):
                    found[part.cube, part.name] = named
    return [(cube, measure) for (cube, _), measure in found.items()]


def names_below(world: World, member: str) -> set[str]:
    """Return the members of cubes that a member is made of, itself among them."""
    place = world.places[member]
    found = {f"{place.cube}.{place.item.name}"}
    for expression in expressions_of(place.item):
        for part in walk(expression):
            if isinstance(part, Member):
                found |= names_below(world, f"{part.cube}.{part.name}")
    return found


def cubes_of(world: World, cube: str, item: Dimension | Measure | Segment) -> Iterator[str]:
    """Yield the cubes whose rows a member reads, its own first."""
    yield cube
    if isinstance(item, Dimension) and item.sub_query:
        return
    for expression in expressions_of(item):
        for part in walk(expression):
            if isinstance(part, Column):
                yield part.cube
            elif isinstance(part, Member):
                yield from cubes_of(world, part.cube, world.item(part.cube, part.name))


def switches_below(
    world: World, cube: str, item: Dimension | Measure | Segment
) -> dict[Name, Dimension]:
    """Return the switches whose values a member reads, itself among them."""
    if isinstance(item, Dimension) and item.values:
        return {(cube, item.name): item}
    found: dict[Name, Dimension] = {}
    if isinstance(item, Dimension) and item.sub_query:
        return found
    for expression in expressions_of(item):
        for part in walk(expression):
            if isinstance(part, Member):
                named = world.item(part.cube, part.name)
                if not isinstance(named, Measure):
                    found |= switches_below(world, part.cube, named)
    return found


def choose_label(case: Case, row: Joined, readers: Readers) -> Value:
    """Return the label of the first branch whose condition holds."""
    chosen = case.otherwise
    for condition, label in case.branches:
        if evaluate_row(condition, row, readers) is True:
            chosen = label
            break
    if chosen is None or isinstance(chosen, str):
        return chosen
    return evaluate_row(chosen, row, readers)


def passes(measure: Measure, row: Joined, readers: Readers) -> bool:
    """Whether the filters of a measure let the row pass."""
    return all(evaluate_row(part, row, readers) is True for part in measure.filters)


def value_in_row(place: Place, row: Joined, readers: Readers) -> Value:
    """Return a measure as the value of its row: null where its cube has none."""
    item = measure_of(place)
    if row[place.cube] is None or not passes(item, row, readers):
        return None
    assert not isinstance(item.sql, Switch)
    value = 1 if item.sql is None else evaluate_row(item.sql, row, readers)
    if item.type in {"count", "count_distinct"}:
        return None if value is None else 1
    return value


def aggregate_measure(item: Measure, rows: Iterable[Joined], readers: Readers) -> Value:
    """Return a measure over rows of its cube, each of which is here once."""
    assert not isinstance(item.sql, Switch)
    if item.type in {"number", "string", "boolean"}:
        assert item.sql is not None
        return _aggregate_sql(item.sql, list(rows), readers)
    rows = [row for row in rows if passes(item, row, readers)]
    values: list[Value] = [1] * len(rows)
    if item.sql is not None:
        values = [evaluate_row(item.sql, row, readers) for row in rows]
    return aggregate_values(item, values)


def aggregate_values(item: Measure, values: Sequence[Value]) -> Value:
    """Return the aggregate that the measure's type names."""
    match item.type:
        case "count" | "count_distinct" | "sum" | "avg" | "min" | "max":
            return aggregate(item.type, values)
        case _:
            raise TypeError(item)


def _aggregate_sql(item: Expression, rows: Sequence[Joined], readers: Readers) -> Value:
    match item:
        case Aggregate():
            if item.operand is None:
                return len(rows)
            values = [evaluate_row(item.operand, row, readers) for row in rows]
            return aggregate(item.function, values)
        case Constant():
            return item.value
        case Call():
            return apply(item.name, [_aggregate_sql(part, rows, readers) for part in item.operands])
        case _:
            raise TypeError(item)


def calculate(world: World, item: Expression, values: Mapping[Name, Value]) -> Value:
    """Return what is computed from the measures of one group."""
    match item:
        case Member():
            measure = world.item(item.cube, item.name)
            assert isinstance(measure, Measure)
            return read_measure(world, item.cube, measure, values)
        case Constant():
            return item.value
        case Call():
            return apply(item.name, [calculate(world, part, values) for part in item.operands])
        case _:
            raise TypeError(item)


def read_measure(world: World, cube: str, item: Measure, values: Mapping[Name, Value]) -> Value:
    """Return a measure in one group, where its fill stands for null."""
    if (cube, item.name) in values:
        value = values[cube, item.name]
    else:
        assert item.sql is not None
        assert not isinstance(item.sql, Switch)
        value = calculate(world, item.sql, values)
    return item.fill if value is None else value


def measure_of(place: Place) -> Measure:
    """Return the measure that a place holds."""
    assert isinstance(place.item, Measure)
    return place.item


def dimension_of(place: Place) -> Dimension:
    """Return the dimension that a place holds."""
    assert isinstance(place.item, Dimension)
    return place.item
