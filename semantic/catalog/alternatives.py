"""Where joins lead from one cube to another in more than one way.

A query follows the shortest way, and refuses when several are equally short. A longer way may be
the one that was meant, so `ducat validate` names such pairs, and with DUCAT_STRICT_JOINS a model
that has any is refused. Only the pairs at which two ways part and meet again are named, with no
cube in common between; what lies before or behind them has the same choice.

A view whose join path goes the shorter way says that this one is meant, and settles the pair: so a fact
and another fact behind it may share a dimension, as facts do. Ways that are equally short stay named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from semantic.catalog.join_graph import JoinGraph, is_role, write_path
from semantic.errors import Problem, Span

if TYPE_CHECKING:
    from semantic.catalog.catalog import Join, View

MAXIMUM_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Alternative:
    """Two ways from one cube to another; `shorter` may be as long as `longer`."""

    shorter: tuple[str, ...]
    longer: tuple[str, ...]


def find_alternatives(graph: JoinGraph) -> Iterator[Alternative]:
    """Yield a pair of ways for each pair of cubes at which two ways part and meet."""
    plain = {
        source: tuple(target for target in targets if not is_role(target))
        for source, targets in graph.joins.items()
    }
    for source, targets in plain.items():
        if len(targets) > 1:
            yield from _find_from(source, plain)


def _find_from(source: str, plain: Mapping[str, tuple[str, ...]]) -> Iterator[Alternative]:
    """Grow the shortest ways from `source`; edges between ways with other first steps close two."""
    first = {target: target for target in plain[source] if target != source}
    ways: dict[str, tuple[str, ...]] = {target: (source, target) for target in first}
    level = list(first)
    closed: set[str] = set()
    while level:
        following: list[str] = []
        for left in level:
            for right in plain.get(left, ()):
                if right == source:
                    continue
                if right not in first:
                    first[right], ways[right] = first[left], (*ways[left], right)
                    following.append(right)
                elif first[right] != first[left] and right not in closed:
                    closed.add(right)
                    yield Alternative(ways[right], (*ways[left], right))
        level = following


def describe_alternatives(graph: JoinGraph, views: Iterable[View] = ()) -> list[Problem]:
    """Return what to tell the author, a few of many, where no view says which way is meant."""
    paths = {member.join_path for view in views for member in view.members.values()}
    found = (item for item in find_alternatives(graph) if not _is_settled(item, paths))
    problems = [_describe(graph, item) for item in islice(found, MAXIMUM_SHOWN)]
    more = sum(1 for _ in found)
    if more:
        problems.append(
            Problem("join_alternatives", f"{more} more pairs of cubes are joined in two ways")
        )
    return problems


def _is_settled(item: Alternative, paths: Iterable[tuple[str, ...]]) -> bool:
    """Whether one of the paths goes the shorter way, from its start to its end."""
    way = item.shorter
    if len(way) == len(item.longer):
        return False
    return any(
        path[start : start + len(way)] == way
        for path in paths
        for start in range(len(path) - len(way) + 1)
    )


def _describe(graph: JoinGraph, item: Alternative) -> Problem:
    shorter, longer = write_path(item.shorter), write_path(item.longer)
    source, target = item.shorter[0], item.shorter[-1]
    if len(item.shorter) == len(item.longer):
        message = f"{source} joins {target} in equally short ways, {shorter} and {longer}"
        hint = f"a query about both must write one: {shorter}.member"
    else:
        message = f"{source} joins {target} as {shorter}, though {longer} leads there too"
        hint = (
            f"say which is meant: a view with the join_path {shorter} settles it; "
            f"for the longer way write {longer}.member or name it in a view"
        )
    return Problem("join_alternatives", message, _place(graph.joins, item.longer), hint)


def _place(joins: Mapping[str, Mapping[str, Join]], way: tuple[str, ...]) -> Span | None:
    """Return where the last join of a way is declared."""
    return joins[way[-2]][way[-1]].span
