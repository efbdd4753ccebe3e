"""Rolling windows: periods of a time dimension, and for each the rows that its window sees.

A window is half-open and measured from the period's end (or start): `trailing: 7 day` at the end of
a day sees that day and the six before. Months are the calendar's: `trailing: 2 quarter` at the end
of June sees what there is since the first of January. (Cube counts from a period's last millisecond
and sees the 31st of December too.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import Catalog, Measure, RollingWindow
from semantic.errors import UnsupportedError
from semantic.plan.frame import Frame, name_of
from semantic.plan.lineage import is_typed, measures_of
from semantic.plan.nodes import Bounds, GroupKey, Relation, Roll, Rows, Series
from semantic.plan.rows import RowFinder, check_switches
from semantic.query.bound import BoundQuery, DimensionUse, Within
from semantic.query.dates import Instant, move_instant
from semantic.spec.intervals import UNITS, parse_interval

Evaluate = Callable[[Frame, Iterable[Measure]], Relation]


class Windows:
    """Plans the rolling windows of one query."""

    __slots__ = ("_bound", "_catalog", "_evaluate", "_finder")

    def __init__(
        self, catalog: Catalog, bound: BoundQuery, finder: RowFinder, evaluate: Evaluate
    ) -> None:
        self._catalog = catalog
        self._bound = bound
        self._finder = finder
        self._evaluate = evaluate

    def roll(self, frame: Frame, measure: Measure) -> Relation:
        """Return the relation of a measure with a rolling window.

        Raises:
            UnsupportedError: there are several time dimensions, or the aggregate is SQL.
        """
        window = measure.rolling_window
        if window is None:
            msg = "not a rolling window"
            raise ValueError(msg)
        timed = [key for key in frame.keys if key.granularity is not None]
        ranged = [item for item in frame.ranges if isinstance(item.use, DimensionUse)]
        names = {(key.dimension.cube, key.dimension.name) for key in timed}
        names |= {name_of(item.use) for item in ranged}
        plain = dataclasses.replace(measure, rolling_window=None)
        if not timed:
            ranges = tuple(self._widen(item, window) for item in frame.ranges)
            inner = dataclasses.replace(frame, ranges=ranges)
            return self._evaluate(inner, (plain,))
        if len(names) > 1:
            raise UnsupportedError(
                f"the rolling window of {measure.cube}.{measure.name} needs one time dimension, "
                f"and the query has {len(names)}",
                suggestion="ask for one time dimension at a time",
            )
        finest = find_finest(timed)
        others = tuple(key for key in frame.keys if key.granularity is None)
        series = self._series(frame, finest, ranged)
        time = GroupKey(finest.dimension, finest.path, None)
        base = dataclasses.replace(frame, keys=others, ranges=())
        if measure.multi_stage is not None and not _reads_rows(self._catalog, measure):
            below = self._finest(finest, window)
            key = GroupKey(finest.dimension, finest.path, below)
            inner = dataclasses.replace(base, keys=(*others, key))
            source: Rows | Relation = self._evaluate(inner, measures_of(self._catalog, measure))
            return Roll(source, series, key, frame.keys, measure)
        if not is_typed(measure):
            raise UnsupportedError(
                f"{measure.cube}.{measure.name} is a {measure.type} with a rolling window",
                suggestion="use a type that aggregates (sum, count, avg, min, max, count_distinct)",
            )
        inner = dataclasses.replace(base, keys=(*others, time))
        _, rows = self._finder.find(plain, inner)
        check_switches(self._catalog, plain, rows, inner)
        parts = self._finest(finest, window) if finest.granularity in UNITS else None
        return Roll(rows, series, time, frame.keys, measure, parts)

    def _series(self, frame: Frame, finest: GroupKey, ranged: list[Within]) -> Series:
        calendar = find_calendar(self._catalog, self._finder, finest)
        found = ranged[0] if ranged else None
        if found is not None and found.start is not None and found.end is not None:
            start, end = found.start.local.isoformat(" "), found.end.local.isoformat(" ")
            return Series(finest, start, end, None, calendar)
        time = GroupKey(finest.dimension, finest.path, None)
        # The first and the last time of rows that the caller may see: a policy's filter holds here.
        every = Frame((time,), shifts=frame.shifts)
        _, rows = self._finder.find(None, every)
        guards = tuple(item for item in frame.guards if not item.cubes.isdisjoint(rows.cubes))
        if guards:
            _, rows = self._finder.find(None, dataclasses.replace(every, guards=guards))
        return Series(finest, None, None, Bounds(rows, time), calendar)

    def _finest(self, key: GroupKey, window: RollingWindow) -> str:
        """Return the granularity at which all windows can be put together from whole parts."""
        units = [key.granularity or "day", window.granularity or "day"]
        for text in (window.trailing, window.leading):
            if text is not None and text != "unbounded":
                units += list(parse_interval(text) or ())
        known = [unit for unit in units if unit in UNITS]
        if len(known) < len(units):
            known.append("day")
        finest = max(known, key=UNITS.index)
        return "day" if finest in {"week", "month", "quarter", "year"} else finest

    def _widen(self, item: Within, window: RollingWindow) -> Within:
        """Return the range that the window of one period, the whole range, sees."""
        zone = ZoneInfo(self._bound.timezone)
        start, end = item.start, item.end
        if window.kind == "to_date":
            if end is not None and window.granularity is not None and start is not None:
                start = move_instant(start, {}, zone, floor=window.granularity)
            return dataclasses.replace(item, start=start)
        anchor = start if window.offset == "start" else end
        lower = _moved(anchor, window.trailing, -1, zone)
        upper = _moved(anchor, window.leading, 1, zone)
        if window.trailing == "unbounded":
            lower = None
        elif window.trailing is None:
            lower = anchor if window.offset == "start" else start
        if window.leading == "unbounded":
            upper = None
        elif window.leading is None:
            upper = anchor
        return dataclasses.replace(item, start=lower, end=upper)


def find_finest(keys: Iterable[GroupKey]) -> GroupKey:
    """Return the key with the shortest periods, of several keys of one time dimension."""
    return min(keys, key=_fineness)


def _fineness(key: GroupKey) -> int:
    name = key.granularity or "day"
    if name in UNITS:
        return -UNITS.index(name)
    for granularity in key.dimension.granularities:
        if granularity.name == name and granularity.interval is not None:
            parts = parse_interval(granularity.interval) or {}
            return -max((UNITS.index(unit) for unit in parts), default=0)
    return 0


def find_calendar(catalog: Catalog, finder: RowFinder, key: GroupKey) -> Rows | None:
    """Return the rows that say where periods begin, when the granularity is SQL."""
    custom = next(
        (item for item in key.dimension.granularities if item.name == key.granularity), None
    )
    if custom is None or custom.sql is None:
        return None
    inner = Frame((GroupKey(key.dimension, key.path, None),))
    return Rows(catalog.cubes[key.dimension.cube].name, finder.find(None, inner)[1].steps)


def _moved(anchor: Instant | None, text: str | None, sign: int, zone: ZoneInfo) -> Instant | None:
    if anchor is None or text is None or text == "unbounded":
        return anchor
    parts = {unit: sign * amount for unit, amount in (parse_interval(text) or {}).items()}
    return move_instant(anchor, parts, zone)


def _reads_rows(catalog: Catalog, measure: Measure) -> bool:
    """Whether the measure aggregates rows; otherwise its SQL names measures."""
    return not measures_of(catalog, measure)
