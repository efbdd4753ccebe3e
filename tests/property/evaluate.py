"""The naive evaluator: rules 1 to 6 of ARCHITECTURE.md, "What a query means", word for word.

Nested loops over lists of rows; nothing of `semantic` is used. `Refused` says that the rules give
no answer. `Answer.refusable` holds the codes with which refusing is right although there is one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.property.conditions import holds
from tests.property.expressions import (
    Aggregate,
    Call,
    Column,
    Constant,
    Expression,
    Member,
    aggregate,
    apply,
    evaluate_row,
    walk,
)
from tests.property.model import Case, Cube, Dimension, Measure, Place, Segment, World
from tests.property.queries import Asked, Compares, Filter, members_in
from tests.property.times import GRANULARITIES, cut_time, show_time
from tests.property.trees import Hop, Refused, Tree, cubes_beyond, find_tree, prune, walk_from
from tests.property.values import Joined, Row, Value, truth

Key = tuple[Value, ...]
Groups = dict[Key, list[Joined]]
Name = tuple[str, str]
_SENSITIVE = frozenset({"count", "sum", "avg", "number", "string", "boolean"})
_MOST_ROWS = 20_000


class TooLarge(Exception):  # noqa: N818 -- the case is passed over, it is no error
    """The joined rows are too many to loop over."""


@dataclass(slots=True)
class Answer:
    """What the rules give: every row by column, before limit and offset, and how they are ordered."""

    rows: list[dict[str, Value]]
    order: list[tuple[str, bool]]
    refusable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Condition:
    """A row condition: the places that it reads, and its test."""

    places: tuple[Place, ...]
    test: Callable[[Joined], bool | None]


@dataclass(frozen=True, slots=True)
class Grouping:
    """A column of the answer that is grouped by."""

    name: str
    place: Place
    granularity: str | None


def answer(world: World, asked: Asked) -> Answer:
    """Return what the query means.

    Raises:
        Refused: it has no meaning by the rules.
    """
    return Evaluator(world, asked).answer()


class Evaluator:
    """The evaluation of one query."""

    def __init__(self, world: World, asked: Asked, *, inner: bool = False) -> None:
        self.world = world
        self.inner = inner
        self.asked = asked
        self.joins = {cube.name: {join.target: join for join in cube.joins} for cube in world.cubes}
        self.refusable: set[str] = set()
        self.dimensions = {
            (cube.name, item.name): self._reader(cube, item)
            for cube in world.cubes
            for item in cube.dimensions
        }
        self.grouping = self._grouping()
        self.conditions, self.having = self._conditions()
        self.tables = {table.name: table for table in world.tables}
        self._rows: dict[str, list[Row]] = {}
        self._sub_queries: dict[Name, dict[Key, Value]] = {}

    # ------------------------------------------------------------------ the query

    def answer(self) -> Answer:
        """Return the rows of the query."""
        if self.asked.ungrouped:
            return self._ungrouped()
        return self._finish(self.evaluate_groups())

    def evaluate_groups(self) -> dict[Key, dict[Name, Value]]:
        """Return the measures that rows are read for, in each group (rules 1 to 4)."""
        leaves = {
            (leaf.cube, leaf.item.name): leaf
            for place in self._measures_asked()
            for leaf in self._leaves(place)
        }
        groups: dict[Key, dict[Name, Value]] = {} if self.grouping else {(): {}}
        if not leaves:
            tree = self._tree([], self.conditions)
            for key in self._group(self._join(tree, tree.root), self.conditions):
                groups[key] = {}
        for name, leaf in leaves.items():
            for key, value in self._evaluate_leaf(leaf, list(leaves.values())).items():
                groups.setdefault(key, {})[name] = value
        for values in groups.values():
            for name, leaf in leaves.items():
                if name not in values:
                    values[name] = self._aggregate(leaf, [])
        return groups

    def trees(self) -> dict[Name, Tree]:
        """Return the tree of each measure that rows are read for."""
        leaves = [leaf for place in self._measures_asked() for leaf in self._leaves(place)]
        found: dict[Name, Tree] = {
            (leaf.cube, leaf.item.name): self._find_leaf_tree(leaf, leaves)[0] for leaf in leaves
        }
        return found or {("", ""): self._tree([], self.conditions)}

    def _finish(self, groups: Mapping[Key, Mapping[Name, Value]]) -> Answer:
        """Compute calculated measures, choose among groups, name the columns."""
        found = Answer([], self._order(), refusable=self.refusable)
        for key, leaves in groups.items():
            values = {
                name: self._calculate(place, leaves) for name, place in self._named_measures()
            }

            def read(member: str, values: Mapping[str, Value] = values) -> Any:
                item = self.world.places[member].item
                assert isinstance(item, Measure)
                return values[member], item.values

            if all(holds(item, read, self.asked.timezone) for item in self.having):
                row = {item.name: part for item, part in zip(self.grouping, key, strict=True)}
                found.rows.append(row | {name: values[name] for name in self.asked.measures})
        return found

    def _ungrouped(self) -> Answer:
        """Rule 6: the rows of the one tree of everything asked."""
        measures = [self.world.places[name] for name in self.asked.measures]
        tree = self._tree(measures, self.conditions)
        found = Answer([], self._order(), refusable=self.refusable)
        for row in self._join(tree, tree.root):
            if all(item.test(row) for item in self.conditions):
                key = zip(self.grouping, self._key(row), strict=True)
                values = {name: self._in_row(self.world.places[name], row)
                          for name in self.asked.measures}  # fmt: skip
                found.rows.append({item.name: part for item, part in key} | values)
        return found

    def _in_row(self, place: Place, row: Joined) -> Value:
        item = place.item
        assert isinstance(item, Measure)
        if row[place.cube] is None or not self._passes(item, row):
            return None
        value = 1 if item.sql is None else evaluate_row(item.sql, row, self.dimensions)
        if item.type in {"count", "count_distinct"}:
            return None if value is None else 1
        return value

    def _order(self) -> list[tuple[str, bool]]:
        if self.asked.order is not None:
            return [(self._column(member), down) for member, down in self.asked.order]
        timed = [item.name for item in self.grouping if item.granularity is not None]
        if timed:
            return [(timed[0], False)]
        if self.asked.measures:
            return [(self.asked.measures[0], True)] if self.grouping else []
        return [(self.grouping[0].name, False)]

    def _column(self, member: str) -> str:
        names = [item.name for item in self.grouping]
        if member in names or member not in {timed.member for timed in self.asked.times}:
            return member
        cuts = [item.granularity for item in self.asked.times if item.member == member]
        finest = next(unit for unit in GRANULARITIES if unit in cuts)
        return f"{member}.{finest}"

    # ------------------------------------------------------------------ what is asked

    def _grouping(self) -> list[Grouping]:
        found = [Grouping(name, self.world.places[name], None) for name in self.asked.dimensions]
        found += [
            Grouping(f"{item.member}.{item.granularity}", self.world.places[item.member],
                     item.granularity)
            for item in self.asked.times
            if item.granularity is not None
        ]  # fmt: skip
        return list({item.name: item for item in found}.values())

    def _conditions(self) -> tuple[list[Condition], list[Filter]]:
        rows: list[Condition] = []
        groups: list[Filter] = []
        for item in self.asked.times:
            if item.range is not None:
                ranged: Filter = Compares(item.member, "inDateRange", item.range)
                rows.append(self._condition(ranged))
        for part in self.asked.filters:
            places = [self.world.places[name] for name in members_in(part)]
            if any(isinstance(place.item, Measure) for place in places):
                groups.append(part)
            else:
                rows.append(self._condition(part))
        for name in self.asked.segments:
            place = self.world.places[name]
            assert isinstance(place.item, Segment)
            rows.append(Condition((place,), self._segment_test(place.item)))
        return rows, groups

    def _segment_test(self, segment: Segment) -> Callable[[Joined], bool | None]:
        return lambda row: truth(evaluate_row(segment.sql, row, self.dimensions))

    def _condition(self, item: Filter) -> Condition:
        def read(row: Joined, member: str) -> Any:
            place = self.world.places[member]
            assert isinstance(place.item, Dimension)
            return self.dimensions[place.cube, place.item.name](row), place.item.type

        places = tuple(self.world.places[name] for name in members_in(item))
        return Condition(
            places,
            lambda row: holds(item, lambda member: read(row, member), self.asked.timezone),
        )

    def _named_measures(self) -> Iterator[tuple[str, Place]]:
        names = [*self.asked.measures]
        for item in self.having:
            names += members_in(item)
        for member, _ in self.asked.order or ():
            if member in self.world.places and isinstance(self.world.places[member].item, Measure):
                names.append(member)
        for name in dict.fromkeys(names):
            yield name, self.world.places[name]

    def _measures_asked(self) -> Iterator[Place]:
        for _, place in self._named_measures():
            yield place

    def _leaves(self, place: Place) -> Iterator[Place]:
        """Yield the measures that rows are read for."""
        item = place.item
        assert isinstance(item, Measure)
        below = measures_below(self.world, item)
        if not below:
            yield place
        for cube, measure in below:
            path = place.path if cube == place.cube else (cube,)
            yield from self._leaves(Place(cube, measure, path))

    # ------------------------------------------------------------------ rule 1

    def _tree(
        self,
        measures: Sequence[Place],
        conditions: Iterable[Condition],
        hubs: Sequence[str] = (),
    ) -> Tree:
        cubes: dict[str, None] = {}
        paths: dict[tuple[str, ...], None] = {}
        mentioned = [
            *measures,
            *(item.place for item in self.grouping if item.granularity is None),
            *(place for condition in conditions for place in condition.places),
            *(item.place for item in self.grouping if item.granularity is not None),
        ]
        for place in mentioned:
            self._prepare_sub_queries(place.cube, place.item)
            cubes.update(dict.fromkeys(self._cubes(place.cube, place.item)))
            if len(place.path) > 1:
                paths[place.path] = None
        tree = find_tree(self.joins, [*cubes, *hubs], list(paths))
        return prune(tree, set(cubes)) if hubs else tree

    def _cubes(self, cube: str, item: Dimension | Measure | Segment) -> Iterator[str]:
        """Yield the cubes whose rows a member reads, its own first."""
        yield cube
        if not (isinstance(item, Dimension) and item.sub_query):
            for expression in expressions_of(item):
                yield from self._cubes_in(expression)

    def _prepare_sub_queries(self, cube: str, item: Dimension | Measure | Segment) -> None:
        """Evaluate the sub-queries that a member reads, so that what they refuse is refused."""
        if isinstance(item, Dimension) and item.sub_query:
            self._sub_query(self.world.cube[cube], item)
            return
        for expression in expressions_of(item):
            for part in walk(expression):
                if isinstance(part, Member):
                    found = self.world.item(part.cube, part.name)
                    if not isinstance(found, Measure):
                        self._prepare_sub_queries(part.cube, found)

    def _cubes_in(self, expression: Expression) -> Iterator[str]:
        for part in walk(expression):
            if isinstance(part, Column):
                yield part.cube
            elif isinstance(part, Member):
                yield from self._cubes(part.cube, self.world.item(part.cube, part.name))

    def _find_leaf_tree(self, leaf: Place, leaves: Sequence[Place]) -> tuple[Tree, list[Condition]]:
        """Return the tree of a measure, and the row conditions that hold for it.

        Where it has none, another measure's cube may be the root; where it has none even so, a
        condition that only other facts know holds for those only (rule 4).
        """
        tree = self._try_tree(leaf, leaves, self.conditions)
        if tree is not None:
            return tree, self.conditions
        known = []
        for item in self.conditions:
            if self._try_tree(leaf, [], [item]) is not None:
                known.append(item)
            elif all(
                self._try_tree(other, [], [item]) is None for other in leaves if other != leaf
            ):
                raise Refused("no_join_path")
        return self._tree([leaf], known), known

    def _try_tree(
        self, leaf: Place, leaves: Sequence[Place], conditions: Iterable[Condition]
    ) -> Tree | None:
        hubs = [] if not leaves else [other.cube for other in leaves]
        for more in ([], hubs) if hubs else ([],):
            try:
                tree = self._tree([leaf], conditions, more)
            except Refused as refused:
                if "no_join_path" not in refused.codes:
                    raise
            else:
                if more and self.inner:  # what stands beside a measure there, is not said
                    self.refusable.add("no_join_path")
                return tree
        return None

    # ------------------------------------------------------------------ rules 2 and 3

    def _evaluate_leaf(self, leaf: Place, leaves: Sequence[Place]) -> dict[Key, Value]:
        tree, conditions = self._find_leaf_tree(leaf, leaves)
        if tree.doubtful:
            self.refusable.add("ambiguous_join_path")
        self._check_leaf(leaf, tree)
        found: dict[Key, list[Joined]] = {} if self.grouping else {(): []}
        for key, rows in self._group(self._join(tree, leaf.cube), conditions).items():
            once = {id(row[leaf.cube]): row for row in rows}
            found[key] = list(once.values())
        if tree.root != leaf.cube and self.grouping:
            for key in self._group(self._join(tree, tree.root), conditions):
                found.setdefault(key, [])
        return {key: self._aggregate(leaf, rows) for key, rows in found.items()}

    def _check_leaf(self, leaf: Place, tree: Tree) -> None:
        item = leaf.item
        assert isinstance(item, Measure)
        steps = walk_from(tree, leaf.cube)
        others = set(self._cubes(leaf.cube, item)) - {leaf.cube}
        if others & cubes_beyond(steps):
            raise Refused("unsafe_aggregation")
        if any(step.many for step in steps) and item.type in _SENSITIVE:
            if not self.world.cube[leaf.cube].key:
                self.refusable.add("unsafe_aggregation")
            own = find_tree(self.joins, list(self._cubes(leaf.cube, item)), [])
            if any(step.many for step in walk_from(own, leaf.cube)):
                self.refusable.add("unsafe_aggregation")

    def _join(self, tree: Tree, start: str) -> list[Joined]:
        """Join the rows of `start` outwards along the tree; rows without a match are kept."""
        rows: list[Joined] = [{start: row} for row in self._table(start)]
        for step in walk_from(tree, start):
            grown: list[Joined] = []
            for row in rows:
                matches = self._matches(row, step.source, step.target, step.hop)
                grown += [{**row, step.target: match} for match in matches]
                if not matches:
                    grown.append({**row, step.target: None})
            rows = grown
            if len(rows) > _MOST_ROWS:
                raise TooLarge
        return rows

    def _matches(self, row: Joined, source: str, target: str, hop: Hop) -> list[Row]:
        if row[source] is None:
            return []
        return [
            other
            for other in self._table(target)
            if evaluate_row(hop.join.on, {source: row[source], target: other}, self.dimensions)
            is True
        ]

    def _table(self, name: str) -> list[Row]:
        if name not in self._rows:
            cube = self.world.cube[name]
            self._rows[name] = [
                row
                for row in self.tables[cube.table].read()
                if cube.where is None
                or evaluate_row(cube.where, {name: row}, self.dimensions) is True
            ]
        return self._rows[name]

    def _group(self, rows: Iterable[Joined], conditions: Sequence[Condition]) -> Groups:
        groups: Groups = {}
        for row in rows:
            if all(item.test(row) for item in conditions):
                groups.setdefault(self._key(row), []).append(row)
        return groups

    def _key(self, row: Joined) -> Key:
        found: list[Value] = []
        for item in self.grouping:
            dimension = item.place.item
            assert isinstance(dimension, Dimension)
            value = self.dimensions[item.place.cube, dimension.name](row)
            if dimension.type == "time":
                value = show_time(value, self.asked.timezone)
                if item.granularity is not None:
                    value = cut_time(value, item.granularity)
            found.append(value)
        return tuple(found)

    # ------------------------------------------------------------------ members

    def _reader(self, cube: Cube, item: Dimension) -> Callable[[Joined], Value]:
        sql = item.sql
        if item.sub_query:
            return lambda row: self._read_sub_query(cube, item, row)
        if isinstance(sql, Case):
            return lambda row: self._choose(sql, row)
        return lambda row: evaluate_row(sql, row, self.dimensions)

    def _read_sub_query(self, cube: Cube, item: Dimension, row: Joined) -> Value:
        """Return what measures are in the group of a row's key; null where there is no such group."""
        if row[cube.name] is None:
            return None
        key = tuple(self.dimensions[cube.name, part.name](row) for part in cube.key)
        return self._sub_query(cube, item).get(key)

    def _sub_query(self, cube: Cube, item: Dimension) -> dict[Key, Value]:
        name = (cube.name, item.name)
        if name not in self._sub_queries:
            assert not isinstance(item.sql, Case)
            self._sub_queries[name] = self._evaluate_sub_query(cube, item, item.sql)
        return self._sub_queries[name]

    def _evaluate_sub_query(self, cube: Cube, item: Dimension, sql: Expression) -> dict[Key, Value]:
        measures = {f"{part.cube}.{part.name}" for part in walk(sql) if isinstance(part, Member)}
        inner = Asked(
            measures=tuple(sorted(measures)),
            dimensions=tuple(f"{cube.name}.{part.name}" for part in cube.key),
            order=(),
            timezone=self.asked.timezone,
        )
        if item.propagates:
            inner = dataclasses.replace(inner, **self._propagated(f"{cube.name}.{item.name}"))
        evaluator = Evaluator(self.world, inner, inner=True)
        groups = evaluator.evaluate_groups()
        self.refusable |= evaluator.refusable
        return {key: evaluator.calculate_sql(sql, leaves) for key, leaves in groups.items()}

    def _propagated(self, own: str) -> dict[str, Any]:
        """Return the row conditions of the query, but those that are about `own`."""
        filters = []
        for item in self.asked.filters:
            names = list(members_in(item))
            about_rows = isinstance(self.world.places[names[0]].item, Dimension)
            if about_rows and not any(own in self._names_below(name) for name in names):
                filters.append(item)
        times = tuple(
            dataclasses.replace(item, granularity=None)
            for item in self.asked.times
            if item.range is not None and own not in self._names_below(item.member)
        )
        segments = tuple(name for name in self.asked.segments if own not in self._names_below(name))
        return {"filters": tuple(filters), "segments": segments, "times": times}

    def _names_below(self, member: str) -> set[str]:
        """Return the members of cubes that a member is made of, itself among them."""
        place = self.world.places[member]
        found = {f"{place.cube}.{place.item.name}"}
        for expression in expressions_of(place.item):
            for part in walk(expression):
                if isinstance(part, Member):
                    found |= self._names_below(f"{part.cube}.{part.name}")
        return found

    def _choose(self, case: Case, row: Joined) -> Value:
        chosen = case.otherwise
        for condition, label in case.branches:
            if evaluate_row(condition, row, self.dimensions) is True:
                chosen = label
                break
        if chosen is None or isinstance(chosen, str):
            return chosen
        return evaluate_row(chosen, row, self.dimensions)

    def _passes(self, measure: Measure, row: Joined) -> bool:
        return all(evaluate_row(part, row, self.dimensions) is True for part in measure.filters)

    def _aggregate(self, leaf: Place, rows: Sequence[Joined]) -> Value:
        """Return a measure over rows of its cube, each of which is here once."""
        item = leaf.item
        assert isinstance(item, Measure)
        if item.type in {"number", "string", "boolean"}:
            assert item.sql is not None
            return self._aggregate_sql(item.sql, rows)
        rows = [row for row in rows if self._passes(item, row)]
        values: list[Value] = [1] * len(rows)
        if item.sql is not None:
            values = [evaluate_row(item.sql, row, self.dimensions) for row in rows]
        match item.type:
            case "count" | "count_distinct" | "sum" | "avg" | "min" | "max":
                return aggregate(item.type, values)
            case _:
                raise TypeError(item)

    def _aggregate_sql(self, item: Expression, rows: Sequence[Joined]) -> Value:
        match item:
            case Aggregate():
                if item.operand is None:
                    return len(rows)
                return aggregate(
                    item.function,
                    [evaluate_row(item.operand, row, self.dimensions) for row in rows],
                )
            case Constant():
                return item.value
            case Call():
                return apply(item.name, [self._aggregate_sql(part, rows) for part in item.operands])
            case _:
                raise TypeError(item)

    def _calculate(self, place: Place, leaves: Mapping[Name, Value]) -> Value:
        item = place.item
        assert isinstance(item, Measure)
        if (place.cube, item.name) in leaves:
            return leaves[place.cube, item.name]
        assert item.sql is not None
        return self.calculate_sql(item.sql, leaves)

    def calculate_sql(self, item: Expression, leaves: Mapping[Name, Value]) -> Value:
        """Return what is computed from the measures of one group."""
        match item:
            case Member():
                found = self.world.item(item.cube, item.name)
                return self._calculate(Place(item.cube, found, (item.cube,)), leaves)
            case Constant():
                return item.value
            case Call():
                return apply(
                    item.name, [self.calculate_sql(part, leaves) for part in item.operands]
                )
            case _:
                raise TypeError(item)


def expressions_of(item: Dimension | Measure | Segment) -> Iterator[Expression]:
    """Yield a member's expressions in the order of the YAML."""
    match item:
        case Dimension():
            if isinstance(item.sql, Case):
                for condition, label in item.sql.branches:
                    yield condition
                    if not isinstance(label, str):
                        yield label
                if item.sql.otherwise is not None and not isinstance(item.sql.otherwise, str):
                    yield item.sql.otherwise
            else:
                yield item.sql
        case Measure():
            if item.sql is not None:
                yield item.sql
            yield from item.filters
        case Segment():
            yield item.sql


def measures_below(world: World, item: Measure) -> list[tuple[str, Measure]]:
    """Return the measures that a measure is computed from."""
    found: dict[Name, Measure] = {}
    for expression in expressions_of(item):
        for part in walk(expression):
            if isinstance(part, Member):
                named = world.item(part.cube, part.name)
                if isinstance(named, Measure):
                    found[part.cube, part.name] = named
    return [(cube, measure) for (cube, _), measure in found.items()]
