"""Rollups say what the rows say: the long run is `python -m tests.property.rollups 10000`.

Each world of the soundness cases gets pre-aggregations, made at random of what its queries ask. Two
layers answer every query: one over the rows only, which the other tests hold to the rules, and one
that also has the tables of these pre-aggregations. They have to say the same, refusals included.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import click
import yaml
from rich.progress import Progress

from semantic.errors import DucatError
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer
from tests.property.ask import CALLER, DEFECTS, NOW
from tests.property.cases import PER_WORLD, SEED, make_case_query, make_case_world
from tests.property.compare import count_rows, show
from tests.property.model import Cube, Dimension, Place, Segment, World
from tests.property.model_text import write_model, write_seed
from tests.property.queries import Asked, members_in, write_query
from tests.unit.semantic.rollups.build import build_rollups

_TYPED: Final = frozenset({"count", "count_distinct", "sum", "avg", "min", "max"})
_FINE: Final = ("minute", "hour", "day", "day", "day", "week", "month", "year")
Answered = tuple[list[dict[str, Any]], int | None] | str


def make_rollups(chance: Random, world: World, asked: list[Asked]) -> dict[str, list[Any]]:
    """Return pre-aggregations by cube: what queries ask, with something more, less or finer."""
    found: dict[str, list[Any]] = {}
    for number, query in enumerate(asked):
        if chance.random() < 0.3:  # each world has a few, so that they are built quickly
            continue
        for cube in _facts(world, query):
            item = _make_rollup(chance, world, cube, query)
            if item is not None:
                found.setdefault(cube.name, []).append({"name": f"by_{number}"} | item)
    return found


def _facts(world: World, query: Asked) -> list[Cube]:
    names = dict.fromkeys(
        place.cube
        for name in (*query.measures, *query.dimensions, *(item.member for item in query.times))
        if (place := world.places.get(name)) is not None
    )
    declared = {cube.name: cube for cube in world.cubes}
    return [declared[name] for name in names if name in declared]


def _make_rollup(chance: Random, world: World, cube: Cube, query: Asked) -> dict[str, Any] | None:
    asked = {name.partition(".")[2] for name in query.measures}
    measures = [
        item.name
        for item in cube.measures
        if item.stage is None and item.window is None and item.semi is None
        if item.name in asked or chance.random() < (0.6 if item.type in _TYPED else 0.1)
    ]
    dimensions: dict[str, None] = {}
    times: dict[str, str] = {}
    segments: dict[str, None] = {}
    cuts = {item.member: item.granularity for item in query.times}
    for name in _named(world, cube, query):
        place = world.places.get(name)
        if place is None or chance.random() < 0.03:
            continue
        text = _refer(cube, place)
        match place.item:
            case Segment():
                segments[text] = None
            case Dimension(type="time") if chance.random() < 0.8:
                cut = cuts.get(name) if chance.random() < 0.4 else None
                times[text] = cut or chance.choice(_FINE)
            case Dimension(sub_query=False, values=()):
                dimensions[text] = None
            case _:
                pass
    found: dict[str, Any] = {
        "measures": measures,
        "dimensions": list(dimensions),
        "segments": list(segments),
        "time_dimensions": [{"dimension": name, "granularity": cut} for name, cut in times.items()],
    }
    return {key: value for key, value in found.items() if value} or None


def _named(world: World, cube: Cube, query: Asked) -> Iterator[str]:
    """Yield the names of what decides about groups and rows, by policies too."""
    yield from query.dimensions
    yield from (name for item in query.filters for name in members_in(item))
    yield from (item.member for item in query.times)
    yield from query.segments
    for other in (cube, *world.cubes):
        for policy in other.policies if other is cube or other.name in _cubes(world, query) else ():
            yield from (name for item in policy.filters for name in members_in(item))


def _cubes(world: World, query: Asked) -> set[str]:
    return {world.places[name].cube for name in query.dimensions if name in world.places}


def _refer(cube: Cube, place: Place) -> str:
    if place.cube == cube.name:
        return place.item.name
    if place.path[0] == cube.name:
        steps = (step.rpartition(".")[2] for step in place.path[1:])  # roles by their own names
        return ".".join((cube.name, *steps, place.item.name))
    return f"{place.cube}.{place.item.name}"


def write_rolled_model(world: World, rollups: dict[str, list[Any]]) -> str:
    """Return the model's YAML with the pre-aggregations."""
    document = yaml.safe_load(write_model(world))
    for cube in document["cubes"]:
        if cube["name"] in rollups:
            cube["pre_aggregations"] = rollups[cube["name"]]
    return str(yaml.safe_dump(document, sort_keys=False, width=120))


