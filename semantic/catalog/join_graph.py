"""The graph of declared joins, and the tree of joins that connects the cubes of a query.

Every join is a LEFT JOIN from the cube that declares it, so edges are followed in the declared
direction only and the root decides which rows survive. As in Cube, the root is one of the cubes
that the query mentions: of those from which every other cube can be reached, the one that needs
the fewest joins, and of equals the one mentioned first (measures before dimensions before segments
before time dimensions). From the root each cube is joined along its shortest path. Where Cube picks
one of several equally short paths silently, `find_tree` refuses: the paths mean different numbers.

A view fixes paths: `("flights", "origin_airports", "regions")` says that the tree starts at flights
(or above it) and that each named cube is joined from the one before it. Neighbours in a path that
have no join of their own are connected by their shortest path, as Cube does.

*Multiplied* cubes are those whose rows may repeat in the joined rows. Walking from cube X to any
other cube of the tree, X is multiplied when a step leads to "many": from the one side of a
many_to_one hop back to its source, or along a one_to_many hop. In terms of the tree: a many_to_one
hop multiplies its target and what hangs below it; a one_to_many hop multiplies everything that is
not below its target; a one_to_one hop multiplies nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from semantic.errors import AmbiguousJoinPathError, NoJoinPathError

if TYPE_CHECKING:
    from semantic.catalog.catalog import Cube, Join

PATHS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class JoinHop:
    """LEFT JOIN `target` from `source`, as `source` declares it in `join`."""

    source: str
    target: str
    join: Join


@dataclass(frozen=True, slots=True)
class JoinTree:
    """A root and the hops from it, in an order in which each hop's source is already joined."""

    root: str
    hops: tuple[JoinHop, ...]

    @property
    def cubes(self) -> tuple[str, ...]:
        """Every cube of the tree, the root first."""
        return (self.root, *(hop.target for hop in self.hops))

    def below(self, cube: str) -> frozenset[str]:
        """Return `cube` and every cube that is joined through it."""
        found = {cube}
        for hop in self.hops:
            if hop.source in found:
                found.add(hop.target)
        return frozenset(found)

    def path(self, cube: str) -> tuple[JoinHop, ...]:
        """Return the hops from the root to `cube`; empty for the root.

        Raises:
            KeyError: `cube` is not part of the tree.
        """
        arriving = {hop.target: hop for hop in self.hops}
        hops: list[JoinHop] = []
        while cube != self.root:
            hops.append(arriving[cube])
            cube = hops[-1].source
        return tuple(reversed(hops))

    def multiplying(self, cube: str) -> tuple[JoinHop, ...]:
        """Return the hops that may repeat the rows of `cube`: the reasons of a fan-out."""
        return tuple(hop for hop in self.hops if self._multiplies(hop, cube))

    def multiplied(self) -> frozenset[str]:
        """Return the cubes whose rows may repeat in the joined rows of this tree."""
        return frozenset(cube for cube in self.cubes if self.multiplying(cube))

    def _multiplies(self, hop: JoinHop, cube: str) -> bool:
        match hop.join.relationship:
            case "one_to_one":
                return False
            case "many_to_one":
                return cube in self.below(hop.target)
            case "one_to_many":
                return cube not in self.below(hop.target)
            case _ as unreachable:
                assert_never(unreachable)


@dataclass(frozen=True, slots=True)
class JoinGraph:
    """Cubes and the joins they declare: source, then target. Holds every cube, joined or not."""

    joins: Mapping[str, Mapping[str, Join]]

    def find_tree(self, cubes: Sequence[str], paths: Sequence[tuple[str, ...]] = ()) -> JoinTree:
        """Return the join tree that connects `cubes` and follows `paths`.

        `cubes` come in the order in which the query mentions them; repetitions are allowed. `paths`
        are the join paths of the view members asked; their cubes need not be repeated in `cubes`.

        Raises:
            NoJoinPathError: no cube mentioned reaches all the others.
            AmbiguousJoinPathError: a cube is reached by several equally short paths, or the
                paths given reach one cube in two ways.
            ValueError: neither `cubes` nor `paths` names a cube.
        """
        heads = tuple(dict.fromkeys(path[0] for path in paths if path))
        covered = frozenset(cube for path in paths for cube in path)
        loose = tuple(cube for cube in dict.fromkeys(cubes) if cube not in covered)
        candidates = heads + loose
        if not candidates:
            msg = "a join tree needs at least one cube"
            raise ValueError(msg)
        grown = [
            candidate
            for root in candidates
            if (candidate := _Growth(self, root).grow(paths, loose)) is not None
        ]
        if not grown:
            raise _no_path(self, candidates, tuple(dict.fromkeys([*heads, *covered, *loose])))
        chosen = min(grown, key=lambda candidate: len(candidate.hops))  # the first of equals
        if chosen.ambiguity is not None:
            raise chosen.ambiguity
        return JoinTree(chosen.root, tuple(chosen.hops.values()))

    def reachable(self, cube: str) -> frozenset[str]:
        """Return the cubes that can be joined from `cube`, itself included."""
        found = {cube}
        queue = deque([cube])
        while queue:
            for target in self.joins.get(queue.popleft(), {}):
                if target not in found:
                    found.add(target)
                    queue.append(target)
        return frozenset(found)


