"""Random cubes over a schema: joins declared on either side or both, members of every simple kind."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from random import Random

from tests.property.expressions import (
    Aggregate,
    Call,
    Column,
    Constant,
    Expression,
    Function,
    Member,
    call,
)
from tests.property.make_calendar import with_calendar
from tests.property.make_kinds import with_kinds
from tests.property.make_policies import with_policies
from tests.property.make_roles import with_named_join
from tests.property.make_schema import COLUMNS, Link, make_schema
from tests.property.make_stages import with_stages
from tests.property.model import (
    Case,
    Cube,
    Dimension,
    DimensionType,
    Granularity,
    Join,
    Measure,
    Relationship,
    Segment,
    View,
    ViewPart,
    World,
    items_of,
)

_TYPES: dict[str, DimensionType] = {
    "BIGINT": "number",
    "VARCHAR(9)": "string",
    "DECIMAL(10, 2)": "number",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "time",
    "DATE": "time",
}

_CUSTOM = (
    Granularity("half", 6, "month", origin=date(2023, 4, 1)),
    Granularity("fiscal", 1, "year", offset=(1, "month")),
    Granularity("fortnight", 2, "week", origin=date(2024, 1, 3)),
    Granularity("sunday", 1, "week", offset=(-1, "day")),
    Granularity("shift", 8, "hour", offset=(2, "hour")),
    Granularity("season", 3, "month", offset=(2, "month")),
    Granularity("tens", 10, "day", origin=date(2024, 2, 28)),
)


def make_world(random: Random) -> World:
    """Return tables, cubes over them, and views of the cubes."""
    schema = make_schema(random)
    cubes = {name: Cube(name, f"t_{name}") for name in schema.keys}
    for link in schema.links:
        if link.parent == link.child:
            cubes[f"over_{link.parent}"] = Cube(f"over_{link.parent}", f"t_{link.parent}")
    for name, cube in cubes.items():
        where = make_condition(random, name, ()) if random.random() < 0.1 else None
        bare = None if where is None else _bare(where)
        dimensions = tuple(_plain_dimensions(random, name, schema.keys[cube.table[2:]]))
        cubes[name] = dataclasses.replace(cube, where=bare, dimensions=dimensions)
    for link in schema.links:
        _declare(random, cubes, link)
    reached = {name: _reached(cubes, name) for name in cubes}
    for name, cube in cubes.items():
        others = [other for other in reached[name] if other != name]
        cubes[name] = _with_rows_members(random, cube, others)
    for name, cube in cubes.items():
        others = [other for other in reached[name] if other != name]
        joined = bool(cube.joins) or any(name in reached[other] for other in cubes if other != name)
        cubes[name] = _with_measures(random, cube, others, joined=joined)
    for name, cube in cubes.items():
        if cube.key:
            others = [other for other in reached[name] if other != name]
            cubes[name] = _with_calculated(random, cubes, name, others)
    _add_sub_queries(random, cubes, reached)
    cubes = {name: with_stages(random, with_kinds(random, cube)) for name, cube in cubes.items()}
    return _complete(random, World(schema.tables, tuple(cubes.values())))


def _complete(random: Random, world: World) -> World:
    """Return the world with policies, named joins and views, now and then."""
    if random.random() < 0.25:
        world = with_calendar(random, world)
    if random.random() < 0.45:
        world = with_policies(random, world)
    if random.random() < 0.25:
        world = with_named_join(random, world)
    views = tuple(view for view in [_make_view(random, world)] if view is not None)
    return dataclasses.replace(world, views=views)


def _reached(cubes: dict[str, Cube], name: str) -> list[str]:
    found = [name]
    for cube in found:
        found += [join.target for join in cubes[cube].joins if join.target not in found]
    return found


def _bare(item: Expression) -> Expression:
    """Return the expression with bare columns, for a cube's own SQL."""
    match item:
        case Column():
            return dataclasses.replace(item, bare=True)
        case Call():
            return Call(item.name, tuple(map(_bare, item.operands)))
        case _:
            return item


# -------------------------------------------------------------------------- joins


def _declare(random: Random, cubes: dict[str, Cube], link: Link) -> None:
    parent = f"over_{link.parent}" if link.parent == link.child else link.parent
    sides = random.choices((("child",), ("parent",), ("child", "parent")), (5, 3, 2))[0]
    down: Relationship = "one_to_one" if link.single else "one_to_many"
    up: Relationship = "one_to_one" if link.single else "many_to_one"
    for side in sides:
        own, target, kind = (
            (link.child, parent, up) if side == "child" else (parent, link.child, down)
        )
        equal: list[Expression] = []
        for column, key in link.columns:
            right: Expression = Column(parent, key)
            if random.random() < 0.4:
                right = Member(parent, key)
            pair = [Column(link.child, column), right]
            equal.append(call("=", *(pair if own == link.child else reversed(pair))))
        if random.random() < 0.07:
            equal.append(Column(target, "flag"))
        on = equal[0] if len(equal) == 1 else call("and", *equal)
        joins = (*cubes[own].joins, Join(target, kind, on))
        cubes[own] = dataclasses.replace(cubes[own], joins=joins)


