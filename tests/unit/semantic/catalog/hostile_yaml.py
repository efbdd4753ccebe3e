"""Models that are wrong in one place: every key misspelt, every value of another type, keys left out.

A model is composed to a tree, changed at one node, and written again. What is changed is called by
its path, in which items of lists have no number: `cubes[].dimensions[].type`. Keys that a mapping
may call as it likes (`meta`) are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import yaml

from semantic.spec.template import is_template, render_template

FREE: Final = frozenset({"meta"})
"""Keys whose mappings hold what their authors like."""

_LONG: Final = "x" * 30_000


def _scalar(value: str, style: str | None = None, kind: str = "str") -> yaml.ScalarNode:
    return yaml.ScalarNode(f"tag:yaml.org,2002:{kind}", value, style=style)


def _mapping() -> yaml.MappingNode:
    return yaml.MappingNode("tag:yaml.org,2002:map", [(_scalar("colour"), _scalar("red"))])


def _sequence() -> yaml.SequenceNode:
    inner = yaml.SequenceNode("tag:yaml.org,2002:seq", [_scalar("red")])
    return yaml.SequenceNode("tag:yaml.org,2002:seq", [inner])


VALUES: Final[dict[str, yaml.Node]] = {
    "null": _scalar("null", kind="null"),
    "empty": _scalar("", '"'),
    "list": _sequence(),
    "no_items": yaml.SequenceNode("tag:yaml.org,2002:seq", []),
    "mapping": _mapping(),
    "no_keys": yaml.MappingNode("tag:yaml.org,2002:map", []),
    "number": _scalar("-17.5", kind="float"),
    "flag": _scalar("true", kind="bool"),
    "long": _scalar(_LONG, '"'),
    "nul": _scalar("a\0b", '"'),
    "emoji": _scalar("🛫 \u202e", '"'),
    "brace": _scalar("{", '"'),
    "quote": _scalar("'; DROP TABLE x; --", '"'),
}
"""What stands for a value, by what it is called."""


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A model that is wrong at `path` in the way `how`."""

    path: str
    how: str
    text: str


def list_wrongs(
    text: str, seen: dict[str, int], choose: Callable[[str, str], bool], limit: int = 1
) -> Iterator[Wrong]:
    """Yield the model, wrong in each way, for each path that `seen` has fewer than `limit` times.

    `choose` says of a path and a way whether the model is wanted: writing it takes the time.
    """
    if is_template(text):
        text = render_template(text)
    root = yaml.compose(text, Loader=_Loader)
    if isinstance(root, yaml.MappingNode):
        for path, node, index in list(_walk(root, "")):
            if seen.get(path, 0) >= limit:
                continue
            seen[path] = seen.get(path, 0) + 1
            for how in _change(node, index):
                if choose(path, how):
                    text = yaml.serialize(root, Dumper=_Dumper, allow_unicode=True, width=1_000)
                    yield Wrong(path, how, text)


class _Dumper(yaml.SafeDumper):
    """Writes no anchors for values that stand twice, and no tags."""

    def anchor_node(self, node: yaml.Node) -> None:
        self.anchors[node] = None
        children: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        for child in children:
            self.anchor_node(child)


def _walk(
    node: yaml.Node, path: str
) -> Iterator[tuple[str, yaml.MappingNode | yaml.SequenceNode, int]]:
    """Yield what holds a value, and where in it: by paths, parents first."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{path}[]", node, index
            yield from _walk(item, f"{path}[]")
    elif isinstance(node, yaml.MappingNode):
        for index, (key, value) in enumerate(node.value):
            inner = f"{path}.{key.value}".lstrip(".")
            yield inner, node, index
            if key.value not in FREE:
                yield from _walk(value, inner)


def _change(node: yaml.MappingNode | yaml.SequenceNode, index: int) -> Iterator[str]:
    """Change one value in each way, say how, and put it back."""
    kept = node.value[index]
    before = list(node.value)
    for how, value in VALUES.items():
        node.value[index] = (kept[0], value) if isinstance(kept, tuple) else value
        yield how
    node.value[index] = kept
    del node.value[index]
    yield "removed"
    node.value[:] = [*before, deepcopy(kept)]
    yield "twice"
    if isinstance(kept, tuple):
        for how, key in (
            ("misspelt", f"{kept[0].value}x"),
            ("foreign", f"{kept[0].value[:1]}é{kept[0].value[1:]}"),
            ("merged", "<<"),
        ):
            node.value[:] = before
            node.value[index] = (_scalar(key), kept[1])
            yield how
    node.value[:] = before
