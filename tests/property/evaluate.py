"""The naive evaluator: the rules of ARCHITECTURE.md, "What a query means", word for word.

Nested loops over lists of rows; nothing of `semantic` is used. `Refused` says that the rules give
no answer. `Answer.refusable` holds the codes with which refusing is right although there is one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from tests.property.conditions import holds
from tests.property.derive import derive
from tests.property.facts import Facts, Groups
from tests.property.frames import Frame, frame_of
from tests.property.guards import find_reads, guarded, places_asked
from tests.property.members import (
    Name,
    measure_of,
    measures_below,
    read_measure,
    value_in_row,
)
from tests.property.model import DimensionType, Measure, Place, Switch, World
from tests.property.queries import Asked, members_in
from tests.property.stages import Stages
from tests.property.times import GRANULARITIES
from tests.property.trees import Refused, Tree
from tests.property.values import Value


@dataclass(slots=True)
class Answer:
    """What the rules give: every row by column, before limit and offset, and how they are ordered."""

    rows: list[dict[str, Value]]
    order: list[tuple[str, bool]]
    refusable: set[str]


def answer(world: World, asked: Asked) -> Answer:
    """Return what the query means.

    Raises:
        Refused: it has no meaning by the rules.
        TooLarge: it is too much to loop over.
    """
    return Evaluator(world, asked).answer()


class Evaluator:
    """The evaluation of one query."""

    def __init__(self, world: World, asked: Asked) -> None:
        world, asked = derive(world, asked)
        self.world = world
        self.asked = asked
        self.frame, self.having = frame_of(world, asked)
        reads = find_reads(world, places_asked(world, asked))
        self.frame = dataclasses.replace(self.frame, guards=tuple(guarded(world, reads.own)))
        self.facts = Facts(world, asked.timezone, self.evaluate)
        self.stages = Stages(world, self.facts, self.frame, self.evaluate)
        self.facts.guard(reads)
        self.facts.others = all_leaves(world, [place for _, place in self._measures()])

    def answer(self) -> Answer:
        """Return the rows of the query."""
        self.facts.ways = put_end_to_end(self.asked.hints)
        rows = self._ungrouped() if self.asked.ungrouped else self._grouped()
        if not self.facts.followed.issuperset(self.facts.ways):
            raise Refused("unsupported")
        return Answer(rows, self._order(), self.facts.refusable)

    def trees(self) -> dict[Name, Tree]:
        """Return the tree of each measure that rows are read for."""
        leaves, _ = split(self.world, [place for _, place in self._measures()])
        found = {
            (leaf.cube, leaf.item.name): self.facts.leaf_tree(self.frame, leaf, leaves)[0]
            for leaf in leaves
        }
        return found or {("", ""): self.facts.tree(self.frame, [])}

    def evaluate(self, frame: Frame, measures: Sequence[Place]) -> Groups:
        """Return leaves and staged measures in each group; what a group lacks is null (rule 7)."""
        leaves, staged = split(self.world, measures)
        groups: Groups = {}
        if leaves or not staged:
            groups = self.facts.evaluate(frame, leaves)
        for place in staged:
            for key, value in self.stages.evaluate(frame, place).items():
                groups.setdefault(key, {})[place.cube, place.item.name] = value
        for values in groups.values():
            for place in (*leaves, *staged):
                values.setdefault((place.cube, place.item.name), None)
        return groups

    def _grouped(self) -> list[dict[str, Value]]:
        """Rule 5: compute calculated measures, choose among groups, name the columns."""
        measures = dict(self._measures())
        rows: list[dict[str, Value]] = []
        for key, found in self.evaluate(self.frame, list(measures.values())).items():
            values = {
                name: self._shown(
                    place, read_measure(self.world, place.cube, measure_of(place), found)
                )
                for name, place in measures.items()
            }

            def read(
                member: str, values: Mapping[str, Value] = values
            ) -> tuple[Value, DimensionType]:
                return values[member], measure_of(self.world.places[member]).values

            if all(holds(item, read, self.asked.timezone) for item in self.having):
                row = {item.name: part for item, part in zip(self.frame.keys, key, strict=True)}
                rows.append(row | {name: values[name] for name in self.asked.measures})
        return rows

    def _shown(self, place: Place, value: Value) -> Value:
        """Return the value, or the measure's mask."""
        item = measure_of(place)
        masked = self.world.cube[place.cube].masks(item.made_of or item.name)
        return item.mask if masked else value

    def _ungrouped(self) -> list[dict[str, Value]]:
        """Rule 6: the rows of the one tree of everything asked."""
        places = {name: self.world.places[name] for name in self.asked.measures}
        items = [measure_of(place) for place in places.values()]
        if any(is_staged(item) or item.semi is not None for item in items):
            raise Refused("unsupported")
        tree = self.facts.tree(self.frame, list(places.values()))
        self.facts.prepare(self.frame, self.frame, list(places.values()))
        rows: list[dict[str, Value]] = []
        for row in self.facts.rows(tree, tree.root, self.frame, list(places.values())):
            if self.facts.passes(self.frame, row):
                cells = {item.name: self.facts.cell(self.frame, item, row)
                         for item in self.frame.keys}  # fmt: skip
                values = {name: self._shown(place, value_in_row(place, row, self.facts.readers))
                          for name, place in places.items()}  # fmt: skip
                rows.append(cells | values)
        return rows

    def _measures(self) -> list[tuple[str, Place]]:
        """Return the measures asked: as columns, in conditions on groups, to order by."""
        names = [*self.asked.measures, *chain(*map(members_in, self.having))]
        names += [member for member, _ in self.asked.order or () if member in self.world.places]
        found = {name: self.world.places[name] for name in names}
        return [(name, place) for name, place in found.items() if isinstance(place.item, Measure)]

    def _order(self) -> list[tuple[str, bool]]:
        if self.asked.order is not None:
            return [(self._column(member), down) for member, down in self.asked.order]
        if self.asked.ungrouped:
            return []
        timed = [item.name for item in self.frame.keys if item.granularity is not None]
        if timed:
            return [(timed[0], False)]
        if self.asked.measures:
            return [(self.asked.measures[0], True)] if self.frame.keys else []
        return [(self.frame.keys[0].name, False)]

    def _column(self, member: str) -> str:
        names = [item.name for item in self.frame.keys]
        if member in names or member not in {timed.member for timed in self.asked.times}:
            return member
        cuts = [item.granularity for item in self.asked.times if item.member == member]
        finest = next(unit for unit in GRANULARITIES if unit in cuts)  # no other is ordered by so
        return f"{member}.{finest}"


