"""Rules 7 and 8: multi-stage measures and rolling windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from tests.property.facts import Evaluate, Facts, Key, count_once
from tests.property.frames import Frame, Grouping, Shift, drop
from tests.property.gaps import cut_by, length_of, next_period, refuse_calendar
from tests.property.members import (
    Name,
    aggregate_measure,
    aggregate_values,
    calculate,
    dimension_of,
    measure_of,
    measures_below,
)
from tests.property.model import Measure, Place, Stage, Switch, TimeShift, Window, World
from tests.property.queries import members_in
from tests.property.times import (
    MILLISECOND,
    cut_time,
    first_moment,
    moment_after,
    move_time,
)
from tests.property.trees import Refused, TooLarge
from tests.property.values import Joined, Value, compare

Within = Callable[[datetime], bool]


class Stages:
    """The stages of one query, whose own frame is `root`."""

    def __init__(self, world: World, facts: Facts, root: Frame, evaluate: Evaluate) -> None:
        self.world = world
        self.facts = facts
        self.root = root
        self._evaluate = evaluate

    def evaluate(self, frame: Frame, place: Place) -> dict[Key, Value]:
        """Return a staged measure in each group."""
        if measure_of(place).window is not None:
            return self._roll(frame, place)
        return self._stage(frame, place)

    # ------------------------------------------------------------------ rule 7

    def _stage(self, frame: Frame, place: Place) -> dict[Key, Value]:
        item = measure_of(place)
        stage = item.stage or Stage()
        if item.type == "rank":
            return self._rank(frame, place, stage)
        assert item.sql is not None
        below = self._below(place)
        keys = self._inner_keys(frame, stage)
        chooser = None
        if isinstance(item.sql, Switch):
            chooser = _add(keys, self.world, f"{item.sql.by.cube}.{item.sql.by.name}")
        inner = dataclasses.replace(self._direct(frame, stage), keys=tuple(keys))
        finer = {key.identity for key in keys} - {key.identity for key in frame.keys}
        if finer and item.type in {"number", "string", "boolean"}:
            self.facts.refusable.add("unsupported")  # whatever the rows, it may have several values
        if stage.shift is not None:
            inner = dataclasses.replace(inner, shifts=self._shifts(inner, stage.shift))
        lifted = any(found not in inner.conditions for found in frame.conditions)
        values = {
            key: self._inner_value(item, found, None if chooser is None else key[chooser])
            for key, found in self._evaluate(inner, below).items()
        }
        if not lifted and inner.keys == frame.keys:
            return {key: _outermost(item, [value]) for key, value in values.items()}
        shared = [key.identity for key in keys]
        outer = [index for index, key in enumerate(frame.keys) if key.identity in shared]
        places = [shared.index(frame.keys[index].identity) for index in outer]
        parts: dict[Key, list[Value]] = {}
        for key, value in values.items():
            parts.setdefault(tuple(key[index] for index in places), []).append(value)
        if not frame.keys:
            parts.setdefault((), [])
        found = {key: _outermost(item, part) for key, part in parts.items()}
        if len(outer) == len(frame.keys) and not lifted:
            return found
        groups = self._evaluate(frame, below)
        return {key: found.get(tuple(key[index] for index in outer)) for key in groups}

    def _inner_keys(self, frame: Frame, stage: Stage) -> list[Grouping]:
        keys = [
            key
            for key in frame.keys
            if key.member not in stage.reduce_by
            and (stage.group_by is None or key.member in stage.group_by)
        ]
        for name in stage.add_group_by:
            _add(keys, self.world, name)
        return keys

    def _inner_value(self, item: Measure, found: Mapping[Name, Value], chosen: Value) -> Value:
        """Return the value in one inner group; of a switch, by the value that chooses."""
        assert item.sql is not None
        if not isinstance(item.sql, Switch):
            return calculate(self.world, item.sql, found)
        for value, part in item.sql.branches:
            if value == chosen:
                return calculate(self.world, part, found)
        if item.sql.otherwise is None:
            return None
        return calculate(self.world, item.sql.otherwise, found)

    def _direct(self, frame: Frame, stage: Stage) -> Frame:
        """Return the frame with the conditions that the stage's filter leaves, and its own."""
        found = frame
        if stage.fixed:
            root = self.root
            found = dataclasses.replace(
                frame, ranges=root.ranges, filters=root.filters, segments=root.segments
            )
        if stage.excludes:
            found = drop(found, lambda name: self._own_name(name) in stage.excludes)
        if stage.keeps is not None:
            kept = stage.keeps
            found = drop(found, lambda name: self._own_name(name) not in kept)
        return dataclasses.replace(found, filters=(*found.filters, *stage.includes))

    def _rank(self, frame: Frame, place: Place, stage: Stage) -> dict[Key, Value]:
        """Return the place of each group among those that differ in what the grain leaves out."""
        below = self._below(place)
        inner = self._direct(frame, stage)
        within = [
            index
            for index, key in enumerate(frame.keys)
            if key.member not in stage.reduce_by
            and (stage.group_by is None or key.member in stage.group_by)
        ]
        parts: dict[Key, list[tuple[Key, list[Value]]]] = {}
        for key, found in self._evaluate(inner, below).items():
            values = [calculate(self.world, by, found) for by, _ in stage.ranks]
            parts.setdefault(tuple(key[index] for index in within), []).append((key, values))
        ranks: dict[Key, Value] = {}
        for part in parts.values():
            for key, own in part:
                before = [other for _, other in part if _is_before(stage, other, own)]
                ranks[key] = 1 + len(before)
        if any(found not in inner.conditions for found in frame.conditions):
            return {key: ranks.get(key) for key in self._evaluate(frame, below)}
        return ranks

    def _below(self, place: Place) -> list[Place]:
        return [
            Place(cube, found, place.path if cube == place.cube else (cube,))
            for cube, found in measures_below(self.world, measure_of(place))
        ]

    def _own_name(self, member: str) -> str:
        place = self.world.places[member]
        return f"{place.cube}.{place.item.name}"

    def _shifts(self, frame: Frame, shift: TimeShift) -> tuple[Shift, ...]:
        """Return the shifts of an inner stage: of the time named, or of every one of the query."""
        members = [shift.member] if shift.member is not None else []
        if not members:
            members = [key.member for key in frame.keys if dimension_of(key.place).type == "time"]
            members += [self._own_name(item.member) for item in frame.ranges]
            for item in frame.filters:
                members += [
                    self._own_name(member)
                    for member in members_in(item)
                    if dimension_of(self.world.places[member]).type == "time"
                ]
        amount = shift.amount if shift.prior else -shift.amount
        moved = [Shift(member, amount, shift.unit) for member in dict.fromkeys(members)]
        return (*frame.shifts, *moved)

    # ------------------------------------------------------------------ rule 8

    def _roll(self, frame: Frame, place: Place) -> dict[Key, Value]:
        item = measure_of(place)
        window = item.window
        assert window is not None
        plain = dataclasses.replace(item, window=None)
        leaf = dataclasses.replace(place, item=plain)
        timed = [key for key in frame.keys if key.granularity is not None]
        if not timed:
            return self._roll_whole(frame, leaf, window)
        members = {key.member for key in timed} | {
            self._own_name(found.member) for found in frame.ranges
        }
        if len(members) > 1:
            raise Refused("unsupported")
        refuse_calendar(timed)
        finest = min(timed, key=length_of)
        others = tuple(key for key in frame.keys if key.granularity is None)
        bare = Grouping(finest.name, finest.place)
        base = dataclasses.replace(frame, keys=(*others, bare), ranges=())
        tree, known = self.facts.leaf_tree(base, leaf, [])
        self.facts.prepare(base, known, [leaf])
        self.facts.check(leaf, tree, known.shifts)
        self.facts.check_switches(leaf, known)
        every = self.facts.rows(tree, leaf.cube, known, [leaf])
        rows = [row for row in every if self.facts.passes(known, row)]
        dated = [
            (moment, row)
            for row in rows
            if isinstance(moment := self.facts.cell(base, bare, row), datetime)
        ]
        found: dict[Key, Value] = {}
        for start, end in self._periods(frame, finest):
            seen = _seen(window, start, end)
            groups: dict[Key, list[Joined]] = {}
            inside = [row for moment, row in dated if seen(moment)]
            for row in inside:
                key = tuple(
                    cut_by(start, item)
                    if item.granularity is not None
                    else self.facts.cell(frame, item, row)
                    for item in frame.keys
                )
                groups.setdefault(key, []).append(row)
            if not inside:
                empty = tuple(
                    None if item.granularity is None else cut_by(start, item) for item in frame.keys
                )
                found[empty] = None
            for key, members_of in groups.items():
                once = count_once(members_of, leaf.cube)
                found[key] = aggregate_measure(plain, once, self.facts.readers)
        return found

    def _roll_whole(self, frame: Frame, leaf: Place, window: Window) -> dict[Key, Value]:
        """Return the one period that the whole date range is; without one there is no window."""
        if not frame.ranges:
            return self.facts.evaluate_leaf(frame, leaf, [leaf])
        if len(frame.ranges) > 1:
            raise Refused("unsupported")
        found = frame.ranges[0]
        start, end = first_moment(found.values[0] or ""), moment_after(found.values[-1] or "")
        seen = _seen(window, start, end)
        place = self.world.places[found.member]

        def inside(row: Joined) -> bool:
            moment = self.facts.cell(frame, Grouping(found.member, place), row)
            return isinstance(moment, datetime) and seen(moment)

        return self.facts.evaluate_leaf(frame, leaf, [leaf], inside)

    def _periods(self, frame: Frame, key: Grouping) -> Iterator[tuple[datetime, datetime]]:
        """Yield start and end of each period, on the wall clock."""
        assert key.granularity is not None
        if frame.ranges:
            first = first_moment(frame.ranges[0].values[0] or "")
            last = moment_after(frame.ranges[0].values[-1] or "") - MILLISECOND
        else:
            timed = Frame((Grouping(key.name, key.place),), shifts=frame.shifts)
            tree = self.facts.tree(timed, [])
            met = {tree.root, *(hop.target for hop in tree.hops)}
            guards = tuple(place for place in frame.guards if place.cube in met)
            timed = dataclasses.replace(timed, guards=guards)
            tree = self.facts.tree(timed, [])
            cells = [
                self.facts.cell(timed, timed.keys[0], row)
                for row in self.facts.rows(tree, tree.root, timed, [])
                if self.facts.passes(timed, row)
            ]
            moments = [cell for cell in cells if isinstance(cell, datetime)]
            if not moments:
                return
            first, last = min(moments), max(moments)
        start = cut_by(first, key)
        while start is not None and start <= last:
            end = next_period(start, key)
            yield start, end
            start = end


