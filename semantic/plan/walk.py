"""Walks over the relations of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from semantic.plan.nodes import (
    Aggregate,
    Groups,
    Merge,
    Rank,
    Regroup,
    Relation,
    Roll,
    Rows,
    Spread,
    Ungrouped,
)


def parts_of(relation: Relation) -> tuple[Relation, ...]:
    """Return the relations that a relation is made of."""
    match relation:
        case Aggregate() | Groups():
            return ()
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
    match source:
        case Ungrouped():
            yield from _with_attached(source.rows)
            return
        case Aggregate():
            yield from _with_attached(source.rows)
            if source.own is not None:
                yield from _with_attached(source.own)
        case Groups():
            yield from _with_attached(source.rows)
        case Roll():
            if isinstance(source.source, Rows):
                yield from _with_attached(source.source)
            if source.series.bounds is not None:
                yield from _with_attached(source.series.bounds.rows)
            if source.series.calendar is not None:
                yield from _with_attached(source.series.calendar)
        case _:
            pass
    for part in parts_of(source):
        yield from rows_of(part)


def _with_attached(rows: Rows) -> Iterator[Rows]:
    yield rows
    for attachment in rows.attachments:
        yield from rows_of(attachment.relation)