# -------------------------------------------------------------------------- members of rows


def _plain_dimensions(random: Random, cube: str, key: tuple[str, ...]) -> list[Dimension]:
    found = [
        Dimension(
            name,
            "string" if name == "k2" else "number",
            Column(cube, name, bare=random.random() < 0.5),
            primary_key=True,
        )
        for name in key
    ]
    found += [
        Dimension(
            name,
            _TYPES[type_],
            Column(cube, name, bare=random.random() < 0.5),
            granularities=make_granularities(random) if _TYPES[type_] == "time" else (),
        )
        for name, type_ in COLUMNS
    ]
    return found


def make_granularities(random: Random) -> tuple[Granularity, ...]:
    """Return granularities of the model, now and then."""
    return tuple(random.sample(_CUSTOM, random.choices((0, 1, 2), (5, 2, 1))[0]))


def make_condition(random: Random, cube: str, others: list[str] | tuple[()]) -> Expression:
    """Return a condition on a row of the cube, now and then on what it is joined to."""
    of = random.choice(others) if others and random.random() < 0.25 else cube
    simple: list[Expression] = [
        Column(of, "flag"),
        call(">", Column(of, "qty"), Constant(random.choice((0, 1, 2)))),
        call("=", Column(of, "label"), Constant(random.choice(("a", "b")))),
        call("is null", Column(of, "kind")),
        call("is not null", Column(of, "amount")),
        call("<>", Column(of, "kind"), Constant("x")),
    ]
    first, second = random.sample(simple, 2)
    match random.randrange(8):
        case 0:
            return call("or", first, second)
        case 1:
            return call("and", first, second)
        case 2:
            return call("not", first)
        case _:
            return first


def _read(random: Random, own: str, of: str, name: str) -> Expression:
    if random.random() < 0.5:
        return Member(of, name, bare=of == own and random.random() < 0.5)
    return Column(of, name)


def _with_rows_members(random: Random, cube: Cube, others: list[str]) -> Cube:
    own = cube.name
    made: list[Dimension] = []
    for index in range(random.randrange(1, 4)):
        of = random.choice(others) if others and random.random() < 0.4 else own
        name = f"d{index}"
        match random.randrange(7):
            case 0:
                branches = tuple(
                    (make_condition(random, own, others), _label(random, own, of))
                    for _ in range(random.randrange(1, 3))
                )
                otherwise = _label(random, own, of) if random.random() < 0.6 else None
                made.append(Dimension(name, "string", Case(branches, otherwise)))
            case 1:
                total = call("+", _read(random, own, own, "qty"), _read(random, own, of, "qty"))
                made.append(Dimension(name, "number", total))
            case 2:
                text = call("coalesce", _read(random, own, of, "label"), Constant("none"))
                made.append(Dimension(name, "string", text))
            case 3:
                test = call(">", _read(random, own, own, "qty"), _read(random, own, of, "qty"))
                made.append(Dimension(name, "boolean", test))
            case 4:
                joined = call(
                    "||", _read(random, own, own, "kind"), _read(random, own, of, "label")
                )
                made.append(Dimension(name, "string", joined))
            case _:
                read, type_ = random.choice(COLUMNS)
                made.append(Dimension(name, _TYPES[type_], _read(random, own, of, read)))
    segments = tuple(
        Segment(f"s{index}", make_condition(random, own, others))
        for index in range(random.randrange(3))
    )
    return dataclasses.replace(cube, dimensions=(*cube.dimensions, *made), segments=segments)


def _label(random: Random, own: str, of: str) -> str | Expression:
    if random.random() < 0.3:
        return _read(random, own, of, "label")
    return random.choice(("low", "high", "it's"))


# -------------------------------------------------------------------------- measures


def _with_measures(random: Random, cube: Cube, others: list[str], *, joined: bool) -> Cube:
    own = cube.name
    of = random.choice(others) if others and random.random() < 0.2 else own

    def filters() -> tuple[Expression, ...]:
        count = random.choices((0, 1, 2), (5, 3, 1))[0]
        return tuple(make_condition(random, own, others) for _ in range(count))

    amount, quantity = _read(random, own, own, "amount"), _read(random, own, of, "qty")
    product = call("*", Column(own, "qty"), Column(own, "amount"))
    patched = call("coalesce", Column(own, "amount"), Constant(Decimal("0.5")))
    always = [
        Measure("smallest", "min", quantity, filters()),
        Measure(
            "largest", "max", _read(random, own, own, random.choice(("qty", "amount"))), filters()
        ),
        Measure("labels", "count_distinct", _read(random, own, own, "label"), filters()),
        Measure("last", "string", Aggregate("max", Column(own, "label")), values="string"),
        Measure("some", "boolean", Aggregate("bool_or", Column(own, "flag")), values="boolean"),
        Measure("newest", "max", Column(own, "label"), filters(), values="string"),
    ]
    keyed = [
        Measure("total", "sum", random.choice((amount, product, patched)), filters()),
        Measure("pieces", "sum", quantity, filters()),
        Measure("mean", "avg", random.choice((amount, quantity)), filters()),
        Measure("flags", "count", _read(random, own, own, "flag"), filters()),
        Measure("chosen", "count", None, (make_condition(random, own, others),)),
        Measure("mixed", "number", _aggregate_sql(random, own)),
    ]
    count = Measure("count", "count", None)
    if joined and not cube.key:
        measures = random.sample(always, 3)
    else:
        measures = [count, *random.sample(keyed, 3), *random.sample(always, 2)]
    return dataclasses.replace(cube, measures=tuple(measures))


