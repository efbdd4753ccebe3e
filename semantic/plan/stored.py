"""Dimensions that are nothing but a column, and what is known of it."""

from __future__ import annotations

import re
from typing import Final

from semantic.catalog.catalog import Catalog, ColumnReference, Dimension, Expression
from semantic.plan.statistics import ColumnStatistics, Statistics

_COLUMN: Final = re.compile(r'\.(?:"([^"]+)"|(\w+))')
_PARTS: Final = 2


def column_of(expression: object) -> tuple[str, str] | None:
    """Return cube and lower-case column when an SQL snippet is nothing but a column."""
    if not isinstance(expression, Expression) or len(expression.parts) != _PARTS:
        return None
    reference, text = expression.parts
    if not isinstance(reference, ColumnReference) or not isinstance(text, str):
        return None
    matched = _COLUMN.fullmatch(text)
    return None if matched is None else (reference.cube, (matched[1] or matched[2]).lower())


def find_column(
    catalog: Catalog, statistics: Statistics, dimension: Dimension
) -> ColumnStatistics | None:
    """Return what is known of the column that a dimension is; None when it is more, or unknown."""
    if not statistics.tables:
        return None
    column = column_of(dimension.sql)
    if column is None:
        return None
    table = statistics.table(catalog.cubes[column[0]].sql_table)
    return None if table is None else table.columns.get(column[1])
