"""The columns of an answer, in Cube's order: dimensions, times with a granularity, measures."""

from __future__ import annotations

from semantic.catalog.catalog import Catalog, ViewMember
from semantic.errors import QuerySyntaxError, UnknownMemberError, suggest
from semantic.query.bound import BoundColumn, DimensionUse, MeasureUse, SegmentUse, Use
from semantic.query.granularities import list_granularities
from semantic.query.members import Sight, clip, find_member
from semantic.query.query import Query


def bind_columns(catalog: Catalog, query: Query, sight: Sight) -> tuple[BoundColumn, ...]:
    """Return the columns that the query asks for.

    Raises:
        UnknownMemberError: a name is none, is hidden, or is of another kind than its place wants.
        QuerySyntaxError: a granularity cannot be.
    """
    columns: list[BoundColumn] = []
    for name in query.dimensions:
        use, shown = find_member(catalog, name, sight)
        if not isinstance(use, DimensionUse):
            raise misplaced(name, use, "dimensions")
        columns.append(_column(name, use, shown, None))
    for item in query.time_dimensions:
        timed, shown = bind_time(catalog, item.dimension, sight)
        if item.granularity is not None:
            cut = _granularity(timed, item.dimension, item.granularity)
            columns.append(_column(item.dimension, timed, shown, cut))
    for name in query.measures:
        use, shown = find_member(catalog, name, sight)
        if not isinstance(use, MeasureUse):
            raise misplaced(name, use, "measures")
        columns.append(_column(name, use, shown, None))
    return tuple({column.name: column for column in columns}.values())


def bind_time(catalog: Catalog, name: str, sight: Sight) -> tuple[DimensionUse, ViewMember | None]:
    """Return the time dimension called `name`.

    Raises:
        UnknownMemberError: there is none, or it is no dimension.
        QuerySyntaxError: it is a dimension of another type.
    """
    use, shown = find_member(catalog, name, sight)
    if not isinstance(use, DimensionUse):
        raise misplaced(name, use, "timeDimensions")
    if use.dimension.type != "time":
        raise QuerySyntaxError(
            f"{clip(name)} is a dimension of type {use.dimension.type}, not a time dimension",
            suggestion="ask for it in dimensions",
        )
    return use, shown


def misplaced(
    name: str, use: DimensionUse | MeasureUse | SegmentUse, place: str
) -> UnknownMemberError:
    """Return the error of a member that stands where another kind belongs."""
    match use:
        case DimensionUse():
            kind, home = "a dimension", "dimensions or timeDimensions"
        case MeasureUse():
            kind, home = "a measure", "measures"
        case SegmentUse():
            kind, home = "a segment", "segments"
    short = name.partition(".")[2]
    return UnknownMemberError(
        f"'{clip(short)}' not found for path '{clip(name)}' among the {place}: it is {kind}",
        suggestion=f"ask for it in {home}",
    )


def _column(name: str, use: Use, shown: ViewMember | None, granularity: str | None) -> BoundColumn:
    item = use.dimension if isinstance(use, DimensionUse) else use.measure
    label = shown or item
    return BoundColumn(
        name=f"{name}.{granularity}" if granularity else name,
        member=name,
        use=use,
        granularity=granularity,
        title=label.title,
        short_title=label.short_title,
        description=label.description,
        format=label.format,
        currency=item.currency,
    )


def _granularity(use: DimensionUse, name: str, granularity: str) -> str:
    known = list_granularities(use.dimension)
    if granularity not in known:
        raise QuerySyntaxError(
            f'Granularity "{clip(granularity)}" does not exist in dimension {clip(name)}',
            suggestion=suggest(clip(granularity), known) or f"use one of {', '.join(known)}",
        )
    return granularity
