"""`compareDateRange` of a `cube` field: one query for each range, all from the same tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.document import write_document
from semantic.errors import QuerySyntaxError
from semantic.query.dates import parse_range
from semantic.query.from_json import parse_json_queries
from semantic.query.query import Query

LAST_MOMENT: Final = timedelta(milliseconds=1)
A_RANGE: Final = (1, 2)


def compare_ranges(query: Query, compare: Mapping[str, Any] | None) -> tuple[Query, ...]:
    """Return the query once for each range; only itself when nothing is compared.

    Raises:
        QuerySyntaxError: a range has neither one nor two texts, or cannot be read.
        LimitExceededError: there are too many ranges.
    """
    if compare is None:
        return (query,)
    dimension, ranges = compare["dimension"], compare["ranges"]
    if not ranges or any(len(item) not in A_RANGE for item in ranges):
        raise QuerySyntaxError(
            "compareDateRange has ranges of one text or of two",
            suggestion='write ranges: [["last month"], ["2024-01-01", "2024-01-31"]]',
        )
    written = [item[0] if len(item) == 1 else list(item) for item in ranges]
    document = write_document(query)
    times: list[dict[str, Any]] = document["timeDimensions"]
    for item in times:
        if item["dimension"] == dimension:
            item["compareDateRange"] = written
            break
    else:
        times.append({"dimension": dimension, "compareDateRange": written})
    return parse_json_queries(document).queries


def label_range(query: Query, compare: Mapping[str, Any] | None, now: datetime) -> str | None:
    """Return what the rows of one of the queries say in `compareDateRange`; REST says the same."""
    if compare is None:
        return None
    ranges: Sequence[str | tuple[str, str]] = [
        item.date_range
        for item in query.time_dimensions
        if item.dimension == compare["dimension"] and item.date_range is not None
    ]
    found = parse_range(ranges[0], now=now, zone=ZoneInfo(query.timezone))
    start = found.start.local.isoformat(timespec="milliseconds")
    end = (found.end.local - LAST_MOMENT).isoformat(timespec="milliseconds")
    return f"{start} - {end}"
