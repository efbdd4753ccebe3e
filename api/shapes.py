"""What a query asks, without its values: the query log keeps it, and `ducat rollups suggest` reads it.

It is Cube's query JSON. In place of the values of a filter it has none, and in place of a range of dates
(or the values of a filter on a time) `cut`: the coarsest period, year to second, of which the range is
made. Limits and orders are left out: they change nothing in what has to be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.document import write_document
from semantic.errors import QuerySyntaxError
from semantic.query.dates import Instant, parse_instant, parse_range
from semantic.query.query import Query

_LEFT_OUT: Final = ("limit", "offset", "order", "total")
_RANGES: Final = frozenset({"inDateRange", "notInDateRange", "onTheDate"})
_MOMENTS: Final = frozenset({"beforeDate", "beforeOrOnDate", "afterDate", "afterOrOnDate"})
_DATE_LENGTH: Final = 10


def write_shape(query: Query, now: datetime) -> dict[str, Any]:
    """Return the shape of a query that was asked at `now`. Nothing of its values is in it."""
    document = write_document(query)
    zone = ZoneInfo(query.timezone)
    for name in _LEFT_OUT:
        document.pop(name, None)
    for item in document["timeDimensions"]:
        asked = item.pop("dateRange", None)
        if asked is not None:
            item["cut"] = _cut_range([asked] if isinstance(asked, str) else asked, now, zone)
    document["filters"] = [_strip(item, now, zone) for item in document["filters"]]
    return {name: value for name, value in document.items() if value not in ([], ())}


def _strip(item: dict[str, Any], now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    for joined in ("and", "or"):
        if joined in item:
            return {joined: [_strip(part, now, zone) for part in item[joined]]}
    kept = {"member": item["member"], "operator": item["operator"]}
    values = [value for value in item.get("values", ()) if value is not None]
    if item["operator"] in _RANGES and values:
        kept["cut"] = _cut_range(values, now, zone)
    elif item["operator"] in _MOMENTS and values:
        kept["cut"] = min((_cut_moment(value, zone) for value in values), key=_FINENESS.__getitem__)
    return kept


def _cut_range(values: Sequence[str], now: datetime, zone: ZoneInfo) -> str:
    if len(values) == 1 and not values[0][:1].isdigit():
        return _cut_words(values[0])
    try:
        asked = values[0] if len(values) == 1 else (values[0], values[1])
        found = parse_range(asked, now=now, zone=zone)
    except QuerySyntaxError:
        return "second"  # it will be refused
    return _find_cut((found.start, found.end))


def _cut_words(text: str) -> str:
    """Return the finest period that a relative range counts by: it ends elsewhere on another day."""
    words = _WORDS.findall(text.lower())
    found = [_MEANT.get(word, word) for word in words]
    return min(found, key=_FINENESS.__getitem__, default="second")


def _cut_moment(value: str, zone: ZoneInfo) -> str:
    if len(value) == _DATE_LENGTH:
        return "day"
    try:
        return _find_cut((parse_instant(value, zone=zone),))
    except QuerySyntaxError:
        return "second"


def _find_cut(bounds: Sequence[Instant]) -> str:
    """Return the coarsest period that begins at each of the moments, on the wall clock."""
    for name, begins in _PERIODS.items():
        if all(begins(bound.local) for bound in bounds):
            return name
    return "second"


def _begins_minute(moment: datetime) -> bool:
    return moment.second == 0 and moment.microsecond == 0


def _begins_hour(moment: datetime) -> bool:
    return moment.minute == 0 and _begins_minute(moment)


def _begins_day(moment: datetime) -> bool:
    return moment.hour == 0 and _begins_hour(moment)


_PERIODS: Final = {
    "year": lambda moment: moment.month == 1 and moment.day == 1 and _begins_day(moment),
    "quarter": lambda moment: moment.month % 3 == 1 and moment.day == 1 and _begins_day(moment),
    "month": lambda moment: moment.day == 1 and _begins_day(moment),
    "week": lambda moment: moment.weekday() == 0 and _begins_day(moment),
    "day": _begins_day,
    "hour": _begins_hour,
    "minute": _begins_minute,
}
_FINENESS: Final = {name: -place for place, name in enumerate([*_PERIODS, "second"])}
_MEANT: Final = {"now": "second", "today": "day", "yesterday": "day", "tomorrow": "day"}
_WORDS: Final = re.compile("|".join([*_FINENESS, *_MEANT]))
