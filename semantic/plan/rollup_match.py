"""Whether a rollup answers an aggregate (the rules are in `rollup.py`), and which one is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import Catalog, Dimension, Granularity, Measure
from semantic.plan.candidates import RollupCandidate, RollupNote, RollupSet
from semantic.plan.lineage import Item
from semantic.plan.nodes import Aggregate, GroupKey, Groups, Rolled, Rows, Shift
from semantic.plan.parts import members_below
from semantic.plan.rollup import RollupDefinition, chain, is_mergeable
from semantic.query.bound import (
    AllOf,
    AnyOf,
    Condition,
    DimensionUse,
    InSegment,
    IsNull,
    OneOf,
    SegmentUse,
    Within,
)
from semantic.query.conditions import uses_of
from semantic.query.dates import Instant
from semantic.spec.intervals import parse_interval

_FINE: Final = ("second", "minute", "hour", "day")
_COARSE: Final = {
    "week": frozenset({*_FINE}),
    "month": frozenset({*_FINE, "month"}),
    "quarter": frozenset({*_FINE, "month"}),
    "year": frozenset({*_FINE, "month", "quarter"}),
}
"""Of which periods the coarser built-in ones are made."""
_UNITS: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_WHOLE_DAY: Final = re.compile(r"(\d{4}-\d{2}-\d{2})?([T ]00:00(:00(\.0+)?)?)?")
_WHOLE_HOUR: Final = re.compile(r"(\d{4}-\d{2}-\d{2})?([T ]\d{2}:00(:00(\.0+)?)?)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """An aggregate that rows would be read for, and who asks."""

    relation: Aggregate | Groups
    masked: Collection[tuple[str, str]]
    timezone: str

    @property
    def rows(self) -> Rows:
        """The rows that it would read."""
        return self.relation.rows

    @property
    def leaves(self) -> tuple[Measure, ...]:
        """The measures that it holds."""
        return self.relation.leaves if isinstance(self.relation, Aggregate) else ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that the rows have to pass."""
        return (*self.rows.conditions, *self.rows.guards)


def find_rollup(
    catalog: Catalog, asked: Asked, rollups: RollupSet
) -> tuple[Rolled | None, tuple[RollupNote, ...]]:
    """Return the aggregate over the smallest rollup that says the same; and a note for each one."""
    cube = asked.rows.cube
    candidates = rollups.candidates.get(cube, ())
    notes: list[RollupNote] = [
        RollupNote(name, used=False, why=why) for name, why in rollups.undefined.get(cube, ())
    ]
    fitting: list[RollupCandidate] = []
    for candidate in candidates:
        why = find_reason(catalog, asked, candidate)
        if not why and candidate.table is None:
            why = f"it would fit, but {candidate.missing}"
        if why:
            notes.append(RollupNote(_name(candidate), used=False, why=why))
        else:
            fitting.append(candidate)
    if not fitting:
        return None, tuple(notes)
    best = min(fitting, key=lambda item: (item.rows, item.definition.name, item.timezone))
    for candidate in fitting:
        why = f"{best.rows:,} rows in place of those of {cube}"
        if candidate is not best:
            why = f"it fits, but {_name(best)} has fewer rows"
        notes.append(RollupNote(_name(candidate), used=candidate is best, why=why))
    return Rolled(asked.relation, best.definition, best.table or ""), tuple(notes)


def _name(candidate: RollupCandidate) -> str:
    zone = "" if candidate.timezone == "UTC" else f" ({candidate.timezone})"
    return f"{candidate.definition.name}{zone}"


def find_reason(catalog: Catalog, asked: Asked, candidate: RollupCandidate) -> str:
    """Return what would have to be different for the rollup to say the same; nothing: it does."""
    definition = candidate.definition
    zoned = not definition.local or candidate.timezone == asked.timezone
    for why in _reasons(catalog, asked, definition):
        return why
    if not zoned:
        return f"it was built for {candidate.timezone}, the query asks for {asked.timezone}"
    return ""


def _reasons(catalog: Catalog, asked: Asked, definition: RollupDefinition) -> Iterator[str]:
    """Yield what keeps the rollup from saying the same, the plainest first."""
    yield from _row_reasons(asked.rows)
    yield from _measure_reasons(asked, definition)
    zone = ZoneInfo(asked.timezone) if definition.local else None
    for key in asked.relation.keys:
        yield from _key_reasons(definition, key)
    for condition in asked.conditions:
        yield from _condition_reasons(definition, condition, zone)
    for shift in asked.rows.shifts:
        yield from _shift_reasons(definition, shift)
    yield from _way_reasons(asked.rows, definition)
    if asked.masked:
        for cube, member in sorted(members_below(catalog, _read(asked)) & set(asked.masked)):
            yield f"{cube}.{member} is masked for this caller"


