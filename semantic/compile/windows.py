"""Rolling windows to SQL.

    series   _start, _end                       one row per period, both wall clock
    base     _t, keys, operand                  rows (or the inner relation), any time
    result   series LEFT JOIN base ON _t in the window of the period, GROUP BY

A row may stand in several windows; a period without rows keeps a row, its value null. Where the
periods are the days of a range, and each window the last so many of them, the series begins as many
days earlier, finds its rows by an equal day, and a frame over its rows takes the place of the join.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from semantic.catalog.catalog import Granularity, Measure, RollingWindow
from semantic.compile.aggregates import aggregate, operand
from semantic.compile.dialect import Dialect
from semantic.compile.writer import Placed, Writer, key_column, value_column
from semantic.errors import InternalError, UnsupportedError
from semantic.plan.nodes import GroupKey, Relation, Roll, Rows, Series
from semantic.spec.intervals import UNITS, parse_interval

if TYPE_CHECKING:
    from semantic.compile.scope import Scope

Parts = tuple[tuple[int, str], ...]
_MOST_DAYS = 3_660
_MILLISECOND: Parts = ((1, "millisecond"),)


class Places(Protocol):
    """What writes relations and rows."""

    def place(self, relation: Relation) -> Placed:
        """Return the CTE of a relation."""
        ...

    def scope(self, rows: Rows) -> Scope:
        """Return what writes members over rows."""
        ...

    def value(
        self, placed: Placed, alias: str, measure: Measure, keys: tuple[GroupKey, ...]
    ) -> str:
        """Return the SQL of a staged measure over the relation underneath it."""
        ...


def write_roll(places: Places, writer: Writer, roll: Roll) -> str:
    """Return the SELECT of a rolling window."""
    days = _count_days(roll)
    if days is not None:
        return _write_frame(places, writer, roll, days)
    series = _series(places, writer, roll.series)
    base, others = _base(places, writer, roll)
    lower, upper = _bounds(writer, roll)
    present = writer.dialect.meeting("_w._start", "_b._t")
    matching = " AND ".join([present, *lower, *upper])
    listed = []
    for index, key in enumerate(roll.keys):
        if key.granularity is not None:
            text = "_w._start" if key.name == roll.series.time.name else coarser(writer, key)
        else:
            text = f"_b.{others[key.name]}"
        listed.append(f"{text} AS {key_column(index)}")
    groups = ", ".join(str(index + 1) for index in range(len(roll.keys)))
    joined = f"FROM {series} AS _w LEFT JOIN ({base}) AS _b ON {matching}"
    if not _is_repeated(roll):
        listed.append(f"{_total(writer.dialect, roll)} AS {value_column(0)}")
        return f"SELECT {', '.join(listed)} {joined} GROUP BY {groups}"
    # A row that joins repeat may meet several times of one window: there it counts once.
    identity = [f"_b._p{index} AS _p{index}" for index in range(_key_length(writer, roll))]
    seen = "CASE WHEN _b._t IS NOT NULL THEN 1 END AS _t"
    inner = f"SELECT DISTINCT {', '.join([*listed, *identity, '_b._o AS _o', seen])} {joined}"
    kept = [key_column(index) for index in range(len(roll.keys))]
    kept.append(f"{_total(writer.dialect, roll)} AS {value_column(0)}")
    return f"SELECT {', '.join(kept)} FROM ({inner}) AS _b GROUP BY {groups}"


def _count_days(roll: Roll) -> int | None:
    """Return how many days each window sees, where periods are days and the window's are the last.

    None where that is not all: other groups, other windows, or no range that says which days.
    """
    window = roll.measure.rolling_window
    if window is None or window.kind == "to_date" or window.offset == "start":
        return None
    if window.leading is not None or window.trailing in {None, "unbounded"}:
        return None
    if roll.series.bounds is not None or roll.series.calendar is not None:
        return None
    if not _is_partial(roll) or len(roll.keys) != 1 or roll.parts != "day":
        return None
    if roll.keys[0].granularity != "day" or roll.keys[0].name != roll.series.time.name:
        return None
    if any(item.sql is not None for item in roll.series.time.dimension.granularities):
        return None
    parts = parse_interval(window.trailing or "") or {}
    days = sum(
        amount * {"day": 1, "week": 7}.get(unit, _MOST_DAYS) for unit, amount in parts.items()
    )
    return days if 0 < days < _MOST_DAYS else None


def _write_frame(places: Places, writer: Writer, roll: Roll, days: int) -> str:
    """Return the SELECT of a window of days: a row for each day, and a frame over rows.

    The days before the range are there too, as long as a window sees them, and left out at the end.
    """
    dialect = writer.dialect
    limits, start, last = _limits(places, writer, roll.series)
    earlier = dialect.add(start, ((days - 1, "day"),), -1) if days > 1 else start
    periods = write_periods(places, writer, roll.series, (limits, earlier, last))
    base, _ = _base(places, writer, roll)
    over = f" OVER (ORDER BY _w._start ROWS BETWEEN {days - 1} PRECEDING AND CURRENT ROW)"
    inner = (
        f"SELECT _w._start AS _start, {_total(writer.dialect, roll, over)} AS _v "
        f"FROM {periods} AS _w LEFT JOIN ({base}) AS _b ON _b._t = _w._start"
    )
    return (
        f"SELECT _start AS {key_column(0)}, _v AS {value_column(0)} FROM ({inner}) AS _f "
        f"WHERE _start >= {dialect.truncate('day', start)}"
    )


def _total(dialect: Dialect, roll: Roll, over: str = "") -> str:
    """Return the aggregate over what a window sees; null when it sees no row."""
    kind = roll.measure.type
    if _is_partial(roll):
        match kind:
            case "count" | "sum":
                return dialect.sum("_b._o", over)
            case "avg":
                return dialect.ratio(dialect.sum("_b._o", over), f"sum(_b._c){over}")
            case _:
                return f"{aggregate(dialect, kind, '_b._o')}{over}"
    value = aggregate(dialect, kind, "_b._o")
    if kind in {"count", "count_distinct", "count_distinct_approx"}:
        return f"CASE WHEN count(_b._t) > 0 THEN {value} END"
    return value


def _is_repeated(roll: Roll) -> bool:
    """Whether joins may repeat the rows that windows see."""
    return isinstance(roll.source, Rows) and bool(roll.source.multiplying or roll.source.switches)


def _key_length(writer: Writer, roll: Roll) -> int:
    if not isinstance(roll.source, Rows):
        raise InternalError("a relation has no rows to tell apart")
    return len(writer.catalog.cubes[roll.source.cube].primary_key)


def _is_partial(roll: Roll) -> bool:
    """Whether rows are aggregated by parts of windows before windows see them."""
    return (
        isinstance(roll.source, Rows)
        and roll.parts is not None
        and not _is_repeated(roll)
        and roll.measure.type in {"sum", "count", "min", "max", "avg"}
    )


def coarser(writer: Writer, key: GroupKey) -> str:
    """Return a coarser period of the same time dimension: the one that the series' period is in."""
    if key.granularity not in UNITS or key.granularity is None:
        raise UnsupportedError(
            f"a rolling window beside the granularity {key.granularity}",
            suggestion="ask for one granularity of the time dimension",
        )
    return writer.dialect.truncate(key.granularity, "_w._start")