def _is_before(stage: Stage, left: Sequence[Value], right: Sequence[Value]) -> bool:
    """Whether one group comes before another; nulls come last."""
    for (_, down), mine, theirs in zip(stage.ranks, left, right, strict=True):
        if mine is None or theirs is None:
            if mine is theirs:
                continue
            return theirs is None
        if compare("=", mine, theirs):
            continue
        return compare(">" if down else "<", mine, theirs) is True
    return False


def _add(keys: list[Grouping], world: World, name: str) -> int:
    """Add a key if it is not there, and return its place."""
    added = Grouping(name, world.places[name])
    known = [key.identity for key in keys]
    if added.identity in known:
        return known.index(added.identity)
    keys.append(added)
    return len(known)


def _outermost(item: Measure, values: Sequence[Value]) -> Value:
    """Return the outer stage's value over the rows of the inner one."""
    if item.type in {"number", "string", "boolean"}:
        if len(values) > 1:
            raise TooLarge  # alone it is answered with a row for each, beside others refused
        return values[0] if values else None
    return aggregate_values(item, values)


def _seen(window: Window, start: datetime, end: datetime) -> Within:
    """Return which times the window of a period sees."""
    if window.to_date is not None:
        begin = cut_time(start, window.to_date)
        return lambda moment: begin is not None and begin <= moment < end
    if window.offset == "start":
        lower = _moved(start, window.trailing, -1)
        upper = _moved(start, window.leading, 1)
        return lambda moment: (
            (lower is None or moment >= lower) and (upper is None or moment < upper)
        )
    first = start if window.trailing is None else _moved(end, window.trailing, -1)
    until = _moved(end, window.leading, 1)
    return lambda moment: (first is None or moment >= first) and (until is None or moment < until)


def _moved(anchor: datetime, by: tuple[int, str] | str | None, sign: int) -> datetime | None:
    """Return the anchor moved by an interval; None is unbounded."""
    if by is None:
        return anchor
    if isinstance(by, str):
        return None
    return move_time(anchor, sign * by[0], by[1])