def _row_reasons(rows: Rows) -> Iterator[str]:
    for step in rows.multiplying:
        yield f"the join {step.source} -> {step.target} repeats rows of {rows.cube}"
    for attachment in rows.attachments:
        yield f"{_full(attachment.dimension)} is computed from other groups"
    for switch in rows.switches:
        yield f"{_full(switch)} has several values in each row"


def _measure_reasons(asked: Asked, definition: RollupDefinition) -> Iterator[str]:
    held = {(leaf.cube, leaf.name) for leaf in definition.leaves}
    for leaf in asked.leaves:
        if (leaf.cube, leaf.name) not in held:
            yield f"{_full(leaf)} is not among its measures"
    if not is_exact(definition, asked):
        for leaf in asked.leaves:
            if not is_mergeable(leaf):
                yield (
                    f"{_full(leaf)} cannot be merged from finer groups: ask for exactly its "
                    "dimensions and granularity"
                )


def _way_reasons(rows: Rows, definition: RollupDefinition) -> Iterator[str]:
    known = {step.target for step in definition.rows.steps}
    for step in rows.steps:
        cube = step.target
        if cube in known and chain(rows, cube) != chain(definition.rows, cube):
            yield f"{cube} is joined in another way"


def _read(asked: Asked) -> Iterator[Item]:
    """Yield the members that show, or are compared with, what a mask may hide."""
    yield from (key.dimension for key in asked.relation.keys)
    yield from asked.leaves
    for condition in asked.rows.conditions:
        for use in uses_of(condition):
            match use:
                case DimensionUse():
                    yield use.dimension
                case SegmentUse():
                    yield use.segment
                case _:
                    yield use.measure


def is_exact(definition: RollupDefinition, asked: Asked) -> bool:
    """Whether each group that is asked for is one group of the rollup.

    A total is there without a row, too; a rollup with groups has no group then, and cannot tell what the
    measure says of nothing (a count 0, a median null).
    """
    if not asked.relation.keys and (definition.keys or definition.segments):
        return False
    names = {key.name for key in asked.relation.keys}
    fixed = {
        (use.dimension.cube, use.dimension.name)
        for condition in asked.rows.conditions
        if isinstance(condition, OneOf) and len(condition.values) == 1
        if not condition.negated and not condition.null
        if isinstance(use := condition.use, DimensionUse)
    }
    kept = {
        (condition.use.segment.cube, condition.use.segment.name)
        for condition in asked.rows.conditions
        if isinstance(condition, InSegment)
    }
    if any((item.cube, item.name) not in kept for item in definition.segments):
        return False
    if asked.rows.shifts:
        return False
    for key in definition.keys:
        name = (key.dimension.cube, key.dimension.name)
        if key.granularity is None and key.dimension.type == "time":
            return False  # a time as it is stored is shown cut to milliseconds
        if key.name not in names and not (key.granularity is None and name in fixed):
            return False
    return True


def _key_reasons(definition: RollupDefinition, key: GroupKey) -> Iterator[str]:
    dimension = key.dimension
    custom = _custom(dimension, key.granularity)
    plain = definition.find_plain(dimension)
    if plain is not None and (custom is None or custom.sql is None):
        return
    place = definition.find_cut(dimension, key.granularity)
    if place is None:
        yield f"{_full(dimension)} is not among its dimensions"
    elif key.granularity is None:
        yield f"{_full(dimension)} is only in it by {definition.keys[place].granularity}"
    elif not _is_made_of(dimension, key.granularity, definition.keys[place].granularity or ""):
        yield (
            f"{_full(dimension)} by {key.granularity} is not made of its "
            f"{definition.keys[place].granularity}s"
        )


def _custom(dimension: Dimension, granularity: str | None) -> Granularity | None:
    return next((item for item in dimension.granularities if item.name == granularity), None)


def _is_made_of(dimension: Dimension, coarse: str, fine: str) -> bool:
    """Whether each period of one granularity is made of whole periods of another."""
    if coarse == fine:
        return True
    if _custom(dimension, fine) is not None:
        return False
    custom = _custom(dimension, coarse)
    if custom is None:
        if coarse in _FINE:
            return fine in _FINE[: _FINE.index(coarse)]
        return fine in _COARSE.get(coarse, ())
    if custom.sql is not None or fine not in {"hour", "day"}:
        return False
    lengths = (custom.interval, custom.offset)
    least = _UNITS.index(fine)
    for length in lengths:
        parts = parse_interval(length or "") if length else {}
        if parts is None or any(_UNITS.index(unit) < least for unit in parts):
            return False
    whole = _WHOLE_DAY if fine == "day" else _WHOLE_HOUR
    return custom.origin is None or whole.fullmatch(custom.origin.strip()) is not None


