"""Asks the semantic layer for the periods that an alert is judged by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from flows.alert_periods import find_last_complete, list_periods, move
from flows.alerts import count_lookback
from flows.errors import AlertError
from semantic.catalog.alerts import Alert
from semantic.catalog.catalog import FilterTerm, ModelFilter
from semantic.engine.result import AnswerState
from semantic.query.context import SecurityContext
from semantic.query.query import (
    AndFilter,
    Filter,
    MemberFilter,
    OrFilter,
    Query,
    TimeDimension,
)
from semantic.service import SemanticLayer

MOST_GROUPS: Final = 200
CATCH_UP: Final = 31  # periods: what a checker that was down judges at most

Group = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of each group by the begins of their periods, and the last that is complete."""

    last: datetime
    groups: dict[Group, dict[datetime, float]]
    state: AnswerState


def read_history(
    layer: SemanticLayer, alert: Alert, now: datetime, *, since: datetime | None = None
) -> Reading:
    """Return the values of an alert's periods up to the last complete one.

    `since` is the first period that is to be judged, when it is not the last.

    Raises:
        AlertError: how far the data goes is not known, or there are too many groups.
        DucatError: the query cannot be answered.
    """
    context = SecurityContext(user="ducat-alerts", groups=alert.groups)
    zone = ZoneInfo(alert.timezone)
    moment = now if alert.as_of == "now" else min(now, _find_newest(layer, alert, context, now))
    last = find_last_complete(moment, alert.granularity, zone, alert.delay)
    earliest = move(last, 1 - CATCH_UP, alert.granularity)
    first = last if since is None else min(last, max(since, earliest))
    start = move(first, -count_lookback(alert), alert.granularity)
    result = layer.load(
        _write_query(alert, start, last), context, now=now.astimezone(ZoneInfo("UTC"))
    )
    known = set(list_periods(start, last, alert.granularity, zone))
    if result.table.num_rows > MOST_GROUPS * (len(known) + 1):  # before all are made to rows
        raise _too_many(alert, f"more than {MOST_GROUPS}")
    *keys, time_column, measure = _find_columns(alert)
    groups: dict[Group, dict[datetime, float]] = {} if keys else {(): {}}
    for row in result.table.to_pylist():
        group = tuple((key, None if row[key] is None else str(row[key])) for key in keys)
        values = groups.setdefault(group, {})
        begin, value = _to_local(row[time_column]), _to_number(row[measure])
        if value is not None and begin in known:
            values[begin] = value
    if len(groups) > MOST_GROUPS:
        raise _too_many(alert, str(len(groups)))
    return Reading(last, groups, result.state)


def _too_many(alert: Alert, count: str) -> AlertError:
    return AlertError(
        f"{alert.key} has {count} combinations of values, at most {MOST_GROUPS} are judged",
        suggestion="give it fewer dimensions, or a filter",
    )


def _write_query(alert: Alert, start: datetime, last: datetime) -> Query:
    end = move(last, 1, alert.granularity)
    if alert.granularity == "hour":
        until = (end - timedelta(microseconds=1)).isoformat(timespec="microseconds")
        span = (start.isoformat(timespec="milliseconds"), until)
    else:
        span = (start.date().isoformat(), (end - timedelta(days=1)).date().isoformat())
    return Query(
        measures=(alert.measure,),
        dimensions=alert.dimensions,
        time_dimensions=(TimeDimension(alert.time_dimension, alert.granularity, span),),
        filters=tuple(_to_filter(item) for item in alert.filters),
        order=(),
        timezone=alert.timezone,
        unlimited=True,
    )


def _find_columns(alert: Alert) -> Iterable[str]:
    return (*alert.dimensions, f"{alert.time_dimension}.{alert.granularity}", alert.measure)


def _to_filter(item: ModelFilter) -> Filter:
    if isinstance(item, FilterTerm):
        name = f"{item.member.cube}.{item.member.member}"
        return MemberFilter(name, item.operator, item.values)  # type: ignore[arg-type]
    parts = tuple(_to_filter(part) for part in item.parts)
    return AndFilter(parts) if item.word == "and" else OrFilter(parts)


def _find_newest(
    layer: SemanticLayer, alert: Alert, context: SecurityContext, now: datetime
) -> datetime:
    """Return the newest event in the tables that the alert reads."""
    query = Query(
        measures=(alert.measure,),
        time_dimensions=(TimeDimension(alert.time_dimension, alert.granularity),),
    )
    tables = layer.compile(query, context, now=now).tables
    known = [
        table.data_until for table in layer.state(tables).tables if table.data_until is not None
    ]
    if not known:
        raise AlertError(
            f"{alert.key} goes as far as its data, and no table of it says how far that is",
            suggestion="write `as_of: now`",
        )
    return max(known)


def _to_local(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a local time


def _to_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | Decimal) else None