def _base(
    places: Places, writer: Writer, roll: Roll
) -> tuple[str, dict[tuple[str, str, str | None], str]]:
    """Return the SELECT of what the windows look at, and what it calls the other keys."""
    others = [key for key in roll.keys if key.granularity is None]
    names = {key.name: key_column(index) for index, key in enumerate(others)}
    if not isinstance(roll.source, Rows):
        placed = places.place(roll.source)
        listed = [f"_s.{placed.keys[key.name]} AS {names[key.name]}" for key in others]
        listed.append(f"_s.{placed.keys[roll.time.name]} AS _t")
        listed.append(f"{places.value(placed, '_s', roll.measure, roll.keys)} AS _o")
        return f"SELECT {', '.join(listed)} FROM {placed.name} AS _s", names
    scope = places.scope(roll.source)
    source = scope.source()
    listed = [f"{scope.key(key)} AS {names[key.name]}" for key in others]
    by_day = _is_partial(roll) and roll.time.granularity is None and scope.is_plain_date(roll.time)
    time = scope.dimension(roll.time.dimension) if by_day else scope.key(roll.time)
    if roll.parts is not None and not by_day:
        time = writer.dialect.truncate(roll.parts, time)
    listed.append(f"{time} AS _t")
    listed.append(f"{operand(scope, roll.measure)} AS _o")
    distinct = "" if roll.parts is None or _is_partial(roll) else "DISTINCT "
    if _is_repeated(roll):
        keys = writer.catalog.cubes[roll.source.cube].primary_key
        if not keys:
            raise UnsupportedError(
                f"{roll.measure.cube}.{roll.measure.name} would count rows more than once",
                suggestion=f"give {roll.source.cube} a dimension with `primary_key: true`",
            )
        listed += [f"{scope.identity(part)} AS _p{index}" for index, part in enumerate(keys)]
        distinct = "DISTINCT "
    text = f"SELECT {distinct}{', '.join(listed)} {source}{scope.where()}"
    if not _is_partial(roll):
        return text, names
    kept = [*names.values(), "_t"]
    kind = "sum" if roll.measure.type == "avg" else roll.measure.type
    partial = [f"{aggregate(writer.dialect, kind, '_o')} AS _o"]
    if roll.measure.type == "avg":
        partial.append("count(_o) AS _c")
    groups = ", ".join(str(index + 1) for index in range(len(kept)))
    found = f"SELECT {', '.join([*kept, *partial])} FROM ({text}) AS _r GROUP BY {groups}"
    return (_cut_days(writer, roll, found, names.values()) if by_day else found), names


