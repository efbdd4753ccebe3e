"""What the SQL of rows is made of, through all the members and cubes that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from semantic.catalog.catalog import (
    Catalog,
    ContextValue,
    CubeSource,
    Dimension,
    Expression,
    FilterGroup,
    FilterParameter,
    LocalTime,
    Measure,
    MemberReference,
)
from semantic.plan.lineage import Item, expressions_of, find_item
from semantic.plan.nodes import Rows


def depends_on_query(catalog: Catalog, rows: Rows, members: Iterable[Item]) -> bool:
    """Whether the rows or members read the query's filters or the caller's claims."""
    asked = FilterParameter | FilterGroup | ContextValue
    return any(isinstance(part, asked) for part in walk_parts(catalog, rows, members))


def reads_local_time(catalog: Catalog, rows: Rows, members: Iterable[Item]) -> bool:
    """Whether the rows or members read the wall clock of the query's time zone."""
    return any(
        isinstance(part, LocalTime)
        or (isinstance(part, MemberReference) and part.granularity is not None)
        for part in walk_parts(catalog, rows, members)
    )


def members_below(catalog: Catalog, members: Iterable[Item]) -> set[tuple[str, str]]:
    """Return cube and name of the members, and of all those that their SQL names."""
    found: set[tuple[str, str]] = set()
    waiting = list(members)
    while waiting:
        item = waiting.pop()
        if (item.cube, item.name) in found:
            continue
        found.add((item.cube, item.name))
        for expression in _expressions(item):
            for part in _flatten(expression):
                waiting += _named(catalog, part)
    return found


def walk_parts(catalog: Catalog, rows: Rows, members: Iterable[Item]) -> Iterator[object]:
    """Yield every part of the SQL of cubes, joins and members."""
    waiting: list[Expression] = [step.join.sql for step in rows.steps]
    cubes = list(rows.cubes)
    for item in members:
        waiting += _expressions(item)
    seen: set[tuple[str, str]] = set()
    known: set[str] = set()
    while waiting or cubes:
        while cubes:
            name = cubes.pop()
            if name not in known:
                known.add(name)
                sql = catalog.cubes[name].sql
                waiting += [] if sql is None else [sql]
        if not waiting:
            break
        for part in _flatten(waiting.pop()):
            yield part
            if isinstance(part, CubeSource):
                cubes.append(part.cube)
            elif isinstance(part, MemberReference) and (part.cube, part.member) not in seen:
                seen.add((part.cube, part.member))
                waiting += _expressions(find_item(catalog, part))


def _named(catalog: Catalog, part: object) -> tuple[Item, ...]:
    return (find_item(catalog, part),) if isinstance(part, MemberReference) else ()


def _expressions(item: Item) -> Iterator[Expression]:
    yield from expressions_of(item)
    match item:
        case Dimension():
            for granularity in item.granularities:
                if granularity.sql is not None:
                    yield granularity.sql
        case Measure():
            pass
        case _:
            pass


def _flatten(expression: Expression) -> Iterator[object]:
    for part in expression.parts:
        yield part
        if isinstance(part, LocalTime):
            yield from _flatten(part.expression)
