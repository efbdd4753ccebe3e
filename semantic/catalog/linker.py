"""From documents to a Catalog: collect, extend, read, link, check, again and again.

A `Linker` keeps what each step made of what. A file whose bytes did not change gives the same
document, and from there on everything is found again by identity: the merged tree, the spec, the
names that other cubes see, the linked cube as long as it would look up the same, the view. What is
left to do for one changed file is its own cube, what refers to it, and the rules about the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from semantic.catalog.alerts import link_alerts
from semantic.catalog.alternatives import describe_alternatives
from semantic.catalog.catalog import Catalog, Cube, View
from semantic.catalog.facts import Facts, list_facts
from semantic.catalog.link import link_cube
from semantic.catalog.link_views import link_view
from semantic.catalog.recall import Recall
from semantic.catalog.resolve import CubeNames, list_names
from semantic.catalog.roles import CubesAndRoles, add_roles, find_ambiguous_references
from semantic.catalog.validate import find_problems
from semantic.catalog.view_parts import link_groups
from semantic.errors import ModelError, Problem, Span
from semantic.spec.cube import CubeSpec
from semantic.spec.document import Document
from semantic.spec.extend import Merged, merge_extended
from semantic.spec.read_cube import read_cube
from semantic.spec.read_view import read_view, read_view_group
from semantic.spec.sheet import DIALECT
from semantic.spec.source import MappingNode
from semantic.spec.view import ViewGroupSpec, ViewSpec

MAXIMUM_PROBLEMS: Final = 500


class Linker:
    """Links the documents of one model. Not for use by several threads at once.

    `dialect` is the one that the SQL of the model is written in, as sqlglot calls it.
    """

    def __init__(self, *, dialect: str = DIALECT, strict_joins: bool = False) -> None:
        self._strict_joins = strict_joins
        self._merged: Merged = {}
        self._cube_specs = Recall(_read_cube)
        self._known_names: dict[str, CubeNames] = {}
        self._cubes = Recall(partial(_link_cube, dialect=dialect))
        self._view_specs = Recall(_read_view)
        self._views = Recall(link_view)
        self._group_specs = Recall(_read_view_group)

    def link(self, documents: Sequence[Document], version: str) -> Catalog:
        """Return the catalog.

        Raises:
            ModelError: with every problem of every document.
        """
        problems = [problem for document in documents for problem in document.problems]
        cube_nodes, view_nodes = _collect(documents, problems)
        merged: Merged = dict(self._merged)
        cube_trees = merge_extended(cube_nodes, "cube", problems, merged)
        view_trees = merge_extended(view_nodes, "view", problems, merged)
        self._merged = _keep_used(merged, [*cube_trees.values(), *view_trees.values()])
        cubes, facts, cube_specs = self._link_cubes(cube_trees.values(), problems)
        problems.extend(find_problems(cubes, cubes.graph, facts))
        problems.extend(find_ambiguous_references(cubes))
        specs, views = self._link_views(view_trees.values(), cubes, problems)
        if self._strict_joins:
            problems.extend(describe_alternatives(cubes.graph, views.values()))
        read = (
            self._group_specs.find(node, {}, problems)
            for document in documents
            for node in document.view_groups
        )
        groups, views = link_groups(
            [group for group in read if group is not None], specs, views, problems
        )
        alerts = link_alerts(cube_specs, cubes, views, problems)
        for memory in (self._cube_specs, self._cubes, self._view_specs, self._views,
                       self._group_specs):  # fmt: skip
            memory.forget_others()
        if problems:
            raise ModelError(_tidy(problems))
        return Catalog(version, cubes, MappingProxyType(views), groups, cubes.graph, alerts)

    def _link_cubes(
        self, trees: Iterable[MappingNode], problems: list[Problem]
    ) -> tuple[CubesAndRoles, dict[str, Facts], list[CubeSpec]]:
        read = (self._cube_specs.find(tree, {}, problems) for tree in trees)
        specs = [item for item in read if item is not None]
        names: dict[str, CubeNames] = {}
        for spec, found in specs:
            known = self._known_names.get(spec.name)
            # A cube whose names are as they were needs nobody else to be linked again.
            names[spec.name] = known if known is not None and known == found else found
        self._known_names = names
        linked = {spec.name: self._cubes.find(spec, names, problems) for spec, _ in specs}
        facts = {name: found for name, (_, found) in linked.items()}
        roles = add_roles({name: cube for name, (cube, _) in linked.items()})
        return roles, facts, [spec for spec, _ in specs]

    def _link_views(
        self, trees: Iterable[MappingNode], cubes: CubesAndRoles, problems: list[Problem]
    ) -> tuple[list[ViewSpec], dict[str, View]]:
        read = (self._view_specs.find(tree, {}, problems) for tree in trees)
        specs = [spec for spec in read if spec is not None]
        views: dict[str, View] = {}
        for spec in specs:
            for view in self._views.find(spec, cubes, problems):
                if view.name in views or view.name in cubes:
                    problems.append(
                        Problem("duplicate_name", f"`split` makes a second {view.name}", view.span)
                    )
                views[view.name] = view
        return specs, views


def _read_cube(
    node: MappingNode, _: Mapping[str, Cube], problems: list[Problem]
) -> tuple[CubeSpec, CubeNames] | None:
    spec = read_cube(node, problems)
    return None if spec is None else (spec, list_names(spec))


def _link_cube(
    spec: CubeSpec, names: Mapping[str, CubeNames], problems: list[Problem], dialect: str
) -> tuple[Cube, Facts]:
    cube = link_cube(spec, names, problems, dialect)
    return cube, list_facts(cube)


def _read_view(
    node: MappingNode, _: Mapping[str, Cube], problems: list[Problem]
) -> ViewSpec | None:
    return read_view(node, problems)


def _read_view_group(
    node: MappingNode, _: Mapping[str, Cube], problems: list[Problem]
) -> ViewGroupSpec | None:
    return read_view_group(node, problems)


def _keep_used(merged: Merged, trees: Iterable[MappingNode]) -> Merged:
    """Return the merges whose results are in use."""
    used = {id(tree) for tree in trees}
    return {key: item for key, item in merged.items() if id(item[2]) in used}


def _collect(
    documents: Iterable[Document], problems: list[Problem]
) -> tuple[dict[str, MappingNode], dict[str, MappingNode]]:
    """Return the cubes and views by name; names are unique over both."""
    cubes: dict[str, MappingNode] = {}
    views: dict[str, MappingNode] = {}
    places: dict[str, Span] = {}
    for document in documents:
        for nodes, kind, items in (
            (cubes, "cube", document.cubes),
            (views, "view", document.views),
        ):
            for name, node in items:
                if name is None:
                    # Kept under a name that nobody can write, so that it is read and reported.
                    nodes[f"\0{len(nodes)}"] = node
                elif name in places:
                    problems.append(
                        Problem(
                            "duplicate_name",
                            f"{kind} `{name}` is declared already in {places[name]}",
                            node.entries["name"][1].span,
                            "cubes and views share one set of names",
                        )
                    )
                else:
                    places[name] = node.entries["name"][1].span
                    nodes[name] = node
    return cubes, views


def _tidy(problems: Iterable[Problem]) -> list[Problem]:
    """Sort by place; what a cube and those that extend it have in common is said once."""

    def order(problem: Problem) -> tuple[str, int, int, str]:
        span = problem.span
        return (
            (span.file, span.line, span.column, problem.code) if span else ("", 0, 0, problem.code)
        )

    distinct = {(problem.code, problem.message, problem.span): problem for problem in problems}
    ordered = sorted(distinct.values(), key=order)
    if len(ordered) > MAXIMUM_PROBLEMS:
        more = len(ordered) - MAXIMUM_PROBLEMS
        ordered = ordered[:MAXIMUM_PROBLEMS]
        ordered.append(Problem("more_problems", f"{more} more problems are not shown"))
    return ordered