def _cut_days(writer: Writer, roll: Roll, days: str, others: Iterable[str]) -> str:
    """Return the groups of days, put together by the parts of windows that they lie in."""
    time = writer.dialect.cast_timestamp("_t")
    if roll.parts not in {None, "day"}:
        time = writer.dialect.truncate(roll.parts or "", time)
    kind = roll.measure.type if roll.measure.type in {"min", "max"} else "sum"
    listed = [*others, f"{time} AS _t", f"{aggregate(writer.dialect, kind, '_o')} AS _o"]
    groups = ", ".join(str(index + 1) for index in range(len(listed) - 1))
    if roll.measure.type == "avg":
        listed.append("sum(_c) AS _c")
    return f"SELECT {', '.join(listed)} FROM ({days}) AS _y GROUP BY {groups}"


def _bounds(writer: Writer, roll: Roll) -> tuple[list[str], list[str]]:
    """Return the conditions of the window: what time a row may have."""
    window = roll.measure.rolling_window
    if window is None:
        raise InternalError("a window without bounds")
    if window.kind == "to_date":
        start = _floor(writer, roll, window)
        return [f"_b._t >= {start}"], ["_b._t < _w._end"]
    if window.offset == "start":
        lower = _edge(writer, "_w._start", window.trailing, -1)
        upper = _edge(writer, "_w._start", window.leading, 1)
        return (
            [f"_b._t >= {lower}"] if lower else [],
            [f"_b._t < {upper}"] if upper else [],
        )
    lower = _edge(
        writer, "_w._start" if window.trailing is None else "_w._end", window.trailing, -1
    )
    upper = _edge(writer, "_w._end", window.leading, 1)
    return ([f"_b._t >= {lower}"] if lower else [], [f"_b._t < {upper}"] if upper else [])


def _edge(writer: Writer, anchor: str, text: str | None, sign: int) -> str | None:
    """Return the anchor moved by an interval; None when there is no bound."""
    if text == "unbounded":
        return None
    if text is None:
        return anchor
    parts = parse_interval(text) or {}
    return writer.dialect.add(
        anchor, tuple((amount, unit) for unit, amount in parts.items()), 1 if sign > 0 else -1
    )


def _floor(writer: Writer, roll: Roll, window: RollingWindow) -> str:
    """Return where the period of a to_date window begins."""
    granularity = window.granularity or "day"
    custom = next(
        (item for item in roll.time.dimension.granularities if item.name == granularity), None
    )
    if custom is None:
        return writer.dialect.truncate(granularity, "_w._start")
    if custom.sql is not None:
        return f"_w._floor_{granularity}"
    return _bin(writer, custom, "_w._start")


def _bin(writer: Writer, custom: Granularity, time: str) -> str:
    """Return where the custom period of a local time begins."""
    if custom.origin is not None:
        return writer.dialect.bin(time, _parts(custom.interval), custom.origin)
    return writer.dialect.bin_with_offset(time, _parts(custom.interval), _parts(custom.offset))


def _parts(text: str | None) -> Parts:
    return tuple((amount, unit) for unit, amount in (parse_interval(text or "") or {}).items())


def _series(places: Places, writer: Writer, series: Series) -> str:
    """Return a FROM item with the periods, as `_start` and `_end`."""
    return write_periods(places, writer, series, _limits(places, writer, series))


def _limits(places: Places, writer: Writer, series: Series) -> tuple[str, str, str]:
    """Return a FROM item with the first and the last time of a series, and the two, read from it."""
    dialect = writer.dialect
    cast = dialect.cast_timestamp
    if series.bounds is not None:
        scope = places.scope(series.bounds.rows)
        source = scope.source()
        time = scope.key(series.bounds.time)
        limits = f"(SELECT min({time}) AS _a, max({time}) AS _z {source}{scope.where()}) AS _l"
        return limits, "_l._a", "_l._z"
    bind = writer.parameters.bind
    start, end = cast(bind(series.start or "")), cast(bind(series.end or ""))
    return "(SELECT 1 AS _one) AS _l", start, dialect.add(end, _MILLISECOND, -1)


