"""One model file: its cubes, views and groups as trees, by name. Cached by content, so it knows no others."""

from __future__ import annotations

from dataclasses import dataclass

from semantic.errors import Problem, Span
from semantic.spec.reader import MappingReader
from semantic.spec.source import MappingNode, ScalarNode, read_source


@dataclass(frozen=True, slots=True)
class Document:
    """What one file declares. Items without a usable name are kept to be reported."""

    file: str
    cubes: tuple[tuple[str | None, MappingNode], ...]
    views: tuple[tuple[str | None, MappingNode], ...]
    view_groups: tuple[MappingNode, ...]
    problems: tuple[Problem, ...]


def read_document(text: str, file: str) -> Document:
    """Return what the text declares, with every problem of its form."""
    root, found = read_source(text, file)
    problems = list(found)
    if root is None:
        return Document(file, (), (), (), tuple(problems))
    if not isinstance(root, MappingNode):
        problems.append(
            Problem(
                "wrong_type",
                "a model file is a mapping",
                Span(file, 1, 1),
                "start it with `cubes:` or `views:`",
            )
        )
        return Document(file, (), (), (), tuple(problems))
    reader = MappingReader(root, "a model file", problems)
    cubes = tuple((_name(node), node) for node in reader.items("cubes"))
    views = tuple((_name(node), node) for node in reader.items("views"))
    groups = reader.items("view_groups")
    reader.finish()
    return Document(file, cubes, views, groups, tuple(problems))


def _name(node: MappingNode) -> str | None:
    entry = node.entries.get("name")
    return entry[1].value if entry is not None and isinstance(entry[1], ScalarNode) else None
