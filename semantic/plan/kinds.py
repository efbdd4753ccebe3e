"""Semi-additive measures, and the periods in which a measure has no rows.

A semi-additive measure (a balance, a stock) may be summed over everything but time: of its rows
only those at the last (or first) time count. Which time that is, is found among the rows that pass
the conditions of the query and the filters of the measure, apart for each combination of its
`window_groupings` and of the query's periods of the same time dimension; the other groups of the
query play no part in it. So a group may lose all its rows, and is then no group of the measure.

A measure with `join_to_timespine` has a group for every period of the query's time dimension. Where
it has no rows at all in a period, that group has null in all other keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from semantic.catalog.catalog import Catalog, Measure, MemberReference
from semantic.errors import UnsupportedError
from semantic.plan.frame import Frame, name_of, unique_keys
from semantic.plan.nodes import GroupKey, Relation, Rows, SemiAdditive, Series, Spine
from semantic.plan.rolling import find_calendar, find_finest
from semantic.plan.rows import RowFinder
from semantic.query.bound import BoundQuery
from semantic.query.references import list_references


def plan_semi_additive(
    catalog: Catalog, bound: BoundQuery, frame: Frame, rows: Rows, leaf: Measure, *, distinct: bool
) -> SemiAdditive:
    """Return the relation of a semi-additive measure over its rows.

    Raises:
        UnsupportedError: a mask hides the time, or what each has a time of its own.
    """
    found = leaf.non_additive
    if found is None:
        msg = "not a semi-additive measure"
        raise ValueError(msg)
    refuse_masked(catalog, bound, leaf, (found.time, *found.groupings))
    time = key_of(catalog, found.time)
    periods = [
        key
        for key in frame.keys
        if (key.dimension.cube, key.dimension.name) == (found.time.cube, found.time.member)
    ]
    within = unique_keys([*periods, *(key_of(catalog, item) for item in found.groupings)])
    return SemiAdditive(rows, frame.keys, leaf, time, within, found.last, distinct)


def plan_spine(
    catalog: Catalog,
    finder: RowFinder,
    frame: Frame,
    measure: Measure,
    sources: Sequence[Relation],
) -> Spine | None:
    """Return the periods without rows; None when the query has no periods.

    Raises:
        UnsupportedError: there are periods of several time dimensions.
    """
    timed = [key for key in frame.keys if key.granularity is not None]
    names = {(key.dimension.cube, key.dimension.name) for key in timed}
    if not names:
        return None
    if len(names) > 1:
        raise UnsupportedError(
            f"{measure.cube}.{measure.name} has a row for every period of one time dimension, and "
            f"the query groups by {len(names)}",
            suggestion="group by one time dimension at a time",
        )
    finest = find_finest(timed)
    start = end = None
    for item in frame.ranges:
        if name_of(item.use) in names and item.start is not None and item.end is not None:
            start, end = item.start.local.isoformat(" "), item.end.local.isoformat(" ")
            break
    series = Series(finest, start, end, None, find_calendar(catalog, finder, finest))
    return Spine(tuple(sources), frame.keys, series)


def key_of(catalog: Catalog, member: MemberReference) -> GroupKey:
    """Return a dimension of the model as a key."""
    dimension = catalog.cubes[member.cube].dimensions[member.member]
    return GroupKey(dimension, (member.cube,), member.granularity)


def refuse_masked(
    catalog: Catalog, bound: BoundQuery, measure: Measure, members: Iterable[MemberReference]
) -> None:
    """Refuse what would be computed from masks: which rows count must not depend on them.

    Raises:
        UnsupportedError: one of the members, or what it is made of, is masked.
    """
    if not bound.masks:
        return
    for cube, member in _made_of(catalog, members):
        if (cube, member) in bound.masks:
            raise UnsupportedError(
                f"{measure.cube}.{measure.name} needs the values of {cube}.{member}, "
                "of which you may see only a mask",
                suggestion="ask as somebody who may see them",
            )


def _made_of(
    catalog: Catalog, members: Iterable[MemberReference]
) -> Iterator[tuple[str, str | None]]:
    for member in members:
        for reference in list_references(catalog, member.cube, member.member):
            yield reference.cube, reference.member
