"""Rule 9, word for word, in loops over rows: semi-additive, filled and conversion measures.

Nothing of `semantic` is used. The tables are those of `kinds_cases.py`: events of users, with the
tags of the users, which repeat events; and orders, which are joined to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.property.times import cut_time, show_time

Row = Mapping[str, Any]
Group = tuple[Any, ...]
_COUNTS = ("count", "count_distinct")


@dataclass(frozen=True, slots=True)
class Sum:
    """An aggregate of a column, of the rows of one kind (or all)."""

    type: str
    column: str | None
    kind: str | None = None

    def passes(self, row: Row) -> bool:
        """Whether the measure's filter holds."""
        return self.kind is None or row["kind"] == self.kind

    def over(self, rows: Sequence[Row]) -> Any:
        """Return the aggregate."""
        kept = [row for row in rows if self.passes(row)]
        if self.column is None:
            return len(kept)
        values = [row[self.column] for row in kept if row[self.column] is not None]
        match self.type:
            case "count":
                return len(values)
            case "count_distinct":
                return len(set(values))
            case _ if not values:
                return None
            case "sum":
                return sum(values)
            case "avg":
                return sum(values) / len(values)
            case "min":
                return min(values)
            case _:
                return max(values)

    @property
    def empty(self) -> int | None:
        """The aggregate over no rows."""
        return 0 if self.type in _COUNTS else None


@dataclass(frozen=True, slots=True)
class Special:
    """A measure of events. `last` None: not semi-additive. `period`: how its time is compared."""

    name: str
    sum: Sum
    last: bool | None = None
    period: str | None = None
    groupings: tuple[str, ...] = ()
    fill: int | None = None
    spined: bool = False
    orders: Sum | None = None  # of conversions
    window: int | None = None  # days
    same: bool = False  # the kind is a constant property
    rate: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Measures by dimensions (`event.kind`, `user.city`, `tag.name`) and granularities of the time."""

    measures: tuple[Special, ...]
    dimensions: tuple[str, ...]
    granularities: tuple[str, ...]
    start: datetime | None  # of the wall clock, with `end`, which is exclusive
    end: datetime | None
    conditions: tuple[tuple[str, tuple[Any, ...]], ...]  # a dimension is one of these
    zone: str


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of the tables."""

    events: tuple[Row, ...]
    users: tuple[Row, ...]
    tags: tuple[Row, ...]
    orders: tuple[Row, ...]


def answer(tables: Tables, asked: Question) -> dict[Group, tuple[Any, ...]]:
    """Return the groups, and in each the value of each measure."""
    found = [_evaluate(tables, asked, measure) for measure in asked.measures]
    groups = dict.fromkeys(group for values in found for group in values)
    return {
        group: tuple(
            _shown(measure, values.get(group, _empty(measure)))
            for measure, values in zip(asked.measures, found, strict=True)
        )
        for group in groups
    }


def _shown(measure: Special, value: Any) -> Any:
    return measure.fill if value is None and measure.fill is not None else value


def _empty(measure: Special) -> Any:
    if measure.orders is None:
        return measure.sum.empty
    return None if measure.rate else measure.orders.empty


def _joined(tables: Tables, asked: Question) -> Iterator[tuple[Row, Row]]:
    """Yield each event with each of its joined rows that passes the conditions."""
    for event in tables.events:
        users = [user for user in tables.users if user["id"] == event["user_id"]]
        for user in users or [{"id": None, "city": None}]:
            tags = [tag for tag in tables.tags if tag["user_id"] == user["id"]]
            for tag in tags or [{"name": None}]:
                row = {f"event.{name}": value for name, value in event.items()}
                row["user.city"] = user["city"]
                row["tag.name"] = tag["name"]
                if _passes(asked, row):
                    yield event, row


def _passes(asked: Question, row: Row) -> bool:
    if any(row[member] not in values for member, values in asked.conditions):
        return False
    if asked.start is None or asked.end is None:
        return True
    local = show_time(row["event.at"], asked.zone)
    return local is not None and asked.start <= local < asked.end


def _group(asked: Question, row: Row) -> Group:
    local = show_time(row["event.at"], asked.zone)
    periods = [cut_time(local, name) for name in asked.granularities]
    return (*(row[name] for name in asked.dimensions), *periods)


