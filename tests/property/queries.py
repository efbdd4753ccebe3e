"""Queries as the tests make them, and their JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Compares:
    """One member and what it is compared with; None is a null."""

    member: str
    operator: str
    values: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Nested:
    """Filters that must `and` or `or` hold."""

    word: str
    parts: tuple[Filter, ...]


Filter = Compares | Nested


@dataclass(frozen=True, slots=True)
class Timed:
    """A time dimension, cut to a granularity, limited to a range, or both."""

    member: str
    granularity: str | None = None
    range: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Shifted:
    """A measure at another time. `time` None: of the only time dimension of the query."""

    measure: str
    amount: int
    unit: str
    prior: bool
    time: str | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.measure}__{self.amount}_{self.unit}_{'prior' if self.prior else 'next'}"


@dataclass(frozen=True, slots=True)
class Compared:
    """Measures (None: all) beside what they were; `to` None: in the previous period."""

    to: tuple[int, str] | None
    time: str | None
    measures: tuple[str, ...] | None
    show: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query. `order` None means the default order; `descending` by member.

    `pages`: the whole is to be put together of pages of so many rows.
    """

    measures: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    times: tuple[Timed, ...] = ()
    filters: tuple[Filter, ...] = ()
    segments: tuple[str, ...] = ()
    order: tuple[tuple[str, bool], ...] | None = None
    limit: int | None = None
    offset: int = 0
    timezone: str = "UTC"
    ungrouped: bool = False
    total: bool = False
    hints: tuple[tuple[str, ...], ...] = ()
    shifted: tuple[Shifted, ...] = ()
    compared: Compared | None = None
    pages: int | None = None

    @property
    def meaningful(self) -> bool:
        """Whether the query has a column."""
        return bool(
            self.measures or self.dimensions or any(item.granularity for item in self.times)
        )


def members_in(item: Filter) -> Iterator[str]:
    """Yield the members that a filter names, in order."""
    match item:
        case Compares():
            yield item.member
        case Nested():
            for part in item.parts:
                yield from members_in(part)


def write_query(asked: Asked) -> dict[str, Any]:
    """Return the query as Cube's REST JSON."""
    found: dict[str, Any] = {
        "measures": [*asked.measures, *map(_write_shifted, asked.shifted)],
        "dimensions": list(asked.dimensions),
        "timeDimensions": [_write_time(item) for item in asked.times],
        "filters": [write_filter(item) for item in asked.filters],
        "segments": list(asked.segments),
        "order": None
        if asked.order is None
        else [[member, "desc" if down else "asc"] for member, down in asked.order],
        "limit": asked.limit,
        "offset": asked.offset or None,
        "timezone": None if asked.timezone == "UTC" else asked.timezone,
        "ungrouped": asked.ungrouped or None,
        "total": asked.total or None,
        "joinHints": [list(hint) for hint in asked.hints] or None,
        "compare": None if asked.compared is None else _write_compared(asked.compared),
    }
    return {
        key: value
        for key, value in found.items()
        if value is not None and (value != [] or key == "order")
    }


def _write_shifted(item: Shifted) -> dict[str, Any]:
    found: dict[str, Any] = {"measure": item.measure, "shift": f"{item.amount} {item.unit}"}
    if not item.prior:
        found["direction"] = "next"
    if item.time is not None:
        found["timeDimension"] = item.time
    return found


def _write_compared(item: Compared) -> dict[str, Any]:
    found: dict[str, Any] = {"show": list(item.show)}
    found["to"] = "previous period" if item.to is None else f"{item.to[0]} {item.to[1]}"
    if item.time is not None:
        found["timeDimension"] = item.time
    if item.measures is not None:
        found["measures"] = list(item.measures)
    return found


def _write_time(item: Timed) -> dict[str, Any]:
    found: dict[str, Any] = {"dimension": item.member}
    if item.granularity is not None:
        found["granularity"] = item.granularity
    if item.range is not None:
        found["dateRange"] = list(item.range)
    return found


def write_filter(item: Filter) -> dict[str, Any]:
    """Return a filter as Cube's JSON."""
    match item:
        case Nested():
            return {item.word: [write_filter(part) for part in item.parts]}
        case Compares():
            found: dict[str, Any] = {"member": item.member, "operator": item.operator}
            if item.operator not in {"set", "notSet"}:
                found["values"] = list(item.values)
            return found
