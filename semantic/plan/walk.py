"""Walks over the relations of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from semantic.plan.nodes import (
    Aggregate,
    Coarsen,
    Conversions,
    Groups,
    Merge,
    Rank,
    Regroup,
    Relation,
    Roll,
    Rolled,
    Rows,
    SemiAdditive,
    Spine,
    Spread,
    Ungrouped,
)


def parts_of(relation: Relation) -> tuple[Relation, ...]:
    """Return the relations that a relation is made of."""
    match relation:
        case Aggregate() | Coarsen() | Groups() | Rolled() | SemiAdditive():
            return ()
        case Spine():
            return relation.sources
        case Conversions():
            return (relation.base,)
        case Merge():
            return relation.parts
        case Regroup() | Rank():
            return (relation.source,)
        case Spread():
            return (relation.source, relation.groups)
        case Roll():
            return () if isinstance(relation.source, Rows) else (relation.source,)
        case _ as unreachable:
            assert_never(unreachable)


def rows_of(source: Relation | Ungrouped) -> Iterator[Rows]:
    """Yield all rows that are read, those of attached relations too."""
    for rows in _own_rows(source):
        yield rows
        for attachment in rows.attachments:
            yield from rows_of(attachment.relation)
    if not isinstance(source, Ungrouped):
        for part in parts_of(source):
            yield from rows_of(part)


def _own_rows(source: Relation | Ungrouped) -> Iterator[Rows]:
    """Yield the rows that a relation reads itself."""
    match source:
        case Ungrouped() | Groups() | SemiAdditive():
            yield source.rows
        case Aggregate() | Coarsen() | Rolled():
            whole = source if isinstance(source, Aggregate) else source.whole
            yield whole.rows
            if isinstance(whole, Aggregate) and whole.own is not None:
                yield whole.own
        case Conversions():
            yield source.events
            yield source.converted
        case Roll() | Spine():
            if isinstance(source, Roll) and isinstance(source.source, Rows):
                yield source.source
            if source.series.bounds is not None:
                yield source.series.bounds.rows
            if source.series.calendar is not None:
                yield source.series.calendar
        case Merge() | Regroup() | Spread() | Rank():
            pass
        case _ as unreachable:
            assert_never(unreachable)
