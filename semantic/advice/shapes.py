"""Queries as the query log remembers them: their shapes, made queries again with values of our own.

Planning asks a value for its type and, of a time, for the period that begins there; so any values of the
same kind are planned alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from semantic.catalog.catalog import Catalog
from semantic.errors import DucatError, UnknownMemberError
from semantic.query.bound import DimensionUse
from semantic.query.from_json import parse_json
from semantic.query.members import find_member
from semantic.query.query import Query

_RANGES: Final = {
    "year": ("2013-01-01", "2013-12-31"),
    "quarter": ("2013-04-01", "2013-06-30"),
    "month": ("2013-02-01", "2013-02-28"),
    "week": ("2013-02-11", "2013-02-17"),
    "day": ("2013-02-13", "2013-02-13"),
    "hour": ("2013-02-13T05:00:00.000", "2013-02-13T05:59:59.999"),
    "minute": ("2013-02-13T05:07:00.000", "2013-02-13T05:07:59.999"),
    "second": ("2013-02-13T05:07:09.000", "2013-02-13T05:07:09.999"),
}
_ONE_MOMENT: Final = frozenset({"beforeDate", "beforeOrOnDate", "afterDate", "afterOrOnDate"})
_NO_VALUES: Final = frozenset({"set", "notSet", "measureFilter"})
_VALUES: Final = {"number": "1", "boolean": "true", "time": "2013-02-13"}


@dataclass(frozen=True, slots=True)
class AskedShape:
    """Queries of one shape: one of them with values of our own, how many there were, for how long.

    `seconds` is the time of all of them together; one that was one of several of a SELECT has its part.
    """

    query: Query
    count: int
    seconds: float


def read_shapes(
    files: Iterable[Path], type_of: Callable[[str], str], since: datetime | None = None
) -> tuple[list[AskedShape], int]:
    """Return the shapes in query logs, the longest first, and how many lines could not be read.

    A line without shapes is of a version that wrote none, or of a query that was refused.
    """
    counts: dict[bytes, list[float]] = {}
    unread = 0
    for line in _read_lines(files):
        try:
            record = orjson.loads(line)
            shapes, seconds = record.get("shapes") or [], float(record["seconds"])
            asked_at = datetime.fromisoformat(record["time"])
            keys = [orjson.dumps(shape, option=orjson.OPT_SORT_KEYS) for shape in shapes]
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
            unread += 1
            continue
        if since is not None and asked_at < since.astimezone(UTC):
            continue
        for key in keys:
            found = counts.setdefault(key, [0, 0.0])
            found[0] += 1
            found[1] += seconds / len(keys)
    asked = []
    for key, (count, seconds) in counts.items():
        try:
            query = make_query(orjson.loads(key), type_of)
        except (DucatError, KeyError, TypeError, AttributeError):
            unread += int(count)
        else:
            asked.append(AskedShape(query, int(count), seconds))
    return sorted(asked, key=lambda item: -item.seconds), unread


def make_query(shape: Mapping[str, Any], type_of: Callable[[str], str]) -> Query:
    """Return a query of the shape; `type_of` tells the type of a member.

    Raises:
        DucatError: it is no query, or has a member that there is not.
    """
    document = dict(shape)
    document["timeDimensions"] = [_fill_time(item) for item in shape.get("timeDimensions", ())]
    document["filters"] = [_fill_filter(item, type_of) for item in shape.get("filters", ())]
    return parse_json(document)


def find_type(catalog: Catalog, name: str) -> str:
    """Return the type of a member's values; of one that there is not, any: planning refuses it."""
    try:
        use, _ = find_member(catalog, name)
    except UnknownMemberError:
        return "string"
    return use.dimension.type if isinstance(use, DimensionUse) else "number"


def _fill_time(item: Mapping[str, Any]) -> dict[str, Any]:
    filled = {name: value for name, value in item.items() if name != "cut"}
    if "cut" in item:
        filled["dateRange"] = list(_RANGES[item["cut"]])
    return filled


def _fill_filter(item: Mapping[str, Any], type_of: Callable[[str], str]) -> dict[str, Any]:
    for joined in ("and", "or"):
        if joined in item:
            return {joined: [_fill_filter(part, type_of) for part in item[joined]]}
    member, operator = item["member"], item["operator"]
    filled = {"member": member, "operator": operator}
    if operator in _NO_VALUES:
        return filled
    if operator in _ONE_MOMENT:
        return filled | {"values": [_RANGES[item.get("cut", "second")][0]]}
    if "cut" in item:
        first, last = _RANGES[item["cut"]]
        return filled | {"values": [first] if operator == "onTheDate" else [first, last]}
    return filled | {"values": [_VALUES.get(type_of(member), "x")]}


def _read_lines(files: Iterable[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as stream:
            yield from stream
