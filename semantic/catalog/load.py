"""From a folder of YAML to a Catalog, or to one ModelError with every problem.

`ModelLoader` keeps what it read: a file whose bytes did not change is not parsed again, nor are
the specs of its cubes that extend nothing, nor any snippet text seen before. Linking, which is
what remains, is the same pure function for the first load and for the hundredth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from semantic.catalog.alternatives import describe_alternatives
from semantic.catalog.catalog import Catalog, View
from semantic.catalog.link import link_cube
from semantic.catalog.link_views import link_view
from semantic.catalog.resolve import list_names
from semantic.catalog.roles import add_roles, find_ambiguous_references
from semantic.catalog.validate import find_problems
from semantic.catalog.view_parts import link_groups
from semantic.errors import ModelError, Problem, Span
from semantic.spec.cube import CubeSpec
from semantic.spec.document import Document, read_document
from semantic.spec.extend import merge_extended
from semantic.spec.read_cube import read_cube
from semantic.spec.read_view import read_view, read_view_group
from semantic.spec.source import MappingNode, decode_source

SUFFIXES: Final = frozenset({".yml", ".yaml"})
MAXIMUM_PROBLEMS: Final = 500


@dataclass(slots=True)
class ModelLoader:
    """Loads one model folder, again and again. Not for use by several threads at once."""

    folder: Path
    strict_joins: bool = False
    _documents: dict[str, tuple[str, Document]] = field(default_factory=dict)
    _catalog: Catalog | None = None
    _specs: dict[int, tuple[MappingNode, CubeSpec | None, tuple[Problem, ...]]] = field(
        default_factory=dict
    )

    def load(self) -> Catalog:
        """Return the catalog of the files as they are now.

        Raises:
            ModelError: with every problem of every file.
        """
        documents: dict[str, tuple[str, Document]] = {}
        for path in _list_files(self.folder):
            name = path.relative_to(self.folder).as_posix()
            try:
                content = path.read_bytes()
            except OSError as failed:
                problem = Problem(
                    "unreadable_file", f"cannot be read: {failed.strerror}", Span(name, 1, 1)
                )
                documents[name] = ("", Document(name, (), (), (), (problem,)))
                continue
            digest = hashlib.sha256(content).hexdigest()
            known = self._documents.get(name)
            if known is not None and known[0] == digest:
                documents[name] = known
                continue
            text = decode_source(content, name)
            if isinstance(text, Problem):
                documents[name] = (digest, Document(name, (), (), (), (text,)))
            else:
                documents[name] = (digest, read_document(text, name))
        self._documents = documents
        if not documents:
            raise ModelError(
                [
                    Problem(
                        "empty_model",
                        f"there is no YAML file in {self.folder}",
                        None,
                        "put cubes into cubes/*.yml and views into views/*.yml",
                    )
                ]
            )
        return self._link(documents)

    def _link(self, documents: Mapping[str, tuple[str, Document]]) -> Catalog:
        specs: dict[int, tuple[MappingNode, CubeSpec | None, tuple[Problem, ...]]] = {}

        def read(node: MappingNode, problems: list[Problem]) -> CubeSpec | None:
            known = self._specs.get(id(node))
            if known is None or known[0] is not node:
                found: list[Problem] = []
                spec = read_cube(node, found)
                known = (node, spec, tuple(found))
            specs[id(node)] = known
            problems.extend(known[2])
            return known[1]

        digest = hashlib.sha256()
        for name in sorted(documents):
            digest.update(f"{name}\0{documents[name][0]}\0".encode())
        version = digest.hexdigest()[:32]
        if self._catalog is not None and self._catalog.version == version:
            return self._catalog
        try:
            self._catalog = _link_documents(
                [document for _, document in documents.values()],
                version,
                read,
                strict_joins=self.strict_joins,
            )
        finally:
            self._specs = specs or self._specs
        return self._catalog


def load_catalog(model: Path, *, strict_joins: bool = False) -> Catalog:
    """Return the catalog of the YAML files below `model`.

    Raises:
        ModelError: with every problem of every file.
    """
    return ModelLoader(model, strict_joins=strict_joins).load()


def load_catalog_from_text(files: Mapping[str, str], *, strict_joins: bool = False) -> Catalog:
    """Return the catalog of texts by file name.

    Raises:
        ModelError: with every problem of every text.
    """
    version = hashlib.sha256()
    for name in sorted(files):
        version.update(f"{name}\0{files[name]}\0".encode(errors="surrogatepass"))
    documents = [read_document(text, name) for name, text in sorted(files.items())]
    return _link_documents(
        documents, version.hexdigest()[:32], read_cube, strict_joins=strict_joins
    )


def _list_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


class _ReadCube(Protocol):
    def __call__(self, node: MappingNode, problems: list[Problem]) -> CubeSpec | None: ...


def _link_documents(
    documents: Sequence[Document], version: str, read: _ReadCube, *, strict_joins: bool
) -> Catalog:
    problems = [problem for document in documents for problem in document.problems]
    cube_nodes, view_nodes = _collect(documents, problems)
    cube_specs = [
        read(node, problems) for node in merge_extended(cube_nodes, "cube", problems).values()
    ]
    view_specs = [
        read_view(node, problems) for node in merge_extended(view_nodes, "view", problems).values()
    ]
    usable = [spec for spec in cube_specs if spec is not None]
    names = {spec.name: list_names(spec) for spec in usable}
    cubes = add_roles({spec.name: link_cube(spec, names, problems) for spec in usable})
    problems.extend(find_problems(cubes, cubes.graph))
    problems.extend(find_ambiguous_references(cubes))
    if strict_joins:
        problems.extend(describe_alternatives(cubes.graph))
    usable_views = [spec for spec in view_specs if spec is not None]
    views: dict[str, View] = {}
    for spec in usable_views:
        for view in link_view(spec, cubes, problems):
            if view.name in views or view.name in cubes:
                problems.append(
                    Problem("duplicate_name", f"`split` makes a second {view.name}", view.span)
                )
            views[view.name] = view
    group_specs = [
        group
        for document in documents
        for node in document.view_groups
        if (group := read_view_group(node, problems)) is not None
    ]
    groups, views = link_groups(group_specs, usable_views, views, problems)
    if problems:
        raise ModelError(_tidy(problems))
    return Catalog(version, cubes, MappingProxyType(views), groups, cubes.graph)


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
