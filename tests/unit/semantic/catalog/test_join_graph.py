"""Join trees: Cube's choice of the root, shortest paths, refusals, and who is multiplied."""

from __future__ import annotations

import pytest

from semantic.catalog.catalog import Expression, Join, Relationship
from semantic.catalog.join_graph import JoinGraph
from semantic.errors import AmbiguousJoinPathError, NoJoinPathError

SIGNS: dict[str, Relationship] = {">": "many_to_one", "<": "one_to_many", "=": "one_to_one"}


def graph(*edges: str) -> JoinGraph:
    """`a>b`: a declares many_to_one to b; `a<b`: one_to_many; `a=b`: one_to_one."""
    joins: dict[str, dict[str, Join]] = {}
    for edge in edges:
        sign = next(sign for sign in SIGNS if sign in edge)
        source, target = edge.split(sign)
        joins.setdefault(target, {})
        joins.setdefault(source, {})[target] = Join(source, target, SIGNS[sign], Expression(()))
    return JoinGraph(joins)


SALES = graph("items>orders", "items>products", "orders>customers", "customers<orders")


@pytest.mark.parametrize(
    ("cubes", "root", "hops"),
    [
        (["orders"], "orders", []),
        (["orders", "customers"], "orders", ["customers"]),
        (["customers", "orders"], "customers", ["orders"]),
        (["customers", "items"], "items", ["orders", "customers"]),
        (["products", "customers", "items"], "items", ["products", "orders", "customers"]),
        (["orders", "orders", "customers"], "orders", ["customers"]),
    ],
)
def test_the_root_is_the_mentioned_cube_with_the_fewest_joins_the_first_of_equals(
    cubes: list[str], root: str, hops: list[str]
) -> None:
    tree = SALES.find_tree(cubes)
    assert tree.root == root
    assert [hop.target for hop in tree.hops] == hops


def test_every_hop_starts_at_a_cube_that_is_joined_already() -> None:
    tree = SALES.find_tree(["customers", "products", "items"])
    joined = {tree.root}
    for hop in tree.hops:
        assert hop.source in joined
        joined.add(hop.target)


def test_a_root_that_nobody_mentioned_is_never_chosen() -> None:
    with pytest.raises(NoJoinPathError, match=r"customers.*products|products.*customers"):
        SALES.find_tree(["customers", "products"])


def test_equally_short_ways_are_refused_with_both_printed() -> None:
    diamond = graph("f>o", "f>d", "o>region", "d>region")
    with pytest.raises(AmbiguousJoinPathError, match="f -> o -> region or f -> d -> region"):
        diamond.find_tree(["f", "region"])


def test_a_shorter_way_is_not_ambiguous() -> None:
    diamond = graph("f>o", "o>region", "f>region")
    assert [hop.source for hop in diamond.find_tree(["f", "region"]).hops] == ["f"]


def test_a_view_path_decides_what_would_be_ambiguous_or_longer() -> None:
    diamond = graph("f>o", "f>d", "o>region", "d>region", "f>region")
    tree = diamond.find_tree(["f", "region"], [("f", "d", "region")])
    assert [(hop.source, hop.target) for hop in tree.hops] == [("f", "d"), ("d", "region")]


def test_view_paths_that_reach_one_cube_in_two_ways_are_refused() -> None:
    diamond = graph("f>o", "f>d", "o>region", "d>region")
    with pytest.raises(AmbiguousJoinPathError, match="region is reached in two ways"):
        diamond.find_tree([], [("f", "o", "region"), ("f", "d", "region")])


def test_the_root_of_a_view_path_stays_the_root_when_the_join_is_declared_both_ways() -> None:
    both = graph("orders>customers", "customers<orders")
    for path in (("orders", "customers"), ("customers", "orders")):
        assert both.find_tree(["customers", "orders"], [path]).root == path[0]


@pytest.mark.parametrize(
    ("edges", "cubes", "multiplied"),
    [
        (["orders>customers"], ["orders", "customers"], {"customers"}),
        (["customers<orders"], ["customers", "orders"], {"customers"}),
        (["users=profiles"], ["users", "profiles"], set()),
        (["a>b", "b>c"], ["a", "c"], {"b", "c"}),
        (["a>b", "a>c"], ["a", "b", "c"], {"b", "c"}),
        (["a<b", "b<c"], ["a", "c"], {"a", "b"}),
        (["a<b", "a<c"], ["a", "b", "c"], {"a", "b", "c"}),
        (["a<b", "a>c"], ["a", "b", "c"], {"a", "c"}),
        (["a=b", "b<c"], ["a", "c"], {"a", "b"}),
        (["a=b", "a<c"], ["a", "b", "c"], {"a", "b"}),
    ],
)
def test_the_cubes_whose_rows_may_repeat_are_known(
    edges: list[str], cubes: list[str], multiplied: set[str]
) -> None:
    assert graph(*edges).find_tree(cubes).multiplied() == multiplied


def test_the_hops_that_multiply_a_cube_and_the_way_to_it_are_told() -> None:
    tree = graph("a>b", "b>c").find_tree(["a", "c"])
    assert [hop.target for hop in tree.multiplying("c")] == ["b", "c"]
    assert [hop.target for hop in tree.path("c")] == ["b", "c"]
    assert tree.multiplying("a") == tree.path("a") == ()


def test_a_circle_of_joins_ends() -> None:
    circle = graph("a>b", "b>c", "c>a")
    assert [hop.target for hop in circle.find_tree(["a", "c"]).hops] == ["a"]
