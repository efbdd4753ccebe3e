"""From the texts of a query to typed values, as binding it makes them; and binding traced ones.

A *recipe* is what a shape's texts mean: it takes other texts to typed values by the functions that
`bind` uses, without looking for members again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import Catalog, DimensionType, MeasureType
from semantic.compile.dialects.periods import Parameter
from semantic.compile.trace import CONSTANT, Trace, UntraceableError, make_traced
from semantic.query.bound import (
    AllOf,
    AnyOf,
    BoundQuery,
    Compares,
    Condition,
    DimensionUse,
    Guard,
    InSegment,
    IsNull,
    Matches,
    MeasureUse,
    OneOf,
    Use,
    Value,
    Within,
)
from semantic.query.dates import Instant, Interval, parse_range
from semantic.query.members import EVERYTHING, find_member
from semantic.query.query import AndFilter, Filter, MemberFilter, Query
from semantic.query.values import check_text, parse_value

Typed = Value | Interval
_ENDS: Final = {
    "inDateRange": ("start", "end"),
    "notInDateRange": ("start", "end"),
    "onTheDate": ("start", "end"),
    "beforeDate": (None, "start"),
    "beforeOrOnDate": (None, "end"),
    "afterDate": ("end", None),
    "afterOrOnDate": ("start", None),
}

# Parts of a bound query whose values are traced here, or that come from the shape alone.
_KNOWN: Final = frozenset(
    {
        "query", "catalog", "columns", "rows", "groups", "ranges", "order", "limit", "defaulted",
        "offset", "timezone", "now", "ungrouped", "joins", "masks", "guards", "inner", "apart",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What the next `count` texts are: values of a type, texts, one date range, or not read."""

    count: int
    kind: str  # value, text, range, none
    type_: DimensionType | MeasureType = "string"
    member: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the texts of a shape are, in order."""

    steps: tuple[Step, ...]
    zone: ZoneInfo

    def read(self, texts: Sequence[str], now: datetime) -> list[Typed]:
        """Return the typed values.

        Raises:
            QuerySyntaxError: a text is no value of its type.
        """
        found: list[Typed] = []
        place = 0
        for step in self.steps:
            match step.kind:
                case "range":
                    found.append(_read_range(texts[place : place + step.count], now, self.zone))
                case "value":
                    found += [
                        parse_value(text, step.type_, step.member, self.zone)
                        for text in texts[place : place + step.count]
                    ]
                case "text":
                    found += [
                        check_text(text, step.member) for text in texts[place : place + step.count]
                    ]
                case _:
                    pass
            place += step.count
        return found

    @property
    def clock_reads(self) -> int:
        """How often reading the texts looks at the clock."""
        return sum(step.kind == "range" and step.count == 1 for step in self.steps)


def _read_range(texts: Sequence[str], now: datetime, zone: ZoneInfo) -> Interval:
    match texts:
        case [one]:
            return parse_range(one, now=now, zone=zone)
        case [start, end]:
            return parse_range((start, end), now=now, zone=zone)
        case _:
            raise UntraceableError("a date range")


def flatten(typed: Iterable[Typed], query: Query) -> list[Parameter]:
    """Return what the values are made of, then limit and offset: the atoms of a trace."""
    atoms: list[Parameter] = []
    for value in typed:
        if isinstance(value, Interval):
            start, end = value.start, value.end
            atoms += (start.local, start.utc, end.local, end.utc)
        elif isinstance(value, Instant):
            atoms += (value.local, value.utc)
        else:
            atoms.append(value)
    if query.limit is not None:
        atoms.append(query.limit)
    atoms.append(query.offset)
    return atoms


class Tracer:
    """Puts traced values in the places of a bound query's values."""

    __slots__ = ("_catalog", "_now", "_place", "_steps", "_texts", "_trace", "_zone")

    def __init__(
        self, catalog: Catalog, trace: Trace, texts: Sequence[str], now: datetime, zone: ZoneInfo
    ) -> None:
        self._catalog = catalog
        self._trace = trace
        self._texts = texts
        self._place = 0
        self._now = now
        self._zone = zone
        self._steps: list[Step] = []

    def trace(self, query: Query, bound: BoundQuery) -> tuple[Recipe, BoundQuery]:
        """Return what the query's texts are, and the bound query with traced values.

        Raises:
            UntraceableError: a value is not where it is expected.
        """
        if not _KNOWN.issuperset(field.name for field in dataclasses.fields(bound)):
            raise UntraceableError("a part of the bound query")
        asked = sum(item is not None for item in bound.ranges)
        rows, groups = iter(bound.rows[asked:]), iter(bound.groups)
        traced_rows: list[Condition] = []
        traced_groups: list[Condition] = []
        for item in query.filters:
            if self._compares_measure(item):
                traced_groups.append(self._filter(item, _next(groups)))
            else:
                traced_rows.append(self._filter(item, _next(rows)))
        ranges: list[Interval | None] = []
        dated: list[Condition] = []
        for asked_time, found in zip(bound.query.time_dimensions, bound.ranges, strict=True):
            if asked_time.date_range is None or found is None:
                ranges.append(None)
                continue
            moved = self._range(1 if isinstance(asked_time.date_range, str) else 2, found)
            ranges.append(moved)
            plain = bound.rows[len(dated)]
            if not isinstance(plain, Within) or plain != Within(plain.use, found.start, found.end):
                raise UntraceableError("a date range")
            dated.append(Within(plain.use, moved.start, moved.end))
        if self._place != len(self._texts):
            raise UntraceableError("a text without a place")
        recipe = Recipe(tuple(self._steps), self._zone)
        return recipe, dataclasses.replace(
            bound,
            rows=(*dated, *traced_rows, *map(self._constant, rows)),
            groups=(*traced_groups, *map(self._constant, groups)),
            ranges=tuple(ranges),
            masks={
                name: None if item is None else self._constant(item)
                for name, item in bound.masks.items()
            },
            guards=tuple(map(self._guard, bound.guards)),
            inner={name: tuple(map(self._guard, found)) for name, found in bound.inner.items()},
            apart=tuple(map(self._constant, bound.apart)),
            limit=bound.limit if query.limit is None else self._number(bound.limit, query.limit),
            offset=self._number(bound.offset, query.offset),
        )

    def _compares_measure(self, item: Filter) -> bool:
        while not isinstance(item, MemberFilter):
            if not item.parts:
                return False
            item = item.parts[0]
        return isinstance(find_member(self._catalog, item.member, EVERYTHING)[0], MeasureUse)

    def _filter(self, item: Filter, condition: Condition) -> Condition:
        if isinstance(item, MemberFilter):
            return self._member(item, condition)
        if not isinstance(condition, AllOf | AnyOf):
            raise UntraceableError("a filter")
        alike = isinstance(item, AndFilter) is isinstance(condition, AllOf)
        if not alike or len(item.parts) != len(condition.parts):
            raise UntraceableError("a filter")
        pairs = zip(item.parts, condition.parts, strict=True)
        parts = tuple(self._filter(part, found) for part, found in pairs)
        return dataclasses.replace(condition, parts=parts)

    def _member(self, item: MemberFilter, condition: Condition) -> Condition:
        texts = [text for text in item.values if text is not None]
        step = Step(len(texts), "none")
        if isinstance(condition, InSegment | AllOf | AnyOf):
            raise UntraceableError("a filter")
        if condition.use != find_member(self._catalog, item.member, EVERYTHING)[0]:
            raise UntraceableError("a member")
        match condition:
            case IsNull():
                self._take(step)
                return condition
            case OneOf() | Compares():
                type_ = _type(condition.use)
                self._take(Step(len(texts), "value", type_, item.member))
                typed = [parse_value(text, type_, item.member, self._zone) for text in texts]
                _check(typed, condition.values)
                return dataclasses.replace(condition, values=tuple(map(self._value, typed)))
            case Matches():
                self._take(Step(len(texts), "text", "string", item.member))
                _check(texts, condition.values)
                return dataclasses.replace(
                    condition, values=tuple(self._text(text) for text in texts)
                )
            case Within():
                found = _read_range(texts, self._now, self._zone)
                moved = self._range(len(texts), found)
                start, end = _ENDS[item.operator]
                wanted = Within(condition.use, _end(found, start), _end(found, end))
                if dataclasses.replace(condition, negated=False) != wanted:
                    raise UntraceableError("a date range")
                return dataclasses.replace(
                    condition, start=_end(moved, start), end=_end(moved, end)
                )
            case _ as unreachable:
                assert_never(unreachable)

    def _take(self, step: Step) -> None:
        self._steps.append(step)
        self._place += step.count

    def _range(self, count: int, found: Interval) -> Interval:
        texts = self._texts[self._place : self._place + count]
        if _read_range(texts, self._now, self._zone) != found:
            raise UntraceableError("a date range")
        self._take(Step(count, "range"))
        return Interval(self._instant(found.start), self._instant(found.end))

    def _instant(self, value: Instant) -> Instant:
        local, utc = self._trace.add(value.local), self._trace.add(value.utc)
        if not isinstance(local, datetime) or not isinstance(utc, datetime):
            raise UntraceableError("a moment")
        return Instant(local, utc)

    def _value(self, value: Value) -> Value:
        return self._instant(value) if isinstance(value, Instant) else self._trace.add(value)

    def _number(self, found: int | None, asked: int) -> int:
        traced = self._trace.add(asked)
        if found != asked or not isinstance(traced, int):
            raise UntraceableError("a limit")
        return traced

    def _text(self, text: str) -> str:
        return str_of(self._trace.add(text))

    def _constant(self, condition: Condition) -> Condition:
        return change_values(condition, self._fixed)

    def _guard(self, guard: Guard) -> Guard:
        return Guard(self._constant(guard.condition), guard.cubes)

    def _fixed(self, value: Parameter) -> Parameter:
        return make_traced(value, self._trace, CONSTANT)


