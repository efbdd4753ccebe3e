"""Which joins connect cubes: every simple path is tried (rule 1 of ARCHITECTURE.md).

The root is the mentioned cube that reaches all others with the fewest joins, of equals the one
mentioned first; each cube stands on its unique shortest path from the root. The paths of a view
come first and are followed as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.property.model import Join

Joins = Mapping[str, Mapping[str, Join]]
Parents = dict[str, str]
"""Each joined cube and the one that it is joined from."""


class Refused(Exception):  # noqa: N818 -- a right answer, not an error
    """The rules give no answer: refusing with one of these codes is right."""

    def __init__(self, *codes: str) -> None:
        super().__init__(*codes)
        self.codes = frozenset(codes)


class TooLarge(Exception):  # noqa: N818 -- the case is passed over, it is no error
    """The joined rows, or the periods, are too many to loop over."""


class _Conflict(Exception):  # noqa: N818
    """From this root the paths that must be followed reach one cube in two ways."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A join of the tree, in the direction in which it is declared."""

    source: str
    target: str
    join: Join


@dataclass(frozen=True, slots=True)
class Tree:
    """A root and its joins, sources before targets. `doubtful`: refusing it as ambiguous is right."""

    root: str
    hops: tuple[Hop, ...]
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A join of a tree as it is walked from one cube outwards; `many`: it may repeat rows."""

    source: str
    target: str
    hop: Hop
    many: bool


def find_tree(joins: Joins, cubes: Sequence[str], paths: Sequence[tuple[str, ...]]) -> Tree:
    """Return the tree of the cubes, in order of mention, and of the paths.

    Raises:
        Refused: no cube reaches all others, or one is reached in two equally short ways.
    """
    mentioned = list(dict.fromkeys(cubes))
    covered = {cube for path in paths for cube in path}
    loose = [cube for cube in mentioned if cube not in covered]
    candidates = list(dict.fromkeys([*(path[0] for path in paths), *loose]))
    known: dict[str, list[Parents]] = {}
    conflict = False
    for root in candidates:
        try:
            if trees := _grow(joins, root, paths, loose):
                known[root] = trees
        except _Conflict:
            conflict = True
    if not known:
        raise Refused("no_join_path", *(["ambiguous_join_path"] if conflict else []))
    return _choose(joins, known, conflict=conflict)


def _choose(joins: Joins, known: Mapping[str, list[Parents]], *, conflict: bool) -> Tree:
    """Return the tree with the fewest joins."""
    sizes = {root: [len(tree) for tree in trees] for root, trees in known.items()}
    root = min(known, key=lambda name: min(sizes[name]))
    if len(known[root]) > 1:
        others = [min(sizes[name]) for name in known if name != root]
        if all(size > max(sizes[root]) for size in others) or len(known) == 1:
            raise Refused("ambiguous_join_path")
        # Which tree is the smallest depends on the choice that is ambiguous.
        certain = [name for name in known if len(known[name]) == 1]
        if not certain:
            raise Refused("ambiguous_join_path")
        root = min(certain, key=lambda name: sizes[name][0])
        return Tree(root, _hops(joins, root, known[root][0]), doubtful=True)
    doubtful = conflict or any(
        len(trees) > 1 and min(sizes[name]) <= sizes[root][0] for name, trees in known.items()
    )
    return Tree(root, _hops(joins, root, known[root][0]), doubtful)


def prune(tree: Tree, needed: set[str]) -> Tree:
    """Return the tree without the ends that nothing needs."""
    hops = list(tree.hops)
    while True:
        sources = {hop.source for hop in hops}
        kept = [hop for hop in hops if hop.target in needed or hop.target in sources]
        if len(kept) == len(hops):
            return Tree(tree.root, tuple(hops), tree.doubtful)
        hops = kept


def walk_from(tree: Tree, cube: str) -> list[Step]:
    """Return the joins of the tree in an order in which they can be walked from `cube`."""
    steps: list[Step] = []
    joined = {cube}
    waiting = list(tree.hops)
    while waiting:
        hop = next(item for item in waiting if (item.source in joined) != (item.target in joined))
        waiting.remove(hop)
        if hop.source in joined:
            many = hop.join.relationship == "one_to_many"
            steps.append(Step(hop.source, hop.target, hop, many))
        else:
            many = hop.join.relationship == "many_to_one"
            steps.append(Step(hop.target, hop.source, hop, many))
        joined.add(steps[-1].target)
    return steps


def cubes_beyond(steps: Sequence[Step]) -> set[str]:
    """Return the cubes of which one row at the start may meet several."""
    found: set[str] = set()
    for step in steps:
        if step.many or step.source in found:
            found.add(step.target)
    return found


def simple_paths(joins: Joins, source: str, target: str) -> Iterator[tuple[str, ...]]:
    """Yield every path of declared joins that enters no cube twice."""
    waiting: list[tuple[str, ...]] = [(source,)]
    while waiting:
        path = waiting.pop()
        if path[-1] == target:
            yield path
            continue
        waiting += [(*path, cube) for cube in joins.get(path[-1], {}) if cube not in path]


def _grow(
    joins: Joins, root: str, paths: Sequence[tuple[str, ...]], loose: Sequence[str]
) -> list[Parents]:
    """Return the trees that equally short paths allow; none when the root does not reach all."""
    trees: list[Parents] = [{}]
    for path in paths:
        trees = _connect(joins, root, trees, root, path[0])
        for left, right in pairwise(path):
            if right == root:
                return []
            if right not in joins.get(left, {}):
                trees = _connect(joins, root, trees, left, right)
                continue
            if any(tree.get(right, left) != left for tree in trees):
                raise _Conflict
            trees = [tree | {right: left} for tree in trees]
    for cube in loose:
        trees = _connect(joins, root, trees, root, cube)
    return trees


def _connect(
    joins: Joins, root: str, trees: Sequence[Parents], source: str, target: str
) -> list[Parents]:
    found: list[Parents] = []
    for tree in trees:
        if target == root or target in tree:
            found.append(tree)
            continue
        fitting = [
            path
            for path in simple_paths(joins, source, target)
            if all(
                right != root and tree.get(right, left) == left for left, right in pairwise(path)
            )
        ]
        shortest = min((len(path) for path in fitting), default=0)
        for path in fitting:
            if len(path) == shortest:
                grown = tree | {right: left for left, right in pairwise(path)}
                if grown not in found:
                    found.append(grown)
    return found


def _hops(joins: Joins, root: str, parents: Parents) -> tuple[Hop, ...]:
    hops: list[Hop] = []
    joined = {root}
    while len(hops) < len(parents):
        for target, source in parents.items():
            if source in joined and target not in joined:
                hops.append(Hop(source, target, joins[source][target]))
                joined.add(target)
    return tuple(hops)