def _condition_reasons(
    definition: RollupDefinition, condition: Condition, zone: ZoneInfo | None
) -> Iterator[str]:
    match condition:
        case AllOf() | AnyOf():
            for part in condition.parts:
                yield from _condition_reasons(definition, part, zone)
        case InSegment(use=SegmentUse(segment=segment)):
            known = {(item.cube, item.name) for item in definition.segments}
            if (segment.cube, segment.name) not in known:
                yield f"the segment {_full(segment)} is not in it"
        case _ if isinstance(condition.use, DimensionUse):
            if definition.find_plain(condition.use.dimension) is None:
                yield from _time_reasons(definition, condition, condition.use.dimension, zone)
        case _:
            yield "a filter is on what is no dimension"


def _time_reasons(
    definition: RollupDefinition, condition: Condition, dimension: Dimension, zone: ZoneInfo | None
) -> Iterator[str]:
    """Yield why a filter on a time that is only there by periods cannot be decided."""
    place = definition.find_cut(dimension)
    if place is None:
        yield f"the filter on {_full(dimension)} is not on one of its dimensions"
        return
    granularity = definition.keys[place].granularity or ""
    match condition:
        case IsNull():
            pass
        case Within(start=start, end=end):
            bounds = [bound for bound in (start, end) if bound is not None]
            if not all(_is_whole(dimension, granularity, bound, zone) for bound in bounds):
                yield f"the range of {_full(dimension)} is not made of whole {granularity}s"
        case _:
            yield (
                f"the filter on {_full(dimension)} compares single times, and it is only in it "
                f"by {granularity}"
            )


def _is_whole(
    dimension: Dimension, granularity: str, bound: Instant, zone: ZoneInfo | None
) -> bool:
    """Whether a bound is where a period begins, on the query's wall clock.

    The comparison is one that traced values (`compile/trace.py`) note: `derive` is theirs.
    """
    if _custom(dimension, granularity) is not None or granularity not in _UNITS:
        return False
    floor = partial(floor_time, granularity, zone)
    derive: Any = getattr(bound.local, "derive", None)
    floored = floor(bound.local) if derive is None else derive(floor)
    return bool(floored == bound.local)


def floor_time(granularity: str, zone: ZoneInfo | None, moment: datetime) -> datetime:
    """Return where the period of a moment begins.

    Another time when the moment lies in an hour that the zone's clock shows twice, or never, and
    does not begin it: what is later in UTC may then be earlier on the clock.
    """
    if zone is not None and _is_doubtful(zone, moment):
        before = moment - timedelta(microseconds=1)
        if _is_doubtful(zone, before):
            return before
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match granularity:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case "second":
            return moment.replace(microsecond=0)
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case _:
            return day


def _is_doubtful(zone: ZoneInfo, moment: datetime) -> bool:
    """Whether a clock of the zone shows the time twice or never."""
    return zone.utcoffset(moment.replace(fold=0)) != zone.utcoffset(moment.replace(fold=1))


def _shift_reasons(definition: RollupDefinition, shift: Shift) -> Iterator[str]:
    if shift.calendar or shift.moved is not None:
        yield f"{shift.cube} is a calendar that is shifted"
        return
    for key in definition.keys:
        dimension = key.dimension
        if key.granularity is None or (dimension.cube, dimension.name) != (
            shift.cube,
            shift.member,
        ):
            continue
        parts = parse_interval(shift.interval or "")
        if parts is None or not _keeps_periods(dimension, key.granularity, parts):
            yield f"a shift by {shift.interval} does not lead from {key.granularity} to {key.granularity}"


def _keeps_periods(dimension: Dimension, granularity: str, units: Iterable[str]) -> bool:
    if _custom(dimension, granularity) is not None:
        return False
    if granularity in _FINE:
        least = _UNITS.index(granularity)
        return all(_UNITS.index(unit) >= least for unit in units)
    kept = {
        "week": {"week"},
        "month": {"month", "quarter", "year"},
        "quarter": {"quarter", "year"},
        "year": {"year"},
    }
    return set(units) <= kept.get(granularity, set())


def _full(item: Item) -> str:
    return f"{item.cube}.{item.name}"
