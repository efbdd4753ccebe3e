"""`extends`: a cube or view takes everything of another one and says what differs.

The merge happens on the trees, before anything has a meaning: mappings merge key by key, members
(items of a list that carry a `name`) merge by name, a view's `cubes` and `folders` are appended,
and any other value of the extending side replaces. So an inherited member keeps the place where it
was written, and `{CUBE}` in it means the extending cube.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from semantic.errors import Problem, Span, suggest
from semantic.spec.source import MappingNode, Node, ScalarNode, SequenceNode

_BY_NAME: Final = frozenset(
    {"dimensions", "measures", "segments", "joins", "hierarchies", "pre_aggregations", "folders"}
)
_OWN: Final = frozenset({"name", "title", "description", "public", "shown", "extends"})


def merge_extended(
    nodes: Mapping[str, MappingNode], kind: str, problems: list[Problem]
) -> dict[str, MappingNode]:
    """Return every node with what it extends merged in. `kind` names them in messages."""
    done: dict[str, MappingNode] = {}

    def resolve(name: str, chain: tuple[str, ...]) -> MappingNode:
        if name in done:
            return done[name]
        node = nodes[name]
        entry = node.entries.get("extends")
        if entry is not None and isinstance(entry[1], ScalarNode):
            parent = entry[1]
            if parent.value in chain or parent.value == name:
                path = " -> ".join((*chain, name, parent.value))
                problems.append(
                    Problem("extends_cycle", f"{kind} extends itself: {path}", parent.span)
                )
            elif parent.value not in nodes:
                problems.append(
                    Problem(
                        "unknown_cube",
                        f"`extends` names no {kind}: `{parent.value}`",
                        parent.span,
                        suggest(parent.value, nodes),
                    )
                )
            else:
                node = _extend(resolve(parent.value, (*chain, name)), node)
        elif entry is not None:
            problems.append(
                Problem("wrong_type", f"`extends` must be the name of a {kind}", entry[0])
            )
        done[name] = node
        return node

    for name in nodes:
        resolve(name, ())
    return done


def _extend(parent: MappingNode, child: MappingNode) -> MappingNode:
    inherited = {key: value for key, value in parent.entries.items() if key not in _OWN}
    # A child that reads another relation must not keep the parent's as well.
    if {"sql", "sql_table"} & child.entries.keys():
        inherited.pop("sql", None)
        inherited.pop("sql_table", None)
    entries = dict(inherited)
    for key, (span, value) in child.entries.items():
        known = inherited.get(key)
        entries[key] = (span, _merge(key, known[1], value) if known else value)
    return MappingNode(entries, child.span)


def _merge(key: str, old: Node, new: Node) -> Node:
    if isinstance(old, MappingNode) and isinstance(new, MappingNode):
        entries = dict(old.entries)
        for name, (span, value) in new.entries.items():
            known = old.entries.get(name)
            entries[name] = (span, _merge(name, known[1], value) if known else value)
        return MappingNode(entries, new.span)
    if isinstance(old, SequenceNode) and isinstance(new, SequenceNode):
        if key in _BY_NAME:
            return _merge_named(old, new)
        if key == "cubes":
            return SequenceNode((*old.items, *new.items), new.span)
    return new


def _merge_named(old: SequenceNode, new: SequenceNode) -> SequenceNode:
    merged: dict[object, Node] = {}
    for position, item in enumerate(old.items):
        merged[_name_of(item) or position] = item
    fresh: list[Node] = []
    for item in new.items:
        name = _name_of(item)
        known = merged.get(name) if name is not None else None
        if known is None:
            fresh.append(item)  # also a second one of the same name: reported as a duplicate
        else:
            merged[name] = _override(known, item)
    return SequenceNode((*merged.values(), *fresh), new.span)


def _override(old: Node, new: Node) -> Node:
    if not (isinstance(old, MappingNode) and isinstance(new, MappingNode)):
        return new
    inherited = dict(old.entries)
    # `sql` and `case` say the same thing in two ways; a new type makes the old format pointless.
    if {"sql", "case"} & new.entries.keys():
        inherited.pop("sql", None)
        inherited.pop("case", None)
    if "type" in new.entries:
        inherited.pop("format", None)
    return MappingNode(inherited | new.entries, new.span)


def _name_of(node: Node) -> str | None:
    if isinstance(node, MappingNode):
        entry: tuple[Span, Node] | None = node.entries.get("name")
        if entry is not None and isinstance(entry[1], ScalarNode):
            return entry[1].value
    return None
