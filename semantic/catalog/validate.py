"""Rules about the linked model as a whole. Each is a function that returns Problems; none raises.

A rule sees cubes whose snippets may be empty because they had problems of their own: it must not
mind. What has to be gathered from the members of a cube stands in its `Facts`, which are gathered
only when the cube changes: a rule that walks all members of all cubes makes every reload slow. Add
a rule by adding a function to RULES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from semantic.catalog.catalog import Cube, CubeSource
from semantic.catalog.check_kinds import find_kind_problems
from semantic.catalog.facts import Facts, list_facts
from semantic.catalog.join_graph import JoinGraph
from semantic.errors import Problem, suggest

_MASKED: Final = "a mask reads its own member as masked: let it read columns, as {CUBE}.column"


@dataclass(frozen=True, slots=True)
class Model:
    """What the rules look at: the cubes, which find roles, their joins, the facts of each."""

    cubes: Mapping[str, Cube]
    graph: JoinGraph
    facts: Mapping[str, Facts]


Rule = Callable[[Model], Iterator[Problem]]

_NEEDS_KEY: Final = frozenset({"sum", "avg", "count", "number", "number_agg"})


def find_problems(
    cubes: Mapping[str, Cube], graph: JoinGraph, facts: Mapping[str, Facts] | None = None
) -> list[Problem]:
    """Return what every rule finds. `facts` that are known need not be gathered."""
    if facts is None:
        facts = {name: list_facts(cube) for name, cube in cubes.items()}
    model = Model(cubes, graph, facts)
    return [problem for rule in RULES for problem in rule(model)]


def find_empty_cubes(model: Model) -> Iterator[Problem]:
    """A cube without dimensions, measures and segments answers nothing."""
    for cube in model.cubes.values():
        if not (cube.dimensions or cube.measures or cube.segments):
            yield Problem("empty_cube", f"cube {cube.name} has no members", cube.span)


def find_bad_joins(model: Model) -> Iterator[Problem]:
    """A join leads to another cube that exists, and its condition is about these two."""
    for cube in model.cubes.values():
        for name, join in cube.joins.items():
            base = join.base or join.target
            if base not in model.cubes:
                yield Problem(
                    "unknown_cube",
                    f"join of {cube.name} to `{base}`: there is no such cube",
                    join.span,
                    suggest(base, model.cubes),
                )
                continue
            if join.target == cube.name:
                yield Problem(
                    "invalid_join",
                    f"{cube.name} joins itself",
                    join.span,
                    f"give the join a name of its own: `name: manager`, `cube: {cube.name}`",
                )
                continue
            if not join.sql.parts:
                continue
            named = model.facts[cube.name].joined[name]
            for other in sorted(named - {cube.name, join.target}):
                yield Problem(
                    "invalid_join",
                    f"the join of {cube.name} to {join.target} refers to {other}",
                    join.sql.span,
                    "a join is about its two cubes only",
                )
            if not {cube.name, join.target} <= named:
                yield Problem(
                    "invalid_join",
                    f"the join of {cube.name} to {join.target} does not compare the two",
                    join.sql.span,
                    f"write {{CUBE}}.column = {{{join.target}}}.column",
                )


def find_missing_keys(model: Model) -> Iterator[Problem]:
    """A cube that takes part in a join needs a primary key, or its measures could double count."""
    joined: dict[str, str] = {}
    for cube in model.cubes.values():
        for join in cube.joins.values():
            base = join.base or join.target
            if base in model.cubes:
                joined.setdefault(cube.name, base)
                joined.setdefault(base, cube.name)
    for name, other in joined.items():
        if model.facts[name].keys:
            continue
        cube = model.cubes[name]
        additive = [item.name for item in cube.measures.values() if item.type in _NEEDS_KEY]
        if additive:
            yield Problem(
                "missing_primary_key",
                f"{name} is joined with {other}, so {additive[0]} needs a primary key of {name} "
                "to count no row twice",
                cube.span,
                "mark the dimensions that identify a row with `primary_key: true`",
            )


def find_geo_keys(model: Model) -> Iterator[Problem]:
    """A primary key is a plain value."""
    for facts in model.facts.values():
        for dimension in facts.keys:
            if dimension.type == "geo":
                yield Problem(
                    "invalid_value",
                    f"{dimension.cube}.{dimension.name} is geo: it cannot be a primary key",
                    dimension.span,
                )


def find_unreachable_references(model: Model) -> Iterator[Problem]:
    """A row may read another cube only when joins lead from one of the two to the other.

    Measures of other cubes are computed apart: whether they can stand together is decided by query.
    """
    reaching: dict[str, frozenset[str]] = {}

    def reaches(source: str, target: str) -> bool:
        if source not in reaching:
            reaching[source] = model.graph.reachable(source)
        return target in reaching[source]

    for name, facts in model.facts.items():
        for found in facts.others:
            owner = model.cubes.get(found.cube)
            if owner is None or "." in found.cube or found.read in owner.measures:
                continue
            if not reaches(name, found.cube) and not reaches(found.cube, name):
                yield Problem(
                    "no_join_path",
                    f"{name}.{found.member} refers to {found.cube}, and no joins connect the two",
                    found.span,
                    f"declare a join from {name} to {found.cube}",
                )


def find_cycles(model: Model) -> Iterator[Problem]:
    """No member refers to itself, also not through others."""
    references: dict[str, tuple[str, ...]] = {}
    for facts in model.facts.values():
        references.update(facts.references)
        if facts.roles:
            for member, named in facts.references.items():
                references[member] = tuple(_in_base(model, name) for name in named)
    done: set[str] = set()
    for start, named in references.items():
        if references.keys().isdisjoint(named):
            continue  # what it names, names nothing: the usual case
        cycle = _find_cycle(start, references, done)
        if cycle is not None:
            owner, member, *_ = cycle[0].split(".")
            cube = model.cubes[owner]
            item = cube.dimensions.get(member) or cube.measures.get(member)
            yield Problem(
                "reference_cycle",
                f"members refer to each other in a circle: {' -> '.join(cycle)}",
                item.span if item else None,
                _MASKED if item is not None and item.mask is not None else None,
            )


def find_wide_masks(model: Model) -> Iterator[Problem]:
    """The SQL of a mask is about one row of its own cube: no join is made for what is hidden."""
    for name, facts in model.facts.items():
        for mask in facts.masks:
            if mask.cubes - {name} or _reads_more(model, name, mask.named):
                yield Problem(
                    "invalid_reference",
                    f"the mask of {name}.{mask.member} reads more than the rows of {name}",
                    mask.span,
                    "let it read columns of its own cube, as {CUBE}.column",
                )


def _reads_more(model: Model, cube: str, named: tuple[str, ...]) -> bool:
    """Whether members, or what their SQL names, are of other cubes or computed from groups."""
    facts, known = model.facts[cube], model.cubes[cube]
    wide = {other.member for other in facts.others}
    left, seen = list(named), set[str]()
    while left:
        full = left.pop()
        if full in seen:
            continue
        seen.add(full)
        owner, member, *_ = full.split(".")
        item = known.dimensions.get(member)
        if owner != cube or member in wide:
            return True
        if item is not None and (item.sub_query or item.multi_stage is not None):
            return True
        left.extend(facts.references.get(full, ()))
    return False


def _in_base(model: Model, member: str) -> str:
    """Return a role's member as its cube's: what refers to itself does so in every role."""
    cube, _, name = member.rpartition(".")
    found = model.cubes.get(cube)
    if found is None:  # a granularity
        cube, _, dimension = cube.rpartition(".")
        found, name = model.cubes.get(cube), f"{dimension}.{name}"
    return member if found is None or found.role_of is None else f"{found.role_of}.{name}"


def _find_cycle(
    start: str, references: Mapping[str, tuple[str, ...]], done: set[str]
) -> list[str] | None:
    """Return a circle reachable from `start`, its first member also last. Iterative: no depth."""
    path: list[str] = []
    on_path: set[str] = set()
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            path.pop()
            on_path.discard(name)
            done.add(name)
            continue
        if name in on_path:
            circle = [*path[path.index(name) :], name]
            done.update(path)
            return circle
        if name in done:
            continue
        path.append(name)
        on_path.add(name)
        stack.append((name, True))
        stack.extend((other, False) for other in references.get(name, ()))
    return None


def find_relation_cycles(model: Model) -> Iterator[Problem]:
    """The `sql` of a cube is not made of itself, also not through `{other.sql()}`."""
    sources: dict[str, tuple[str, ...]] = {}
    for cube in model.cubes.values():
        parts = () if cube.sql is None else cube.sql.parts
        named = tuple(part.cube for part in parts if isinstance(part, CubeSource))
        if named:
            sources[cube.name] = named
    done: set[str] = set()
    for start in sources:
        cycle = _find_cycle(start, sources, done)
        if cycle is not None:
            yield Problem(
                "reference_cycle",
                f"cubes are made of each other in a circle: {' -> '.join(cycle)}",
                model.cubes[cycle[0]].span,
            )


def find_unknown_rollups(model: Model) -> Iterator[Problem]:
    """The rollups that a pre-aggregation is made of exist."""
    for cube in model.cubes.values():
        for item in cube.pre_aggregations:
            for rollup in item.rollups:
                owner, _, name = rollup.rpartition(".")
                other = model.cubes.get(owner)
                known = [] if other is None else [found.name for found in other.pre_aggregations]
                if name not in known:
                    yield Problem(
                        "unknown_reference",
                        f"pre-aggregation `{item.name}`: there is no rollup `{rollup}`",
                        item.span,
                        suggest(name, known),
                    )


def find_bad_kinds(model: Model) -> Iterator[Problem]:
    """Semi-additive and conversion measures are made of what they can be made of."""
    for facts in model.facts.values():
        for measure in facts.kinds:
            yield from find_kind_problems(model.cubes, measure)


RULES: Final[tuple[Rule, ...]] = (
    find_empty_cubes,
    find_bad_joins,
    find_missing_keys,
    find_geo_keys,
    find_unreachable_references,
    find_cycles,
    find_wide_masks,
    find_relation_cycles,
    find_unknown_rollups,
    find_bad_kinds,
)