def change_values(condition: Condition, change: Callable[[Parameter], Parameter]) -> Condition:
    """Return the condition with every value (of moments, both times) changed."""

    def instant(value: Instant) -> Instant:
        local, utc = change(value.local), change(value.utc)
        if not isinstance(local, datetime) or not isinstance(utc, datetime):
            raise UntraceableError("a moment")
        return Instant(local, utc)

    match condition:
        case AllOf() | AnyOf():
            parts = tuple(change_values(part, change) for part in condition.parts)
            return dataclasses.replace(condition, parts=parts)
        case OneOf() | Compares():
            values = tuple(
                instant(value) if isinstance(value, Instant) else change(value)
                for value in condition.values
            )
            return dataclasses.replace(condition, values=values)
        case Matches():
            texts = tuple(str_of(change(value)) for value in condition.values)
            return dataclasses.replace(condition, values=texts)
        case Within(use, start, end, negated):
            return Within(
                use,
                None if start is None else instant(start),
                None if end is None else instant(end),
                negated,
            )
        case IsNull() | InSegment():
            return condition
        case _ as unreachable:
            assert_never(unreachable)


def str_of(value: Parameter) -> str:
    """Return a value that is a text."""
    if not isinstance(value, str):
        raise UntraceableError("a text")
    return value


def _check(typed: Sequence[Value], found: Sequence[Value]) -> None:
    """Check that binding made the same values."""
    same = len(typed) == len(found) and all(
        type(mine) is type(other) and mine == other
        for mine, other in zip(typed, found, strict=True)
    )
    if not same:
        raise UntraceableError("a value")


def _end(interval: Interval, name: str | None) -> Instant | None:
    match name:
        case None:
            return None
        case "start":
            return interval.start
        case _:
            return interval.end


def _next(conditions: Iterable[Condition]) -> Condition:
    for condition in conditions:
        return condition
    raise UntraceableError("a filter")


def _type(use: Use) -> DimensionType | MeasureType:
    return use.dimension.type if isinstance(use, DimensionUse) else use.measure.type
