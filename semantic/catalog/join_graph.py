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

A *role* is a cube under the name of a join: "orders.customer" is `users`, joined from orders as
customer, and "orders.customer.departments" is what hangs below it (semantic.catalog.roles). Its
name is its path, so it is joined in exactly one way: from the cube before its last dot. Nothing
searches through roles, of which there may be endlessly many. A plain cube is reached by plain joins
only; one that stands only at the end of named joins is refused, with the names to write instead.

*Multiplied* cubes are those whose rows may repeat in the joined rows. Walking from cube X to any
other cube of the tree, X is multiplied when a step leads to "many": from the one side of a
many_to_one hop back to its source, or along a one_to_many hop. In terms of the tree: a many_to_one
hop multiplies its target and what hangs below it; a one_to_many hop multiplies everything that is
not below its target; a one_to_one hop multiplies nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from semantic.errors import AmbiguousJoinPathError, NoJoinPathError

if TYPE_CHECKING:
    from semantic.catalog.catalog import Cube, Join

PATHS_SHOWN: Final = 4
_MEMORY: Final = 4096  # trees kept; a server is asked the same few hundred shapes again and again
_ROLES_SEARCHED: Final = 500  # only to name roles in an error


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
class _Refusal:
    """Why there is no tree. An error is made of it each time, since raising changes an error."""

    error: type[NoJoinPathError | AmbiguousJoinPathError]
    message: str
    suggestion: str

    def make(self) -> NoJoinPathError | AmbiguousJoinPathError:
        return self.error(self.message, suggestion=self.suggestion)