def write_periods(
    places: Places, writer: Writer, series: Series, found: tuple[str, str, str]
) -> str:
    """Return a FROM item with the periods that lie between two times, as `_start` and `_end`.

    `found`: a FROM item with both times, then the two as they are read from it, last included.
    """
    limits, start, last = found
    dialect = writer.dialect
    if series.calendar is not None:
        return _calendar_series(places, writer, series, found)
    granularity = series.time.granularity or "day"
    if granularity in UNITS:
        step: Parts = ((1, granularity),)
        first = dialect.truncate(granularity, start)
    else:
        custom = next(
            item for item in series.time.dimension.granularities if item.name == granularity
        )
        step = _parts(custom.interval)
        first = _bin(writer, custom, start)
        calendar = writer.catalog.cubes[series.time.dimension.cube].calendar
        if not calendar and any(unit in {"month", "quarter", "year"} for _, unit in step):
            return _month_series(writer, custom, step, (limits, start, last))
    periods = dialect.series(first, last, step, "_n", "_start")
    floors = _calendar_floors(places, writer, series)
    if floors:
        return (
            f"(SELECT _n._start AS _start, {dialect.add('_n._start', step, 1)} AS _end, _c.* "
            f"FROM {dialect.lateral(limits, periods)} LEFT JOIN {floors} ON _c._day = _n._start)"
        )
    return (
        f"(SELECT _n._start AS _start, {dialect.add('_n._start', step, 1)} AS _end "
        f"FROM {dialect.lateral(limits, periods)})"
    )


def _month_series(
    writer: Writer, custom: Granularity, step: Parts, limits: tuple[str, str, str]
) -> str:
    """Return custom periods of months, which need not begin on the same day of each.

    Steps of months from one begin to the next end up to three days early or late (31 January,
    29 February, 29 March), so each is cut to its period, and what begins after the end left out.
    """
    add, (source, start, last) = writer.dialect.add, limits
    slack: Parts = ((3, "day"),)
    first, end = _bin(writer, custom, start), add(last, slack, 1)
    periods = writer.dialect.series(first, end, step, "_n", "_step")
    begin = _bin(writer, custom, add("_n._step", slack, 1))
    following = _bin(writer, custom, add(add("_n._step", step, 1), slack, 1))
    return (
        f"(SELECT _p._start, _p._end FROM (SELECT {begin} AS _start, {following} AS _end, "
        f"{last} AS _last FROM {writer.dialect.lateral(source, periods)}) AS _p "
        "WHERE _p._start <= _p._last)"
    )


def _calendar_floors(places: Places, writer: Writer, series: Series) -> str:
    """Return each day of a calendar with the begin of its periods, as `_floor_<granularity>`."""
    dimension = series.time.dimension
    named = [item for item in dimension.granularities if item.sql is not None]
    if not named or not writer.catalog.cubes[dimension.cube].calendar:
        return ""
    scope = places.scope(Rows(dimension.cube, ()))
    source = scope.source()
    cast = writer.dialect.cast_timestamp
    listed = [f"{scope.key(GroupKey(dimension, (dimension.cube,), None))} AS _day"]
    listed += [
        f"{cast(scope.key(GroupKey(dimension, (dimension.cube,), item.name)))} AS _floor_{item.name}"
        for item in named
    ]
    return f"(SELECT DISTINCT {', '.join(listed)} {source}) AS _c"


def _calendar_series(
    places: Places, writer: Writer, series: Series, limits: tuple[str, str, str]
) -> str:
    """Return the periods that the calendar's rows in the range lie in."""
    source_limits, start, last = limits
    if series.calendar is None:
        raise InternalError("a series without its calendar")
    dimension = series.time.dimension
    scope = places.scope(series.calendar)
    source = scope.source()
    cast = writer.dialect.cast_timestamp
    day = scope.key(GroupKey(dimension, (dimension.cube,), None))
    named = [item for item in dimension.granularities if item.sql is not None]
    periods = [f"{cast(scope.key(series.time))} AS _start", f"{day} AS _day"]
    periods += [
        f"{cast(scope.key(GroupKey(dimension, (dimension.cube,), item.name)))} AS _floor_{item.name}"
        for item in named
    ]
    floors = "".join(f", min(_floor_{item.name}) AS _floor_{item.name}" for item in named)
    days = f"(SELECT {', '.join(periods)} {source}) AS _c"
    following = writer.dialect.add("max(_day)", ((1, "day"),), 1)
    whole = f"(SELECT _start, {following} AS _end{floors} FROM {days} GROUP BY _start) AS _p"
    return (
        f"(SELECT _p.* FROM {source_limits}, {whole} "
        f"WHERE _p._end > {start} AND _p._start <= {last})"
    )
