"""`extends`: a cube or view takes everything of another one and says what differs.

The merge happens on the trees, before anything has a meaning: members (items of a list that carry a
`name`) merge by name, a view's `cubes`, `filters` and groups and all access policies are appended,
mappings merge key by key, and any other value of the extending side replaces. So an inherited
member keeps the place where it was written, and `{CUBE}` in it means the extending cube.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from semantic.errors import Problem, suggest
from semantic.spec.reader import to_snake_case
from semantic.spec.source import MappingNode, Node, Place, ScalarNode, SequenceNode, to_span

_BY_NAME: Final = frozenset(
    {"dimensions", "measures", "segments", "joins", "hierarchies", "pre_aggregations", "folders"}
)
_APPENDED: Final = frozenset({"cubes", "filters", "view_groups", "access_policy"})
_OWN: Final = frozenset({"name", "title", "description", "public", "shown", "extends"})

Entries = dict[str, tuple[Place, Node]]
Merged = dict[tuple[int, int], tuple[MappingNode, MappingNode, MappingNode]]
"""What was merged before: parent, child and result, by the identities of the first two."""


def merge_extended(
    nodes: Mapping[str, MappingNode],
    kind: str,
    problems: list[Problem],
    known: Merged | None = None,
) -> dict[str, MappingNode]:
    """Return every node with what it extends merged in. `kind` names them in messages.

    A merge that `known` holds is taken from there, the same object; new ones are added to it.
    """
    done: dict[str, MappingNode] = {}
    known = {} if known is None else known

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
                inherited = resolve(parent.value, (*chain, name))
                key = (id(inherited), id(node))
                if key not in known:
                    known[key] = (inherited, node, _extend(inherited, node))
                node = known[key][2]
        elif entry is not None:
            problems.append(
                Problem("wrong_type", f"`extends` must be the name of a {kind}", to_span(entry[0]))
            )
        done[name] = node
        return node

    for name in nodes:
        resolve(name, ())
    return done


def _extend(parent: MappingNode, child: MappingNode) -> MappingNode:
    inherited = {key: value for key, value in parent.entries.items() if _canonical(key) not in _OWN}
    spellings = {_canonical(key): key for key in inherited}
    # A child that reads another relation must not keep the parent's as well.
    if {"sql", "sql_table"} & {_canonical(key) for key in child.entries}:
        for key in ("sql", "sql_table"):
            inherited.pop(spellings.get(key, key), None)
    entries = dict(inherited)
    for key, (span, value) in child.entries.items():
        known = inherited.get(spellings.get(_canonical(key), key))
        if known is None:
            entries[key] = (span, value)
        else:
            entries[spellings[_canonical(key)]] = (
                span,
                _merge(_canonical(key), known[1], value),
            )
    _keep_ancestors(entries, parent)
    return MappingNode(entries, child.span)


def _keep_ancestors(entries: Entries, parent: MappingNode) -> None:
    """Leave in `extends` the names of the parent and of all that it extends."""
    own, above = entries["extends"], parent.entries.get("extends")
    if above is not None:
        more = above[1].items if isinstance(above[1], SequenceNode) else (above[1],)
        entries["extends"] = (own[0], SequenceNode((own[1], *more), own[0]))


def _merge(key: str, old: Node, new: Node) -> Node:
    """Merge the values of one key of a cube or view itself."""
    if key in _BY_NAME:
        left, right = _as_list(old), _as_list(new)
        if isinstance(left, SequenceNode) and isinstance(right, SequenceNode):
            return _merge_named(left, right)
    if key in _APPENDED:
        left, right = _as_list(old), _as_list(new)
        if isinstance(left, SequenceNode) and isinstance(right, SequenceNode):
            return SequenceNode((*left.items, *right.items), new.span)
    return _merge_values(old, new)


def _merge_values(old: Node, new: Node) -> Node:
    """Merge mappings key by key; anything else of the extending side replaces."""
    if not (isinstance(old, MappingNode) and isinstance(new, MappingNode)):
        return new
    entries = dict(old.entries)
    for name, (span, value) in new.entries.items():
        known = old.entries.get(name)
        entries[name] = (span, _merge_values(known[1], value) if known else value)
    return MappingNode(entries, new.span)


def _as_list(node: Node) -> Node:
    """Return members that are written as a mapping by name as the list that it stands for."""
    if not isinstance(node, MappingNode):
        return node
    items: list[Node] = []
    for name, (span, value) in node.entries.items():
        if not isinstance(value, MappingNode):
            return node  # reported when it is read
        named: Entries = {"name": (span, ScalarNode(name, "'", span))}
        items.append(MappingNode(named | value.entries, value.span))
    return SequenceNode(tuple(items), node.span)


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
    """Return what a member is called; of a join that has an alias, the alias."""
    if isinstance(node, MappingNode):
        for key in ("alias", "name"):
            entry: tuple[Place, Node] | None = node.entries.get(key)
            if entry is not None and isinstance(entry[1], ScalarNode):
                return entry[1].value
    return None


def _canonical(key: str) -> str:
    return key if key.islower() else to_snake_case(key)