_Asked = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, slots=True)
class JoinGraph:
    """Cubes and the joins they declare: source, then target. Holds every cube, joined or not.

    Roles are found when looked up, and are not listed.
    """

    joins: Mapping[str, Mapping[str, Join]]
    _memory: dict[_Asked, JoinTree | _Refusal] = field(
        default_factory=dict, compare=False, repr=False
    )

    def find_tree(self, cubes: Sequence[str], paths: Sequence[tuple[str, ...]] = ()) -> JoinTree:
        """Return the join tree that connects `cubes` and follows `paths`.

        `cubes` come in the order in which the query mentions them; repetitions are allowed. `paths`
        are the join paths of the view members asked; their cubes need not be repeated in `cubes`.
        Both name roles as the catalog does: ("orders", "orders.customer").

        Raises:
            NoJoinPathError: no cube mentioned reaches all the others.
            AmbiguousJoinPathError: a cube is reached by several equally short paths, or the
                paths given reach one cube in two ways.
            ValueError: neither `cubes` nor `paths` names a cube.
        """
        asked = (tuple(cubes), tuple(paths))
        found = self._memory.get(asked)
        if found is None:
            found = self._find_tree(*asked)
            if len(self._memory) >= _MEMORY:
                self._memory.clear()
            self._memory[asked] = found
        if isinstance(found, _Refusal):
            raise found.make()
        return found

    def reaches(self, source: str, target: str) -> bool:
        """Return whether `target`, which may be a role, can be joined from `source`."""
        return next(self.shortest_paths(source, target), None) is not None

    def reachable(self, cube: str) -> frozenset[str]:
        """Return the plain cubes that plain joins lead to from `cube`, itself included.

        The roles below a cube are endless; `reaches` tells about one of them.
        """
        found = {cube}
        queue = deque([cube])
        while queue:
            for target in self.joins.get(queue.popleft(), {}):
                if target not in found and not is_role(target):
                    found.add(target)
                    queue.append(target)
        return frozenset(found)

    def shortest_paths(
        self, source: str, target: str, joined: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[tuple[str, ...]]:
        """Yield every shortest path from `source` to `target`, both included.

        `joined` maps cubes that are joined already to where from: they are entered from there only,
        the root ("") from nowhere.
        """
        if is_role(target):
            yield from self._role_paths(source, target, joined)
            return
        before: dict[str, list[str]] = {source: []}
        level = [source]
        while level and target not in before:
            if any(target in self.joins.get(left, ()) for left in level):
                wanted: str | None = target  # the last step: the other edges are of no use
            else:
                wanted = None
            reached: dict[str, list[str]] = {}
            for left in level:
                edges = self.joins.get(left, {})
                for right in edges if wanted is None else (wanted,) if wanted in edges else ():
                    if right in before or is_role(right):
                        continue
                    if joined.get(right, left) == left:
                        reached.setdefault(right, []).append(left)
            if wanted is not None and not reached:
                return  # joined already from elsewhere
            before.update(reached)
            level = list(reached)
        if target in before:
            yield from _walk_back(before, target)

    def _role_paths(
        self, source: str, target: str, joined: Mapping[str, str]
    ) -> Iterator[tuple[str, ...]]:
        chain = role_path(target)
        if not all(right in self.joins.get(left, {}) for left, right in pairwise(chain)):
            return
        if source in chain:
            yield chain[chain.index(source) :]
        elif not is_role(source):
            for path in self.shortest_paths(source, chain[0], joined):
                yield (*path, *chain[1:])

    def _find_tree(
        self, cubes: Sequence[str], paths: Sequence[tuple[str, ...]]
    ) -> JoinTree | _Refusal:
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
            return _refuse_unreached(self, candidates, tuple(dict.fromkeys([*covered, *loose])))
        chosen = min(grown, key=lambda candidate: len(candidate.hops))  # the first of equals
        return chosen.ambiguity or JoinTree(chosen.root, tuple(chosen.hops.values()))


class DeclaredJoins(Mapping[str, Mapping[str, "Join"]]):
    """The joins of each cube by their targets, made when first asked for."""

    __slots__ = ("_cubes", "_found")

    def __init__(self, cubes: Mapping[str, Cube]) -> None:
        self._cubes = cubes
        self._found: dict[str, Mapping[str, Join]] = {}

    def __getitem__(self, name: str) -> Mapping[str, Join]:
        found = self._found.get(name)
        if found is None:
            joins = self._cubes[name].joins.values()
            found = MappingProxyType({join.target: join for join in joins})
            if not is_role(name):  # roles are endless, and kept where they are made
                self._found[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._cubes)

    def __len__(self) -> int:
        return len(self._cubes)


def build_join_graph(cubes: Mapping[str, Cube]) -> JoinGraph:
    """Return the graph of the joins that `cubes` declare."""
    return JoinGraph(DeclaredJoins(cubes))


def is_role(cube: str) -> bool:
    """Return whether a name is that of a role: of a cube under the name of a join."""
    return "." in cube


def role_path(role: str) -> tuple[str, ...]:
    """Return the cubes from the first to the role itself.

    >>> role_path("orders.customer.departments")
    ('orders', 'orders.customer', 'orders.customer.departments')
    """
    names = role.split(".")
    return tuple(".".join(names[:end]) for end in range(1, len(names) + 1))


def write_path(cubes: Sequence[str]) -> str:
    """Return a path as people write it: the first cube, then the name of each join.

    >>> write_path(["sales", "orders", "orders.customer"])
    'sales.orders.customer'
    """
    return ".".join([cubes[0], *(cube.rpartition(".")[2] for cube in cubes[1:])])


def find_roles(graph: JoinGraph, source: str, cube: str) -> tuple[str, ...]:
    """Return the nearest roles of `cube` that can be joined from `source`, a few of many.

    A role whose cube stands on the way already is not entered, so that the search ends.
    """
    level: list[tuple[str, frozenset[str]]] = [(source, frozenset([source]))]
    searched = 0
    while level and searched < _ROLES_SEARCHED:
        found: list[str] = []
        following: list[tuple[str, frozenset[str]]] = []
        for node, passed in level:
            searched += 1
            for target, join in graph.joins.get(node, {}).items():
                base = join.base or target
                if is_role(target) and base == cube:
                    found.append(target)
                elif base not in passed:
                    following.append((target, passed | {base}))
        if found:
            return tuple(found[:PATHS_SHOWN])
        level = following[:_ROLES_SEARCHED]
    return ()


class _Growth:
    """A tree while it grows from one root. `hops` maps each joined cube to the hop to it."""

    __slots__ = ("ambiguity", "graph", "hops", "joined", "root")

    def __init__(self, graph: JoinGraph, root: str) -> None:
        self.graph = graph
        self.root = root
        self.hops: dict[str, JoinHop] = {}
        self.joined: dict[str, str] = {root: ""}
        self.ambiguity: _Refusal | None = None

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
            known = self.joined.get(target, source)
            if direct is not None and known != source:
                self._refuse(
                    f"{target} is reached in two ways: from {known} and from {source}",
                    "ask for the members of one join path at a time",
                )
            elif direct is not None:
                self._join(source, target)
            elif not self._connect(source, target):
                return False
        return True

    def _connect(self, source: str, target: str) -> bool:
        """Join `target` by the shortest path from `source`; False when there is none."""
        if target in self.joined:
            return True
        found = list(islice(self.graph.shortest_paths(source, target, self.joined), PATHS_SHOWN))
        if not found:
            return False
        if len(found) > 1:
            listed = " or ".join(" -> ".join(path) for path in found)
            self._refuse(
                f"{target} can be joined in equally short ways: {listed}",
                "ask for a view whose join_path says which way is meant, "
                f"or write the way in the member: {write_path(found[0])}.member",
            )
        for left, right in pairwise(found[0]):
            self._join(left, right)
        return True

    def _join(self, source: str, target: str) -> None:
        if target not in self.joined:
            self.joined[target] = source
            self.hops[target] = JoinHop(source, target, self.graph.joins[source][target])

    def _refuse(self, message: str, suggestion: str) -> None:
        if self.ambiguity is None:
            self.ambiguity = _Refusal(AmbiguousJoinPathError, message, suggestion)


def _walk_back(before: Mapping[str, Sequence[str]], cube: str) -> Iterator[tuple[str, ...]]:
    if not before[cube]:
        yield (cube,)
    for left in before[cube]:
        for path in _walk_back(before, left):
            yield (*path, cube)


def _refuse_unreached(
    graph: JoinGraph, candidates: Sequence[str], cubes: Sequence[str]
) -> _Refusal:
    """Name the first pair that stands in the way: the best candidate and what it misses."""
    missing = {
        root: sorted(cube for cube in set(cubes) if not graph.reaches(root, cube))
        for root in candidates
    }
    root = min(candidates, key=lambda cube: len(missing[cube]))
    apart = missing[root][0] if missing[root] else cubes[-1]
    roles = next((found for cube in candidates if (found := find_roles(graph, cube, apart))), ())
    if roles:
        written = " or ".join(f"{role}.member" for role in roles)
        said = f"{apart} is joined under other names only: {', '.join(roles)}"
        if len(roles) > 1:
            return _Refusal(AmbiguousJoinPathError, said, f"write which one is meant: {written}")
        return _Refusal(NoJoinPathError, said, f"write {written}")
    return _Refusal(
        NoJoinPathError,
        f"no chain of declared joins leads from {root} to {apart}",
        f"declare the join in {root} or in a cube that it joins, "
        f"or ask for members of {root} and {apart} in separate queries",
    )
