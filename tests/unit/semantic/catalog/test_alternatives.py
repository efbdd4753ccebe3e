"""Pairs of cubes with two ways between them are named: as warnings, or as problems when strict."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from semantic.catalog.alternatives import MAXIMUM_SHOWN, describe_alternatives, find_alternatives
from semantic.catalog.load import load_catalog, load_catalog_from_text
from semantic.errors import ModelError
from tests.unit.semantic.catalog.test_join_graph import graph


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        (["f>o", "f>d", "o>r", "d>r"], [("f.o.r", "f.d.r")]),
        (["f>o", "o>r", "f>r"], [("f.r", "f.o.r")]),
        (["f>o", "o>r", "f>r", "r>z", "z>y"], [("f.r", "f.o.r")]),  # not again for z and y
        (["a>f", "f>o", "o>r", "f>r"], [("f.r", "f.o.r")]),  # nor for a
        (["f>o", "o>p", "p>r", "f>d", "d>r"], [("f.d.r", "f.o.p.r")]),
        (["a>b", "b>c", "c>a"], []),
        (["orders>customers", "customers<orders"], []),
        (["f>a", "f>b", "f>c"], []),
        (["f>f.a", "f>f.b"], []),  # two roles are two cubes
    ],
)
def test_the_pairs_at_which_two_ways_part_and_meet_are_found(
    edges: list[str], found: list[tuple[str, str]]
) -> None:
    ways = [
        (".".join(item.shorter), ".".join(item.longer)) for item in find_alternatives(graph(*edges))
    ]
    assert ways == found


def test_thousands_of_pairs_are_counted_not_listed() -> None:
    edges = [edge for number in range(50) for edge in (f"a{number}>b", "b>c", f"a{number}>c")]
    problems = describe_alternatives(graph(*edges))
    assert len(problems) == MAXIMUM_SHOWN + 1
    assert problems[-1].message.startswith("30 more")


MODEL = """
cubes:
  - name: lines
    sql_table: lines
    joins:
      - {name: orders, relationship: many_to_one, sql: "{CUBE}.order_id = {orders}.id"}
      - {name: days, relationship: many_to_one, sql: "{CUBE}.day = {days}.day"}
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
  - name: orders
    sql_table: orders
    joins:
      - {name: days, relationship: many_to_one, sql: "{CUBE}.day = {days}.day"}
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
  - name: days
    sql_table: days
    dimensions: [{name: day, type: time, sql: day, primary_key: true}]
"""


def test_a_model_with_a_longer_way_is_refused_only_when_joins_are_strict() -> None:
    load_catalog_from_text({"m.yml": MODEL})
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({"m.yml": MODEL}, strict_joins=True)
    (problem,) = caught.value.problems
    assert problem.code == "join_alternatives"
    assert (
        problem.message
        == "lines joins days as lines.days, though lines.orders.days leads there too"
    )
    assert problem.span is not None
    assert problem.span.line == 12


@pytest.mark.parametrize(
    ("path", "settled"),
    [("lines.days", True), ("lines.orders.days", False), ("orders.days", False)],
)
def test_a_view_that_goes_the_shorter_way_settles_the_pair(path: str, settled: bool) -> None:
    view = f"views:\n  - name: v\n    cubes:\n      - {{join_path: {path}, includes: [day]}}\n"
    files = {"m.yml": MODEL, "v.yml": view}
    catalog = load_catalog_from_text(files)
    left = describe_alternatives(catalog.join_graph, catalog.views.values())
    assert [item.code for item in left] == ([] if settled else ["join_alternatives"])
    if settled:
        load_catalog_from_text(files, strict_joins=True)
    else:
        with pytest.raises(ModelError):
            load_catalog_from_text(files, strict_joins=True)


def test_a_view_does_not_settle_ways_that_are_equally_short() -> None:
    edges = ["f>o", "f>d", "o>r", "d>r"]
    member = SimpleNamespace(join_path=("f", "o", "r"))
    view: Any = SimpleNamespace(members={"m": member})
    assert len(describe_alternatives(graph(*edges), [view])) == 1


def test_the_shipped_model_is_accepted_with_strict_joins() -> None:
    load_catalog(Path(__file__).parents[4] / "semantic" / "model", strict_joins=True)
