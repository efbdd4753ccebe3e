"""Laws that answers obey whatever the model: checked on Ducat's answers alone, case by case.

The evaluator is asked only which cases a law is about (which joins repeat rows, which trees are
the same). A case in which Ducat refuses is none of the law's; each test wants enough that are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from random import Random
from typing import Any

from semantic.errors import DucatError
from tests.property.ask import Session
from tests.property.compare import count_rows, show
from tests.property.evaluate import Evaluator, is_staged, split
from tests.property.make_query import make_filter, make_query
from tests.property.members import switches_below
from tests.property.model import Dimension, Measure, Place, World
from tests.property.queries import Asked, Compares, Filter, Nested, Timed, members_in
from tests.property.trees import Refused, walk_from

Rows = Sequence[Mapping[str, Any]]
EACH = 8
_OPPOSITES = {
    "equals": "notEquals",
    "in": "notIn",
    "contains": "notContains",
    "startsWith": "notStartsWith",
    "endsWith": "notEndsWith",
    "inDateRange": "notInDateRange",
}


def draw(sessions: list[Session], law: str) -> Iterator[tuple[Random, Session, Asked]]:
    """Yield random grouped queries without limit, a few for each world."""
    for index, session in enumerate(sessions):
        for number in range(EACH):
            random = Random(f"{law}/{index}/{number}")
            asked = make_query(random, session.world)
            plain = dataclasses.replace(asked, limit=None, offset=0, ungrouped=False)
            yield random, session, plain


def ask(session: Session, asked: Asked) -> list[dict[str, Any]] | None:
    """Return the rows, or None when Ducat refuses."""
    try:
        return session.ask(asked)
    except DucatError:
        return None


def tell(session: Session, *asked: Asked) -> str:
    """Return what helps to understand a broken law."""
    return "\n".join(f"{query}\n{session.sql(query)}" for query in asked)


def additive(world: World) -> list[tuple[str, Place]]:
    """Return the counts and sums of the cubes."""
    return [
        (name, place)
        for name, place in world.places.items()
        if isinstance(place.item, Measure)
        and place.item.type in {"count", "sum"}
        and not is_staged(place.item)
        and place.item.semi is None
        and place.item.fill is None
        and not place.item.spined
        and len(place.path) == 1
        and name.startswith(f"{place.cube}.")
    ]


def own_dimensions(world: World, cube: str) -> list[tuple[str, Dimension]]:
    """Return the dimensions of a cube, under its own name."""
    return [(f"{cube}.{item.name}", item) for item in world.cube[cube].dimensions]


def hides(world: World) -> bool:
    """Whether members of some cubes take away rows: what is asked beside others then matters."""
    return any(cube.hides for cube in world.cubes)


def reads_switch(world: World, asked: Asked) -> bool:
    """Whether a dimension stands for several values in each row."""
    places = (world.places[name] for name in asked.dimensions)
    return any(switches_below(world, place.cube, place.item) for place in places)


def repeats(world: World, asked: Asked, cube: str) -> bool:
    """Whether the joins of the query may repeat rows of the cube; also when there are none."""
    try:
        (tree,) = Evaluator(world, asked).trees().values()
    except Refused:
        return True
    return any(step.many for step in walk_from(tree, cube))


def total_of(rows: Rows, name: str) -> Decimal:
    """Return the sum of a column."""
    return sum((Decimal(row[name]) for row in rows if row[name] is not None), Decimal(0))


def test_a_dimension_never_changes_an_additive_total(sessions: list[Session]) -> None:
    held = 0
    for random, session, asked in draw(sessions, "dimension"):
        measures = additive(session.world)
        if not measures or not (asked.dimensions or asked.times) or hides(session.world):
            continue
        name, place = random.choice(measures)
        cut = tuple(dataclasses.replace(item, range=None) for item in asked.times)
        parted = Asked((name,), asked.dimensions, cut, order=())
        if not parted.dimensions and not any(item.granularity for item in cut):
            continue
        if repeats(session.world, parted, place.cube) or reads_switch(session.world, parted):
            continue
        parts, whole = ask(session, parted), ask(session, Asked((name,)))
        if parts is not None and whole is not None:
            held += 1
            assert total_of(parts, name) == total_of(whole, name), tell(session, parted)
    assert held > 15, held


def test_a_neighbour_never_changes_a_value_nor_removes_a_group(sessions: list[Session]) -> None:
    held = 0
    for random, session, asked in draw(sessions, "neighbour"):
        measures = [
            name for name, place in session.world.places.items() if isinstance(place.item, Measure)
        ]
        if hides(session.world):
            continue
        own = {name.partition(".")[0] for name in (*asked.measures, *asked.dimensions)}
        near = [name for name in measures if ("sight" in own) == name.startswith("sight.")]
        alone = dataclasses.replace(
            asked, filters=row_filters(session.world, asked.filters), order=()
        )
        beside = dataclasses.replace(
            alone, measures=tuple(dict.fromkeys([*alone.measures, random.choice(near)]))
        )
        first, both = ask(session, alone), ask(session, beside)
        if not alone.measures or first is None or both is None:
            continue
        held += 1
        keys = [*beside.dimensions]
        keys += [f"{item.member}.{item.granularity}" for item in beside.times if item.granularity]
        found = {tuple(show(row[key]) for key in keys): row for row in both}
        for row in first:
            other = found.get(tuple(show(row[key]) for key in keys))
            assert other is not None, tell(session, alone, beside)
            for name in row:
                empty = row[name] is None and other[name] == 0  # beside measures of stages
                assert show(row[name]) == show(other[name]) or empty, tell(session, alone, beside)
    assert held > 50, held


def row_filters(world: World, filters: Sequence[Filter]) -> tuple[Filter, ...]:
    """Return the filters that are about rows."""

    def about_rows(item: Filter) -> bool:
        if isinstance(item, Nested):
            return all(map(about_rows, item.parts))
        place = world.places.get(item.member)  # what a query makes is not there
        return place is not None and isinstance(place.item, Dimension)

    return tuple(item for item in filters if about_rows(item))


def test_the_order_of_filters_and_of_their_parts_is_irrelevant(sessions: list[Session]) -> None:
    held = 0
    for random, session, asked in draw(sessions, "order"):
        asked = dataclasses.replace(asked, order=())  # noqa: PLW2901 -- no order: a multiset
        turned = dataclasses.replace(asked, filters=turn(random, asked.filters))
        if turned.filters == asked.filters:
            continue
        first, second = ask(session, asked), ask(session, turned)
        assert (first is None) == (second is None), tell(session, asked, turned)
        if first is not None and second is not None:
            held += 1
            assert count_rows(first) == count_rows(second), tell(session, asked, turned)
    assert held > 15, held


def turn(random: Random, filters: Sequence[Filter]) -> tuple[Filter, ...]:
    """Return the filters and all their parts in another order."""
    found: list[Filter] = [
        Nested(item.word, turn(random, item.parts)) if isinstance(item, Nested) else item
        for item in filters
    ]
    random.shuffle(found)
    return tuple(found)


def test_a_view_gives_what_its_cubes_give(sessions: list[Session]) -> None:
    held = 0
    for _, session, asked in draw(sessions, "view"):
        if not asked_of_view(asked) or has_stages_behind(session.world, asked):
            continue
        direct, names = translate(session.world, asked)
        try:
            same = (
                Evaluator(session.world, asked).trees() == Evaluator(session.world, direct).trees()
            )
        except Refused:
            continue
        first, second = ask(session, asked), ask(session, direct)
        if not same or first is None or second is None:
            continue
        held += 1
        renamed = [{rename(names, key): row[key] for key in row} for row in first]
        assert count_rows(renamed) == count_rows(second), tell(session, asked, direct)
    assert held > 12, held


def rename(names: Mapping[str, str], column: str) -> str:
    """Return a column's name, also of what is made of a measure."""
    base, mark, rest = column.partition("__")
    return names.get(column, names.get(base, base) + mark + rest)


