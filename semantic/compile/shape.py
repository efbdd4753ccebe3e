"""The shape of a query: all that it says but its values; and the values, in order.

Two queries of one shape name the same members in the same places, with as many values for each
filter. What a shape leaves out, and nothing else, `take_shape` gives apart: the texts of
filters and date ranges. (Limit and offset are read from the query itself.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Final

from semantic.query.query import AndFilter, Filter, MemberFilter, OrFilter, Query

MOST_TEXTS: Final = 64
MOST_CHARACTERS: Final = 10_000
_KNOWN: Final = frozenset(
    {
        "measures", "dimensions", "time_dimensions", "filters", "segments", "order", "limit",
        "offset", "timezone", "total", "ungrouped", "unlimited", "join_hints",
    }
)  # fmt: skip
# What is not known here keeps a query from being remembered, unless it says nothing.
_OTHERS: Final = tuple(
    (field.name, field.default) for field in dataclasses.fields(Query) if field.name not in _KNOWN
)


def take_shape(query: Query, texts: list[str]) -> Hashable | None:
    """Return the shape and add the query's texts to `texts`: filters' first, then date ranges'.

    None: it has none, because it has too many values or parts that shapes do not know.
    """
    for name, default in _OTHERS:
        if getattr(query, name) != default:
            return None
    filters = tuple([_filter(item, texts) for item in query.filters]) if query.filters else ()
    times: Sequence[Hashable] = ()
    if query.time_dimensions:
        found: list[Hashable] = []
        for item in query.time_dimensions:
            match item.date_range:
                case None:
                    count = 0
                case str() as text:
                    count = 1
                    texts.append(text)
                case (start, end):
                    count = 2
                    texts += (start, end)
            found.append((item.dimension, item.granularity, count))
        times = tuple(found)
    if texts and (len(texts) > MOST_TEXTS or sum(map(len, texts)) > MOST_CHARACTERS):
        return None
    order = query.order
    return (
        query.measures,
        query.dimensions,
        times,
        filters,
        query.segments,
        order if not order else tuple([(item.member, item.descending) for item in order]),
        query.limit is None,
        query.timezone,
        query.total,
        query.ungrouped,
        query.unlimited,
        query.join_hints,
    )


def _filter(item: Filter, texts: list[str]) -> Hashable:
    match item:
        case MemberFilter():
            before = len(texts)
            null = False
            for value in item.values:
                if value is None:
                    null = True
                else:
                    texts.append(value)
                    if len(texts) > MOST_TEXTS:
                        break
            return (item.member, item.operator, len(texts) - before, null)
        case AndFilter():
            return ("and", tuple([_filter(part, texts) for part in item.parts]))
        case OrFilter():
            return ("or", tuple([_filter(part, texts) for part in item.parts]))