def _evaluate(tables: Tables, asked: Question, measure: Special) -> dict[Group, Any]:
    joined = list(_joined(tables, asked))
    if measure.last is not None:
        joined = list(_at_its_time(asked, measure, joined))
    groups: dict[Group, dict[int, Row]] = {}
    if not (asked.dimensions or asked.granularities):
        groups[()] = {}
    for event, row in joined:
        groups.setdefault(_group(asked, row), {})[event["id"]] = event
    if measure.orders is None:
        found = {group: measure.sum.over(list(rows.values())) for group, rows in groups.items()}
    else:
        found = _convert(tables, measure, joined, groups)
    if measure.spined and asked.granularities:
        for group in _missing(asked, list(found)):
            found[group] = _empty(measure)
    return found


def _at_its_time(
    asked: Question, measure: Special, joined: Sequence[tuple[Row, Row]]
) -> Iterator[tuple[Row, Row]]:
    """Yield the rows at the last (or first) time of their part."""

    def time(event: Row) -> datetime | None:
        if measure.period is None:
            moment: datetime | None = event["at"]
            return moment
        return cut_time(show_time(event["at"], asked.zone), measure.period)

    def part(event: Row) -> Group:
        local = show_time(event["at"], asked.zone)
        periods = [cut_time(local, name) for name in asked.granularities]
        return (*periods, *(event[name] for name in measure.groupings))

    chosen: dict[Group, datetime] = {}
    for event, _ in joined:
        moment = time(event)
        if moment is None or not measure.sum.passes(event):
            continue
        known = chosen.get(part(event), moment)
        chosen[part(event)] = max(known, moment) if measure.last else min(known, moment)
    for event, row in joined:
        moment = time(event)
        if moment is not None and chosen.get(part(event)) == moment:
            yield event, row


def _convert(
    tables: Tables,
    measure: Special,
    joined: Sequence[tuple[Row, Row]],
    groups: Mapping[Group, Mapping[int, Row]],
) -> dict[Group, Any]:
    """Return what orders come to in the groups of the events that led to them."""
    if measure.orders is None:
        raise ValueError(measure.name)
    events = {event["id"]: event for event, _ in joined if measure.sum.passes(event)}
    led: dict[int, list[Row]] = {}
    for order in tables.orders:
        if not measure.orders.passes(order):
            continue
        able = [event for event in events.values() if _leads(measure, event, order)]
        if able:
            latest = max(able, key=lambda event: (event["at"], event["id"]))
            led.setdefault(latest["id"], []).append(order)
    found = {}
    for group, rows in groups.items():
        value = measure.orders.over([order for number in rows for order in led.get(number, [])])
        if measure.rate:
            base = measure.sum.over(list(rows.values()))
            value = None if value is None or not base else value / base
        found[group] = value
    return found


def _leads(measure: Special, event: Row, order: Row) -> bool:
    if None in (event["user_id"], order["user_id"], event["at"], order["at"]):
        return False
    if event["user_id"] != order["user_id"] or event["at"] > order["at"]:
        return False
    if measure.same and (event["kind"] is None or event["kind"] != order["kind"]):
        return False
    return measure.window is None or event["at"] > order["at"] - timedelta(days=measure.window)


def _missing(asked: Question, groups: Sequence[Group]) -> Iterator[Group]:
    """Yield a group for each period without one."""
    first = len(asked.dimensions)
    finest = min(range(len(asked.granularities)), key=lambda i: _order(asked.granularities[i]))
    known = {group[first + finest] for group in groups}
    times = [moment for moment in known if moment is not None]
    if asked.start is not None and asked.end is not None:
        start, end = asked.start, asked.end - timedelta(milliseconds=1)
    elif times:
        start, end = min(times), max(times)
    else:
        return
    moment = start.replace(hour=0, minute=0, second=0, microsecond=0)
    seen: set[datetime | None] = set()
    while moment <= end:  # day by day: no period is shorter
        period = cut_time(moment, asked.granularities[finest])
        if period not in known and period not in seen:
            seen.add(period)
            periods = [cut_time(period, name) for name in asked.granularities]
            yield (*([None] * first), *periods)
        moment += timedelta(days=1)


def _order(granularity: str) -> int:
    return ("day", "week", "month", "quarter", "year").index(granularity)