def has_stages_behind(world: World, asked: Asked) -> bool:
    """Whether a view's path leads to a measure of stages, inside of which it is followed, too."""
    named = chain(asked.measures, *map(members_in, asked.filters))
    places = [place for name in named if (place := world.places.get(name)) is not None]
    measures = [place for place in places if isinstance(place.item, Measure)]
    return any(len(place.path) > 1 and split(world, [place])[1] for place in measures)


def asked_of_view(asked: Asked) -> bool:
    """Whether the query is about the view."""
    members = (*asked.measures, *asked.dimensions, *(item.member for item in asked.times))
    return any(name.startswith("sight.") for name in members)


def translate(world: World, asked: Asked) -> tuple[Asked, dict[str, str]]:
    """Return the query with the members of the cubes, and the columns' names."""

    def name_of(member: str) -> str:
        base, mark, rest = (member, "", "") if member in world.places else member.partition("__")
        place = world.places[base]
        return f"{place.cube}.{place.item.name}{mark}{rest}"

    def direct(item: Filter) -> Filter:
        if isinstance(item, Nested):
            return Nested(item.word, tuple(map(direct, item.parts)))
        return dataclasses.replace(item, member=name_of(item.member))

    found = dataclasses.replace(
        asked,
        measures=tuple(map(name_of, asked.measures)),
        dimensions=tuple(map(name_of, asked.dimensions)),
        times=tuple(dataclasses.replace(item, member=name_of(item.member)) for item in asked.times),
        filters=tuple(map(direct, asked.filters)),
        segments=tuple(map(name_of, asked.segments)),
        order=(),
        shifted=tuple(
            dataclasses.replace(
                item, measure=name_of(item.measure), time=item.time and name_of(item.time)
            )
            for item in asked.shifted
        ),
        compared=None
        if asked.compared is None
        else dataclasses.replace(
            asked.compared,
            time=asked.compared.time and name_of(asked.compared.time),
            measures=asked.compared.measures and tuple(map(name_of, asked.compared.measures)),
        ),
    )
    names = {name: name_of(name) for name in (*asked.measures, *asked.dimensions)}
    names |= {
        f"{item.member}.{item.granularity}": f"{name_of(item.member)}.{item.granularity}"
        for item in asked.times
    }
    return found, names