def put_end_to_end(hints: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return join hints as ways: one that begins where the one before ends goes on from there."""
    ways: list[tuple[str, ...]] = []
    for hint in hints:
        if ways and ways[-1][-1] == hint[0]:
            ways[-1] = (*ways[-1], *hint[1:])
        else:
            ways.append(hint)
    return tuple(ways)


def is_staged(item: Measure) -> bool:
    """Whether the measure is made of another evaluation."""
    return item.window is not None or item.stage is not None or isinstance(item.sql, Switch)


def split(world: World, measures: Sequence[Place]) -> tuple[list[Place], list[Place]]:
    """Return the measures that rows are read for, and those of stages, under `measures`."""
    leaves: dict[Name, Place] = {}
    staged: dict[Name, Place] = {}
    for place in measures:
        item = measure_of(place)
        below = measures_below(world, item)
        name = (place.cube, item.name)
        if is_staged(item):
            staged.setdefault(name, place)
        elif not below:
            leaves.setdefault(name, place)
        else:
            inner = [
                Place(cube, measure, place.path if cube == place.cube else (cube,))
                for cube, measure in below
            ]
            for mine, theirs in zip((leaves, staged), split(world, inner), strict=True):
                for found in theirs:
                    mine.setdefault((found.cube, found.item.name), found)
    return list(leaves.values()), list(staged.values())


def all_leaves(world: World, measures: Sequence[Place]) -> list[Place]:
    """Return the measures that rows are read for, those inside of stages too."""
    leaves, staged = split(world, measures)
    for place in staged:
        item = measure_of(place)
        if item.window is not None:
            leaves.append(dataclasses.replace(place, item=dataclasses.replace(item, window=None)))
        else:
            below = [Place(cube, found, (cube,)) for cube, found in measures_below(world, item)]
            leaves += all_leaves(world, below)
    return leaves