@dataclass(slots=True)
class Pair:
    """A layer over rows only, and one with rollups."""

    raw: SemanticLayer
    rolled: SemanticLayer
    model: str
    seed: str


@contextmanager
def open_pair(number: int, seed: str = SEED) -> Iterator[tuple[Pair, World, list[Asked]]]:
    """Lend both layers over the world of a case, with its queries."""
    world = make_case_world(number, seed)
    start = number // PER_WORLD * PER_WORLD
    asked = [make_case_query(place, world, seed) for place in range(start, start + PER_WORLD)]
    model = write_rolled_model(world, make_rollups(Random(f"{seed}/{start}/rollups"), world, asked))
    text = write_seed(world)
    with tempfile.TemporaryDirectory(prefix="ducat-rollups-") as folder:
        raw = open_layer(Path(folder) / "raw", write_model(world), text)
        rolled = open_layer(Path(folder) / "rolled", model, text)
        try:
            zones = sorted({"UTC", *(item.timezone for item in asked)})
            build_rollups(rolled, Path(folder) / "rolled" / "serving", zones)
            yield Pair(raw, rolled, model, text), world, asked
        finally:
            raw.close()
            rolled.close()


def ask(layer: SemanticLayer, asked: Asked) -> Answered:
    """Return rows and total, or the code of the refusal."""
    try:
        result = layer.load(parse_json(write_query(asked)), CALLER, now=NOW)
    except DucatError as refused:
        return refused.code
    except DEFECTS as defect:
        return f"{type(defect).__name__}: {defect}"
    return result.table.to_pylist(), result.total


def find_difference(asked: Asked, one: Answered, other: Answered) -> str | None:
    """Return how the answer from rollups differs from the one from rows."""
    if "query_timeout" in (one, other):
        return None  # as much to compute as the machine lets it: nothing is said of rollups
    if isinstance(one, str) or isinstance(other, str):
        return None if one == other else f"{other} in place of {one}"[:300]
    rows, found = one[0], other[0]
    if one[1] != other[1]:
        return f"a total of {other[1]} in place of {one[1]}"
    if count_rows(rows) != count_rows(found):
        # Where a limit cuts within equal rows, any of them may be shown.
        if asked.limit is None and not asked.offset:
            return f"other rows: {count_rows(found) - count_rows(rows)}"[:600]
        if len(rows) != len(found):
            return f"{len(found)} rows in place of {len(rows)}"
    for name, _ in asked.order or ():
        if (
            rows
            and name in rows[0]
            and [show(r[name]) for r in rows] != [show(r[name]) for r in found]
        ):
            return f"another order of {name}"
    return None


def is_rolled(layer: SemanticLayer, asked: Asked) -> tuple[str, ...]:
    """Return the rollups that the query is answered from."""
    try:
        return layer.compile(parse_json(write_query(asked)), CALLER, now=NOW).rollups
    except DucatError:
        return ()


@dataclass(slots=True)
class Tally:
    """How many cases came out how."""

    cases: int = 0
    rolled: int = 0
    refused: int = 0
    differences: int = 0
    whys: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.cases} cases, {self.rolled} answered from rollups, {self.refused} refused by "
            f"both, {self.differences} differences"
        )


@click.command()
@click.argument("count", type=int, default=10_000)
@click.option("--first", type=int, default=0, help="The number of the first case.")
@click.option("--show", "shown", type=int, default=3, help="How many differences to print whole.")
@click.option("--seed", default=SEED, help="Another seed makes other cases.")
def main(count: int, first: int, shown: int, seed: str) -> None:
    """Ask COUNT random queries of rollups and of rows."""
    tally = Tally()
    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("cases", total=count)
        for start in range(first, first + count, PER_WORLD):
            with open_pair(start, seed) as (pair, _, queries):
                for place, asked in enumerate(queries):
                    one, other = ask(pair.raw, asked), ask(pair.rolled, asked)
                    why = find_difference(asked, one, other)
                    used = is_rolled(pair.rolled, asked)
                    tally.cases += 1
                    tally.rolled += bool(used)
                    tally.refused += isinstance(one, str)
                    progress.advance(task)
                    if why is None:
                        continue
                    tally.differences += 1
                    click.echo(f"=== case {start + place} ({', '.join(used)}): {why}")
                    if tally.differences <= shown:
                        sql = pair.rolled.compile(parse_json(write_query(asked)), CALLER, now=NOW)
                        click.echo(
                            f"{json.dumps(write_query(asked))}\n-- model\n{pair.model}\n-- seed\n"
                            f"{pair.seed}\n-- rows\n{one}\n-- rollups\n{other}\n{sql.sql}\n{sql.values}"
                        )
    click.echo(str(tally))
    sys.exit(1 if tally.differences else 0)


if __name__ == "__main__":
    main()