def test_limit_and_offset_cut_the_ordered_answer(sessions: list[Session]) -> None:
    held = 0
    for random, session, asked in draw(sessions, "limit"):
        columns = [*asked.dimensions, *asked.measures]
        columns += [f"{item.member}.{item.granularity}" for item in asked.times if item.granularity]
        # By every column: no two rows may change places.
        order = tuple((name, random.random() < 0.5) for name in dict.fromkeys(columns))
        whole = dataclasses.replace(asked, order=order)
        limit, offset = random.randrange(4), random.randrange(3)
        cut = dataclasses.replace(whole, limit=limit, offset=offset)
        everything, some = ask(session, whole), ask(session, cut)
        assert (everything is None) == (some is None), tell(session, whole, cut)
        if everything is not None and some is not None:
            held += len(everything) > 1
            assert some == everything[offset : offset + limit], tell(session, whole, cut)
    assert held > 12, held


def test_a_condition_and_its_opposite_part_the_rows(sessions: list[Session]) -> None:
    """Rows whose member is null belong to the opposite."""
    held = 0
    for random, session, _ in draw(sessions, "opposite"):
        measures = additive(session.world)
        if not measures:
            continue
        name, place = random.choice(measures)
        member, dimension = random.choice(own_dimensions(session.world, place.cube))
        condition = make_filter(random, member, dimension.type)
        if condition.operator not in _OPPOSITES or reads_switch(
            session.world, Asked((), (member,))
        ):
            continue
        values = tuple(value for value in condition.values if value is not None) or ("true",)
        if not all(condition.values) or None in condition.values:
            continue
        found = [
            ask(session, Asked((name,), filters=(Compares(member, operator, values),)))
            for operator in (condition.operator, _OPPOSITES[condition.operator])
        ]
        limited = Asked((name,), filters=(Compares(member, "set"),))
        if repeats(session.world, limited, place.cube):
            continue
        whole = ask(session, Asked((name,)))
        if whole is not None and found[0] is not None and found[1] is not None:
            held += 1
            parts = total_of(found[0], name) + total_of(found[1], name)
            assert parts == total_of(whole, name), f"{name} {condition}"
    assert held > 12, held


def test_the_days_of_a_range_sum_to_the_range(sessions: list[Session]) -> None:
    first, last = date(2023, 12, 31), date(2024, 4, 1)
    edges = [first + timedelta(days=number) for number in (0, 1, 2, 60, 61, 70, 71, 91, 92, 93)]
    assert edges[-1] == last + timedelta(days=1)
    held = 0
    for session in sessions:
        name, place = next(iter(additive(session.world)), ("", None))
        if place is None:
            continue
        for member, zone in (("seen", "America/New_York"), ("born", "UTC")):
            time = f"{place.cube}.{member}"
            ranges = [(start, end - timedelta(days=1)) for start, end in pairwise(edges)]
            parts = sum(total_within(session, name, time, zone, part) for part in ranges)
            assert parts == total_within(session, name, time, zone, (first, last))
            held += 1
    assert held > 20, held


def total_within(
    session: Session, name: str, time: str, zone: str, days: tuple[date, date]
) -> Decimal:
    """Return a total over days."""
    timed = Timed(time, None, (days[0].isoformat(), days[1].isoformat()))
    return total_of(session.ask(Asked((name,), times=(timed,), timezone=zone)), name)