def _aggregate_sql(random: Random, own: str) -> Expression:
    functions: tuple[Function, ...] = ("sum", "min", "max", "count", "count_distinct")
    first = Aggregate(random.choice(functions), Column(own, random.choice(("qty", "amount"))))
    if random.random() < 0.5:
        return call("+", first, Aggregate("count", None))
    second = call("nullif", Aggregate("count", None), Constant(0))
    return call("/", Aggregate("sum", Column(own, "qty")), second)


def _with_calculated(random: Random, cubes: dict[str, Cube], own: str, others: list[str]) -> Cube:
    cube = cubes[own]
    made: list[Measure] = []
    for index in range(random.randrange(3)):
        of = random.choice(others) if others and random.random() < 0.5 else own
        left, right = (
            Member(name, random.choice(usable).name, bare=random.random() < 0.3)
            if (usable := [item for item in cubes[name].measures if item.values == "number"])
            else None
            for name in (own, of)
        )
        if left is None or right is None:
            continue
        name = f"r{index}"
        match random.randrange(4):
            case 0:
                made.append(Measure(name, "number", call("+", left, right)))
            case 1:
                ratio = call("/", left, call("nullif", right, Constant(0)))
                made.append(Measure(name, "number", ratio))
            case 2:
                patched = call("coalesce", right, Constant(0))
                made.append(Measure(name, "number", call("-", left, patched)))
            case _:
                test = call(">", left, right)
                made.append(Measure(name, "boolean", test, values="boolean"))
    return dataclasses.replace(cube, measures=(*cube.measures, *made))


def _add_sub_queries(random: Random, cubes: dict[str, Cube], reached: dict[str, list[str]]) -> None:
    for name in list(cubes):
        near = [other for other in cubes if other in reached[name] or name in reached[other]]
        near.remove(name)
        if cubes[name].key and near and random.random() < 0.3:
            cubes[name] = _with_sub_query(random, cubes, name, near)


def _with_sub_query(random: Random, cubes: dict[str, Cube], own: str, near: list[str]) -> Cube:
    """Add a dimension over another cube's measure, and members over that dimension."""
    cube = cubes[own]
    of = cubes[random.choice(near)]
    usable = [item for item in of.measures if not item.name.startswith("over")]
    measure = random.choice(usable)
    made = Dimension(
        "sub",
        measure.values,
        Member(of.name, measure.name),
        sub_query=True,
        propagates=random.random() < 0.3,
    )
    dimensions, measures = [made], list(cube.measures)
    if measure.values == "number":
        test = call(">", Member(own, "sub"), Constant(1))
        dimensions.append(Dimension("band", "string", Case(((test, "many"),), "few")))
        measures.append(Measure("over_sum", "sum", Member(own, "sub")))
        measures.append(Measure("over_max", "max", Member(own, "sub", bare=True)))
        measures.append(Measure("over_count", "count", None, (test,)))
    return dataclasses.replace(
        cube, dimensions=(*cube.dimensions, *dimensions), measures=tuple(measures)
    )


# -------------------------------------------------------------------------- views


def _make_view(random: Random, world: World) -> View | None:
    starting = [cube.name for cube in world.cubes if cube.joins]
    if not starting or random.random() < 0.3:
        return None
    joined: set[str] = set()
    paths = _lead(random, world, random.choice(starting), joined)
    if random.random() < 0.35:
        others = [name for name in starting if name not in joined]
        if others:
            paths += _lead(random, world, random.choice(others), joined)
    parts = [ViewPart(paths[0])]
    for path in paths[1:]:
        last = path[-1].rpartition(".")[2]
        prefix = f"{last}_" if random.random() < 0.7 else f"via_{last}_"
        if any(part.prefix == prefix for part in parts):
            prefix = f"too_{prefix}"
        includes = None
        if random.random() < 0.3:
            cube = world.cube[path[-1]]
            names = [item.name for item in items_of(cube)]
            includes = tuple(random.sample(names, min(4, len(names))))
        parts.append(ViewPart(path, prefix, includes))
    return View("sight", tuple(parts))


def _lead(random: Random, world: World, root: str, joined: set[str]) -> list[tuple[str, ...]]:
    """Return paths from a root to cubes that are not there yet."""
    paths: list[tuple[str, ...]] = [(root,)]
    joined.add(root)
    for path in paths:
        for join in world.cube[path[-1]].joins:
            if join.target not in joined and random.random() < 0.8:
                joined.add(join.target)
                paths.append((*path, join.target))
    return paths
