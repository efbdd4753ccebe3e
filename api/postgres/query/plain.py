"""Whether a measure's value in a group comes from the rows of that group alone."""

from __future__ import annotations

import dataclasses
from typing import Final

from semantic.catalog.catalog import Catalog, Expression, Measure, MemberReference

_TYPES: Final = frozenset(
    {"count", "count_distinct", "count_distinct_approx", "sum", "avg", "min", "max", "number"}
)
_HARMLESS: Final = frozenset(
    {"cube", "name", "type", "sql", "title", "short_title", "description", "public", "filters",
     "format", "currency", "drill_members", "drill_filters", "mask", "aliases", "meta", "span"}
)  # fmt: skip


def is_of_its_rows(catalogs: tuple[Catalog, Catalog], member: str) -> bool:
    """Whether no stage, window or rank of a measure looks beyond the rows of a group.

    `catalogs` are the whole one and that of the tables; `member` is `table.measure`.
    """
    whole, shown = catalogs
    table, _, name = member.partition(".")
    view = shown.views.get(table)
    item = None if view is None else view.members.get(name)
    if item is None:
        return False
    return _check(whole, item.cube, item.member, frozenset())


def _check(whole: Catalog, owner: str, name: str, seen: frozenset[tuple[str, str]]) -> bool:
    if (owner, name) in seen:
        return False
    cube = whole.cubes.get(owner)
    measure = None if cube is None else cube.measures.get(name)
    if measure is None:
        # A dimension: of the row, unless it is computed by a query of its own.
        dimension = None if cube is None else cube.dimensions.get(name)
        return dimension is not None and dimension.multi_stage is None
    return _is_plain(measure) and all(
        _check(whole, part.cube, part.member, seen | {(owner, name)})
        for part in (measure.sql.parts if isinstance(measure.sql, Expression) else ())
        if isinstance(part, MemberReference)
    )


def _is_plain(measure: Measure) -> bool:
    is_known = measure.type in _TYPES and (
        measure.sql is None or isinstance(measure.sql, Expression)
    )
    # Whatever else a measure may be (a stage, a window, a balance, a conversion) is not plain.
    return is_known and all(
        getattr(measure, field.name) == field.default
        for field in dataclasses.fields(measure)
        if field.name not in _HARMLESS
    )
