"""Rules 1 to 4: measures that rows are read for, each from the rows of its own cube."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from tests.property.conditions import holds
from tests.property.expressions import Member, evaluate_row, walk
from tests.property.frames import Frame, Grouping, Shift
from tests.property.gaps import find_gaps
from tests.property.guards import Reads, guarded
from tests.property.members import (
    Name,
    aggregate_measure,
    choose_label,
    cubes_of,
    dimension_of,
    expressions_of,
    measure_of,
    measures_below,
    names_below,
    passes,
    switches_below,
)
from tests.property.members import calculate as calculate_value
from tests.property.model import (
    Case,
    Cube,
    Dimension,
    DimensionType,
    Measure,
    Place,
    Policy,
    Segment,
    SemiAdditive,
    Switch,
    World,
)
from tests.property.queries import Compares, Filter, members_in
from tests.property.times import Wall, cut, find_custom, move_time, show_time
from tests.property.trees import (
    Hop,
    Refused,
    TooLarge,
    Tree,
    cubes_beyond,
    find_tree,
    prune,
    walk_from,
)
from tests.property.values import Joined, Row, Value, alike, compare, truth

Key = tuple[Value, ...]
Groups = dict[Key, dict[Name, Value]]
Evaluate = Callable[[Frame, Sequence[Place]], Groups]
_SENSITIVE = frozenset({"count", "sum", "avg", "number", "string", "boolean"})
_MOST_ROWS = 20_000


class Facts:
    """The rows of a world, for one query."""

    def __init__(self, world: World, timezone: str, evaluate: Evaluate) -> None:
        self.world = world
        self.timezone = timezone
        self.refusable: set[str] = set()
        self.ways: tuple[tuple[str, ...], ...] = ()  # join hints
        self.followed: set[tuple[str, ...]] = set()
        self.frame = Frame()
        self.others: list[Place] = []
        self._evaluate = evaluate
        self._depth = 0
        self._joins = {
            cube.name: {join.target: join for join in cube.joins} for cube in world.every
        }
        self._tables = {table.name: table for table in world.tables}
        self._rows: dict[str, list[Row]] = {}
        self._sub_queries: dict[tuple[Name, Frame], dict[Key, Value]] = {}
        self._reads = Reads()
        self._hidden: set[str] = set()  # guarded cubes of which anything is read
        self._read: set[str] = set()  # cubes that are read here: by the query, or by a sub-query
        self.real: dict[Name, Callable[[Joined], Value]] = {}  # as rows are, whoever asks
        self.readers: dict[Name, Callable[[Joined], Value]] = {}  # with masks
        for cube in world.every:
            for item in cube.dimensions:
                name = (cube.name, item.name)
                self.real[name] = self._reader(cube, item, self.real)
                self.readers[name] = self._reader(cube, item, self.readers)
                if cube.masks(item.name):
                    self.readers[name] = self._masked(cube, item, self.readers[name])

    def guard(self, reads: Reads) -> None:
        """Hide the rows that policies of what is read hide."""
        self._reads = reads
        everything = chain(reads.own, *reads.inner.values())
        self._hidden = {cube for cube, _ in everything if self.world.cube[cube].hides}
        self._read = {cube for cube, _ in reads.own}

    # ------------------------------------------------------------------ rule 1

    def tree(self, frame: Frame, measures: Sequence[Place], hubs: Sequence[str] = ()) -> Tree:
        """Return the tree of measures, groups and conditions."""
        cubes: dict[str, None] = {}
        paths: dict[tuple[str, ...], None] = {}
        for place in self._mentions(frame, measures):
            cubes.update(dict.fromkeys(cubes_of(self.world, place.cube, place.item)))
            if len(place.path) > 1:
                paths[place.path] = None
        for way in self.ways:
            if len(found := [index for index, cube in enumerate(way) if cube in cubes]) > 1:
                paths[way[found[0] : found[-1] + 1]] = None
                self.followed.add(way)
        tree = find_tree(self._joins, [*cubes, *hubs], list(paths))
        if tree.doubtful:
            self.refusable.add("ambiguous_join_path")
        if hubs:
            tree = prune(tree, set(cubes))
        if ({tree.root, *(hop.target for hop in tree.hops)} & self._hidden) - self._read:
            raise TooLarge  # rows that are only passed through are not hidden, and these are gone
        return tree

    def _mentions(self, frame: Frame, measures: Sequence[Place]) -> list[Place]:
        """Return what a frame and measures mention, in the order that decides between roots."""
        places = self.world.places
        return [
            *measures,
            *(item.place for item in frame.keys if item.granularity is None),
            *(places[name] for item in frame.conditions for name in names_in(item)),
            *frame.guards,
            *(item.place for item in frame.keys if item.granularity is not None),
        ]

    def prepare(self, frame: Frame, known: Frame, measures: Sequence[Place]) -> None:
        """Evaluate the sub-queries that are read, so that what they refuse is refused.

        The conditions of the whole `frame` propagate to them, not only those `known` to a measure.
        """
        for place in self._mentions(known, measures):
            self._prepare_sub_queries(frame, place.cube, place.item)
        self.frame = frame

    def leaf_tree(self, frame: Frame, leaf: Place, leaves: Sequence[Place]) -> tuple[Tree, Frame]:
        """Return the tree of a measure, and the frame with the conditions that hold for it.

        Where it has none, another measure's cube may be the root; where it has none even so, a
        condition that only other facts know holds for those only (rule 4).
        """
        leaves = leaves if self._depth else self.others
        tree = self._try_tree(frame, leaf, leaves)
        if tree is not None:
            return tree, frame
        known = []
        for item in frame.conditions:
            single = dataclasses.replace(frame.only([item]), guards=())
            if self._try_tree(single, leaf, []) is not None:
                known.append(item)
            elif all(
                self._try_tree(single, other, []) is None for other in leaves if other != leaf
            ):
                raise Refused("no_join_path")
        read = {cube for place in self._mentions(frame.only(known), [leaf]) if place.item.name
                for cube in cubes_of(self.world, place.cube, place.item)}  # fmt: skip
        guards = []
        for place in frame.guards:
            single = dataclasses.replace(frame.only([]), guards=(place,))
            if self._try_tree(single, leaf, []) is not None:
                guards.append(place)
            elif place.cube in read:
                raise Refused("unsupported")
        kept = dataclasses.replace(frame.only(known), guards=tuple(guards))
        return self.tree(kept, [leaf]), kept

    def _try_tree(self, frame: Frame, leaf: Place, leaves: Sequence[Place]) -> Tree | None:
        hubs = [other.cube for other in leaves]
        for more in ([], hubs) if hubs else ([],):
            try:
                tree = self.tree(frame, [leaf], more)
            except Refused as refused:
                if "no_join_path" not in refused.codes:
                    raise
                self.refusable |= refused.codes - {"no_join_path"}
            else:
                if more and self._depth:  # what stands beside a measure there, is not said
                    self.refusable.add("no_join_path")
                return tree
        return None

    # ------------------------------------------------------------------ rules 2 to 4

    def evaluate(self, frame: Frame, leaves: Sequence[Place]) -> Groups:
        """Return the leaves in each group; a leaf that a group lacks is empty there."""
        groups: Groups = {} if frame.keys else {(): {}}
        if not leaves:
            tree = self.tree(frame, [])
            self.prepare(frame, frame, [])
            for key in self.group(frame, self.rows(tree, tree.root, frame, [])):
                groups[key] = {}
        for leaf in leaves:
            name = (leaf.cube, leaf.item.name)
            for key, value in self.evaluate_leaf(frame, leaf, leaves).items():
                groups.setdefault(key, {})[name] = value
        for values in groups.values():
            for leaf in leaves:
                empty = aggregate_measure(measure_of(leaf), [], self.readers)
                values.setdefault((leaf.cube, leaf.item.name), empty)
        return groups

    def evaluate_leaf(
        self,
        frame: Frame,
        leaf: Place,
        leaves: Sequence[Place],
        window: Callable[[Joined], bool] | None = None,
    ) -> dict[Key, Value]:
        """Return a measure in each of its groups; a window stands in the place of date ranges."""
        tree, known = self.leaf_tree(frame, leaf, leaves)
        self.prepare(frame, known, [leaf])
        if window is not None:
            known = dataclasses.replace(known, ranges=())
        self.check(leaf, tree, known.shifts)
        found: dict[Key, list[Joined]] = {} if frame.keys else {(): []}
        self.check_switches(leaf, known)
        item = measure_of(leaf)
        every: Iterable[Joined] = self.rows(tree, leaf.cube, known, [leaf])
        if item.semi is not None:
            every = self._at_its_time(known, leaf, item.semi, every)
        for key, rows in self.group(known, every, window).items():
            found[key] = count_once(rows, leaf.cube)
        if tree.root != leaf.cube and frame.keys:
            for key in self.group(known, self.rows(tree, tree.root, known, []), window):
                found.setdefault(key, [])
        if item.spined:
            for key in find_gaps(frame, list(found)):
                found[key] = []
        return {key: aggregate_measure(item, rows, self.readers) for key, rows in found.items()}

    def _at_its_time(
        self, frame: Frame, leaf: Place, semi: SemiAdditive, rows: Iterable[Joined]
    ) -> list[Joined]:
        """Return the rows whose time is the last, or first, in their part (rule 9)."""
        own = f"{semi.time.cube}.{semi.time.name}"
        for member in (semi.time, *semi.groupings):
            if self.world.cube[member.cube].masks(member.name):
                raise Refused("unsupported")
        keys = [key for key in frame.keys if key.member == own]
        time = dimension_of(self.world.places[own])
        chosen: dict[Key, Value] = {}
        timed: list[tuple[Key, Value, Joined]] = []
        for row in rows:
            moment = evaluate_row(semi.time, row, self.readers)
            if moment is None or not self.passes(frame, row):
                continue
            if semi.period is not None:
                moment = cut(show_time(moment, self.timezone), semi.period, time.granularities)
            part = (
                *(self.cell(frame, key, row) for key in keys),
                *(evaluate_row(member, row, self.readers) for member in semi.groupings),
            )
            timed.append((part, moment, row))
            if not passes(measure_of(leaf), row, self.readers):
                continue
            sign = ">" if semi.last else "<"
            if part not in chosen or compare(sign, moment, chosen[part]):
                chosen[part] = moment
        return [row for part, moment, row in timed if chosen.get(part) == moment]

    def _check_calendars(self, leaf: Place, tree: Tree, shifts: Sequence[Shift]) -> None:
        cubes = {shift.member.rpartition(".")[0] for shift in shifts}
        moved = {cube for cube in cubes if self.world.cube[cube].calendar}
        if leaf.cube in moved:
            raise TooLarge  # whether the days of a calendar are moved, is not said
        if moved & {hop.target for hop in tree.hops} and not self.world.cube[leaf.cube].key:
            self.refusable.add("unsafe_aggregation")

    def check(self, leaf: Place, tree: Tree, shifts: Sequence[Shift] = ()) -> None:
        """Refuse a measure that reads across a join that repeats its rows.

        Raises:
            Refused: it has no one value for each of its rows.
        """
        steps = walk_from(tree, leaf.cube)
        self._check_calendars(leaf, tree, shifts)
        cubes = list(cubes_of(self.world, leaf.cube, leaf.item))
        if (set(cubes) - {leaf.cube}) & cubes_beyond(steps):
            raise Refused("unsafe_aggregation")
        if any(step.many for step in steps) and measure_of(leaf).type in _SENSITIVE:
            if not self.world.cube[leaf.cube].key:
                self.refusable.add("unsafe_aggregation")
            own = find_tree(self._joins, cubes, [])
            if any(step.many for step in walk_from(own, leaf.cube)):
                self.refusable.add("unsafe_aggregation")

    def join(self, tree: Tree, start: str, shifts: Sequence[Shift] = ()) -> list[Joined]:
        """Join the rows of `start` outwards along the tree; rows without a match are kept."""
        rows: list[Joined] = [{start: row} for row in self.table(start)]
        for step in walk_from(tree, start):
            grown: list[Joined] = []
            for row in rows:
                matches = self._matches(row, step.source, step.target, step.hop, shifts)
                grown += [{**row, step.target: match} for match in matches]
                if not matches:
                    grown.append({**row, step.target: None})
            rows = grown
            if len(rows) > _MOST_ROWS:
                raise TooLarge
        return rows

    def rows(self, tree: Tree, start: str, frame: Frame, measures: Sequence[Place]) -> list[Joined]:
        """Join rows; each stands once for each value of a switch that is mentioned."""
        rows = self.join(tree, start, frame.shifts)
        for (cube, _), item in self._switches(frame, measures).items():
            rows = [
                {**row, f"{cube} {item.name}": {"value": value}}
                for row in rows
                for value in item.values
            ]
            if len(rows) > _MOST_ROWS:
                raise TooLarge
        return rows

    def _switches(self, frame: Frame, measures: Sequence[Place]) -> dict[Name, Dimension]:
        found: dict[Name, Dimension] = {}
        for place in self._mentions(frame, measures):
            found |= switches_below(self.world, place.cube, place.item)
        return found

    def check_switches(self, leaf: Place, frame: Frame) -> None:
        """Refuse a measure that reads a switch of which several values stand in one group.

        Raises:
            Refused: it has no one value for each of its rows.
        """
        told = {key.member for key in frame.keys}
        loose = [
            item
            for (cube, name), item in self._switches(frame, [leaf]).items()
            if f"{cube}.{name}" not in told and len(item.values) > 1
        ]
        if loose and not self.world.cube[leaf.cube].key and measure_of(leaf).type in _SENSITIVE:
            self.refusable.add("unsafe_aggregation")
        for item in frame.filters:
            if isinstance(item, Compares) and item.operator in {"equals", "in"}:
                place = self.world.places[item.member]
                if len(item.values) == 1 and item.values != (None,):
                    told.add(f"{place.cube}.{place.item.name}")
        for (cube, name), switch in switches_below(self.world, leaf.cube, leaf.item).items():
            if f"{cube}.{name}" not in told and len(switch.values) > 1:
                raise Refused("unsafe_aggregation")

    def _matches(
        self, row: Joined, source: str, target: str, hop: Hop, shifts: Sequence[Shift]
    ) -> list[Row]:
        if row[source] is None:
            return []
        readers = {**self.real, **self._moved({source, target}, shifts)}
        return [
            other
            for other in self.table(target)
            if evaluate_row(hop.join.on, {source: row[source], target: other}, readers) is True
        ]

    def _moved(
        self, cubes: set[str], shifts: Sequence[Shift]
    ) -> dict[Name, Callable[[Joined], Value]]:
        """Return how the day of a calendar is read that is moved: as the day that stands for it."""
        found: dict[Name, Callable[[Joined], Value]] = {}
        for shift in shifts:
            cube, _, name = shift.member.rpartition(".")
            if cube not in cubes or not self.world.cube[cube].calendar:
                continue
            if (cube, name) in found:
                raise TooLarge  # moved twice
            found[cube, name] = self._day_before(shift, self.real[cube, name])
        return found

    def _day_before(
        self, shift: Shift, read: Callable[[Joined], Value]
    ) -> Callable[[Joined], Value]:
        for moved in dimension_of(self.world.places[shift.member]).moved:
            signed = moved.amount if moved.prior else -moved.amount
            if (signed, moved.unit) == (shift.amount, shift.unit):
                column = moved.column
                return lambda row: evaluate_row(column, row, self.real)
        return lambda row: move_time(show_time(read(row), self.timezone), -shift.amount, shift.unit)

    def table(self, name: str) -> list[Row]:
        """Return the rows of a cube."""
        if name not in self._rows:
            cube = self.world.cube[name]
            self._rows[name] = [
                row
                for row in self._tables[cube.table].read()
                if cube.where is None or evaluate_row(cube.where, {name: row}, self.readers) is True
            ]
            if name in self._hidden:
                self._rows[name] = [
                    row for row in self._rows[name] if self._is_shown(cube, row, cube.policies)
                ]
        return self._rows[name]

    def _is_shown(self, cube: Cube, row: Row, policies: Sequence[Policy]) -> bool:
        """Whether one of the policies lets the row be seen."""

        def read(member: str) -> tuple[Value, DimensionType]:
            place = self.world.places[member]
            value = self.real[place.cube, place.item.name]({cube.name: row})
            return value, dimension_of(place).type

        return any(
            all(holds(item, read, self.timezone) is True for item in policy.filters)
            for policy in policies
        )

    def _masked(
        self, cube: Cube, item: Dimension, read: Callable[[Joined], Value]
    ) -> Callable[[Joined], Value]:
        """Return how a masked dimension is read: its mask, but where a policy shows it."""
        showing = [policy for policy in cube.policies if item.name not in policy.masked]

        def shown(row: Joined) -> Value:
            own = row[cube.name] or dict.fromkeys(self._columns(cube))
            if self._is_shown(cube, own, showing):
                return read(row)
            return evaluate_row(item.mask, row, self.readers)

        return shown

    def _columns(self, cube: Cube) -> list[str]:
        return [name for name, _ in self._tables[cube.table].columns]

    def group(
        self,
        frame: Frame,
        rows: Iterable[Joined],
        window: Callable[[Joined], bool] | None = None,
    ) -> dict[Key, list[Joined]]:
        """Return the rows for which the conditions hold and that the window sees, by group."""
        groups: dict[Key, list[Joined]] = {}
        for row in rows:
            if self.passes(frame, row) and (window is None or window(row)):
                groups.setdefault(self.key(frame, row), []).append(row)
        return groups

    def passes(self, frame: Frame, row: Joined) -> bool:
        """Whether all conditions hold for the row."""

        def read(member: str) -> tuple[Value, DimensionType]:
            place = self.world.places[member]
            return self.read(frame.shifts, place, row), dimension_of(place).type

        for item in frame.conditions:
            if isinstance(item, str):
                segment = self.world.places[item].item
                assert isinstance(segment, Segment)
                if not truth(evaluate_row(segment.sql, row, self.readers)):
                    return False
            elif not holds(item, read, self.timezone):
                return False
        return all(row[place.cube] is not None for place in frame.guards)

    def key(self, frame: Frame, row: Joined) -> Key:
        """Return the group of a row."""
        return tuple(self.cell(frame, item, row) for item in frame.keys)

    def cell(self, frame: Frame, item: Grouping, row: Joined) -> Value:
        """Return one part of the group of a row: times as the wall clock shows them."""
        value = self.read(frame.shifts, item.place, row)
        if dimension_of(item.place).type == "time":
            moment = show_time(value, self.timezone)
            customs = dimension_of(item.place).granularities
            custom = None if item.granularity is None else find_custom(item.granularity, customs)
            if custom is not None and custom.sql is not None:
                return alike(evaluate_row(custom.sql, row, self.readers))
            return moment if item.granularity is None else cut(moment, item.granularity, customs)
        return value

    def read(self, shifts: Iterable[Shift], place: Place, row: Joined) -> Value:
        """Return a dimension in a row, moved when it is a time that is shifted."""
        value = self.readers[place.cube, place.item.name](row)
        for shift in shifts:
            own = shift.member == f"{place.cube}.{place.item.name}"
            if own and value is not None and not self.world.cube[place.cube].calendar:
                moved = move_time(show_time(value, self.timezone), shift.amount, shift.unit)
                value = None if moved is None else Wall.fromisoformat(moved.isoformat())
        return value

    # ------------------------------------------------------------------ dimensions

    def _reader(
        self, cube: Cube, item: Dimension, readers: Mapping[Name, Callable[[Joined], Value]]
    ) -> Callable[[Joined], Value]:
        sql = item.sql
        if item.values:
            return lambda row: _value_of(row, cube.name, item)
        if item.sub_query:
            return lambda row: self._read_sub_query(cube, item, row)
        if isinstance(sql, Case):
            return lambda row: choose_label(sql, row, readers)
        return lambda row: evaluate_row(sql, row, readers)

    def _read_sub_query(self, cube: Cube, item: Dimension, row: Joined) -> Value:
        """Return what measures are in the group of a row's key; they are null where there is none."""
        key = tuple(self.real[cube.name, part.name](row) for part in cube.key)
        found = self._sub_query(self.frame, cube, item)
        if row[cube.name] is not None and key in found:
            return found[key]
        assert not isinstance(item.sql, Case)
        nothing = dict.fromkeys(self._computed_from(item))
        return calculate_value(self.world, item.sql, nothing)

    def _computed_from(self, item: Dimension | Measure) -> Iterator[Name]:
        """Yield the measures of rows and stages that a member is computed from."""
        for cube, measure in measures_below(self.world, item):
            staged = measure.window or measure.stage or isinstance(measure.sql, Switch)
            if staged or not measures_below(self.world, measure):
                yield cube, measure.name
            else:
                yield from self._computed_from(measure)

    def _prepare_sub_queries(
        self, frame: Frame, cube: str, item: Dimension | Measure | Segment
    ) -> None:
        """Evaluate the sub-queries that a member reads, so that what they refuse is refused."""
        if isinstance(item, Dimension) and item.sub_query:
            self._sub_query(frame, self.world.cube[cube], item)
            return
        for expression in expressions_of(item):
            for part in walk(expression):
                if isinstance(part, Member):
                    found = self.world.item(part.cube, part.name)
                    if not isinstance(found, Measure):
                        self._prepare_sub_queries(frame, part.cube, found)

    def _sub_query(self, frame: Frame, cube: Cube, item: Dimension) -> Mapping[Key, Value]:
        outer = self._propagated(frame, cube, item)
        known = (cube.name, item.name), outer
        if known not in self._sub_queries:
            assert not isinstance(item.sql, Case)
            kept, read = self.frame, self._read
            self._depth += 1
            own = self._reads.inner.get((cube.name, item.name), {})
            self._read = (
                {name for name, _ in own} | {cube.name} | (read if item.propagates else set())
            )
            guards = (place for place in guarded(self.world, own) if place not in outer.guards)
            outer = dataclasses.replace(outer, guards=(*outer.guards, *guards))
            below = [Place(name, measure, (name,)) for name, measure in
                     measures_below(self.world, item)]  # fmt: skip
            groups = self._evaluate(outer, below)
            self._depth -= 1
            self.frame, self._read = kept, read
            self._sub_queries[known] = {
                key: calculate_value(self.world, item.sql, values) for key, values in groups.items()
            }
        return self._sub_queries[known]

    def _propagated(self, frame: Frame, cube: Cube, item: Dimension) -> Frame:
        """Return the frame of a sub-query: the cube's key, and conditions if they propagate."""
        keys = tuple(
            Grouping(f"{cube.name}.{part.name}", Place(cube.name, part, (cube.name,)))
            for part in cube.key
        )
        if not item.propagates:
            return Frame(keys)
        own = f"{cube.name}.{item.name}"
        return dataclasses.replace(
            frame.only(
                condition
                for condition in frame.conditions
                if not any(own in names_below(self.world, name) for name in names_in(condition))
            ),
            keys=keys,
        )


def _value_of(row: Joined, cube: str, item: Dimension) -> Value:
    found = row[f"{cube} {item.name}"]
    assert found is not None
    return found["value"]


def names_in(condition: Filter | str) -> list[str]:
    """Return the members that a condition names; a text is a segment."""
    return [condition] if isinstance(condition, str) else list(members_in(condition))


def count_once(rows: Iterable[Joined], cube: str) -> list[Joined]:
    """Return the rows with each row of the cube once."""
    return list({id(row[cube]): row for row in rows}.values())