def build_join_graph(cubes: Mapping[str, Cube]) -> JoinGraph:
    """Return the graph of the joins that `cubes` declare."""
    return JoinGraph(
        MappingProxyType({name: MappingProxyType(dict(cube.joins)) for name, cube in cubes.items()})
    )


class _Growth:
    """A tree while it grows from one root. `hops` maps each joined cube to the hop to it."""

    __slots__ = ("ambiguity", "graph", "hops", "root")

    def __init__(self, graph: JoinGraph, root: str) -> None:
        self.graph = graph
        self.root = root
        self.hops: dict[str, JoinHop] = {}
        self.ambiguity: AmbiguousJoinPathError | None = None

    def grow(self, paths: Sequence[tuple[str, ...]], loose: Sequence[str]) -> _Growth | None:
        """Join every cube; return None when the root does not reach all of them as asked."""
        for path in paths:
            if not self._follow(path):
                return None
        return self if all(self._connect(self.root, cube) for cube in loose) else None

    def _follow(self, path: tuple[str, ...]) -> bool:
        if not path:
            return True
        if not self._connect(self.root, path[0]):
            return False
        for source, target in pairwise(path):
            if target == self.root:
                return False  # the path wants it joined from `source`; another root may do that
            direct = self.graph.joins.get(source, {}).get(target)
            known = self.hops.get(target)
            if known is not None and direct is not None and known.source != source:
                self._refuse(
                    f"{target} is reached in two ways: from {known.source} and from {source}",
                    "ask for the members of one join path at a time",
                )
            elif direct is not None:
                self.hops.setdefault(target, JoinHop(source, target, direct))
            elif not self._connect(source, target):
                return False
        return True

    def _connect(self, source: str, target: str) -> bool:
        """Join `target` by the shortest path from `source`; False when there is none."""
        if target == self.root or target in self.hops:
            return True
        found = list(islice(self._shortest_paths(source, target), PATHS_SHOWN))
        if not found:
            return False
        if len(found) > 1:
            listed = " or ".join(" -> ".join(path) for path in found)
            self._refuse(
                f"{target} can be joined in equally short ways: {listed}",
                "ask for a view whose join_path says which way is meant",
            )
        for left, right in pairwise(found[0]):
            self.hops.setdefault(right, JoinHop(left, right, self.graph.joins[left][right]))
        return True

    def _shortest_paths(self, source: str, target: str) -> Iterator[tuple[str, ...]]:
        """Yield every shortest path, entering cubes that are joined already only as they are."""
        before: dict[str, list[str]] = {source: []}
        level = [source]
        while level and target not in before:
            reached: dict[str, list[str]] = {}
            for left in level:
                for right in self.graph.joins.get(left, {}):
                    known = self.hops.get(right)
                    if right == self.root or right in before:
                        continue
                    if known is None or known.source == left:
                        reached.setdefault(right, []).append(left)
            before.update(reached)
            level = list(reached)
        if target in before:
            yield from _walk_back(before, target)

    def _refuse(self, message: str, suggestion: str) -> None:
        if self.ambiguity is None:
            self.ambiguity = AmbiguousJoinPathError(message, suggestion=suggestion)


def _walk_back(before: Mapping[str, Sequence[str]], cube: str) -> Iterator[tuple[str, ...]]:
    if not before[cube]:
        yield (cube,)
    for left in before[cube]:
        for path in _walk_back(before, left):
            yield (*path, cube)


def _no_path(graph: JoinGraph, candidates: Sequence[str], cubes: Sequence[str]) -> NoJoinPathError:
    """Name the first pair that stands in the way: the best candidate and what it misses."""
    missing = {root: sorted(set(cubes) - graph.reachable(root)) for root in candidates}
    root = min(candidates, key=lambda cube: len(missing[cube]))
    apart = missing[root][0] if missing[root] else cubes[-1]
    return NoJoinPathError(
        f"no chain of declared joins leads from {root} to {apart}",
        suggestion=(
            f"declare the join in {root} or in a cube that it joins, "
            f"or ask for members of {root} and {apart} in separate queries"
        ),
    )
