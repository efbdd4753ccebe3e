"""`shift` and `compare` of a query, as the measures of the model that would say the same.

A shifted measure is a stage with a time shift of the time that is named, or of the only one of the
query. `previous period` moves a range of whole months by as many months, one of whole days by as many
days, and anything else by its length.
"""

from __future__ import annotations

import calendar
import dataclasses
from datetime import datetime, time

from tests.property.expressions import Constant as Number
from tests.property.expressions import Expression, Member, call
from tests.property.members import measure_of
from tests.property.model import Measure, MeasureType, Place, Stage, TimeShift, World
from tests.property.queries import Asked, Compared
from tests.property.times import first_moment, moment_after
from tests.property.trees import Refused


def derive(world: World, asked: Asked) -> tuple[World, Asked]:
    """Return the world with the measures that the query makes, and the query that asks for them.

    Raises:
        Refused: what lies before the date range is not clear.
    """
    if not asked.shifted and asked.compared is None:
        return world, asked
    made: dict[str, Place] = {}
    measures = list(asked.measures)
    for item in asked.shifted:
        shift = TimeShift(_time(world, asked, item.time), item.amount, item.unit, item.prior)
        _shift(world, made, item.measure, item.name, shift)
        measures.append(item.name)
    if (compared := asked.compared) is not None:
        amount, unit = _step(world, asked, compared)
        shift = TimeShift(_time(world, asked, compared.time), amount, unit, prior=True)
        chosen = asked.measures if compared.measures is None else compared.measures
        for name in chosen:
            _shift(world, made, name, f"{name}__previous", shift)
            added = [f"{name}__{kind}" for kind in compared.show]
            for kind in compared.show:
                if kind != "previous":
                    if measure_of(world.places[name]).type in {"string", "boolean"}:
                        raise Refused("unsupported")
                    _change(world, made, name, kind)
            place = measures.index(name) + 1
            measures[place:place] = added
    grown = dataclasses.replace(world, made=(*world.made, *made.items()))
    return grown, dataclasses.replace(asked, measures=tuple(measures), shifted=(), compared=None)


def _time(world: World, asked: Asked, name: str | None) -> str:
    place = world.places[name or asked.times[0].member]
    return f"{place.cube}.{place.item.name}"


def _shift(world: World, made: dict[str, Place], name: str, full: str, shift: TimeShift) -> None:
    base = measure_of(world.places[name])
    own = Member(world.places[name].cube, base.name)
    _add(world, made, name, full, own, Stage(shift=shift), base.fill)


def _change(world: World, made: dict[str, Place], name: str, kind: str) -> None:
    place = world.places[name]
    value = Member(place.cube, place.item.name)
    previous = Member(place.cube, made[f"{name}__previous"].item.name)
    change: Expression = call("-", value, previous)
    if kind == "change_percent":
        hundred = call("*", Number(100), change)
        change = call("/", hundred, call("nullif", previous, Number(0)))
    _add(world, made, name, f"{name}__{kind}", change, None, None)


def _add(
    world: World,
    made: dict[str, Place],
    name: str,
    full: str,
    sql: Expression,
    stage: Stage | None,
    fill: int | None,
) -> None:
    place = world.places[name]
    base = measure_of(place)
    kinds: dict[str, MeasureType] = {"string": "string", "boolean": "boolean"}
    item = Measure(
        f"made {full}",
        kinds.get(base.type, "number"),
        sql,
        values=base.values,
        stage=stage,
        fill=fill,
        mask=base.mask,
        made_of=base.name,
    )
    made[full] = dataclasses.replace(place, item=item)
    made[f"{place.cube}.{item.name}"] = Place(place.cube, item, (place.cube,))


def _step(world: World, asked: Asked, compared: Compared) -> tuple[int, str]:
    """Return how far the earlier time lies back."""
    if compared.to is not None:
        return compared.to
    own = _time(world, asked, compared.time)
    (found,) = (
        item.range
        for item in asked.times
        if item.range is not None and _time(world, asked, item.member) == own
    )
    start, end = first_moment(found[0]), moment_after(found[1])
    if start.time() == end.time() == time.min:
        if start.day == end.day == 1:
            return _months(asked, start, end)
        return (end - start).days, "day"
    seconds = (end - start).total_seconds()
    if seconds != int(seconds):
        raise Refused("unsupported")
    return int(seconds), "second"


def _months(asked: Asked, start: datetime, end: datetime) -> tuple[int, str]:
    """Return as many months; cut finer, two days of longer months would fall on one day.

    Raises:
        Refused: they would.
    """
    count = (end.year - start.year) * 12 + end.month - start.month
    if any(item.granularity not in {"month", "quarter", "year", None} for item in asked.times):
        first = start.year * 12 + start.month - 1
        for month in range(first, first + count):
            if _days(month - count) > _days(month):
                raise Refused("unsupported")
    return count, "month"


def _days(month: int) -> int:
    return calendar.monthrange(month // 12, month % 12 + 1)[1]
