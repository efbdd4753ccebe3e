"""Reads the keys of one mapping: types, spellings, what is unknown, what is not supported.

A reader is made per mapping. Each `text`, `flag`, ... call takes one key; `finish` reports every
key that no call took. Nothing raises: a wrong value becomes a Problem and reads as not given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, KeysView, Mapping
from dataclasses import dataclass
from typing import Any, Final

from semantic.errors import Problem, Span, suggest
from semantic.spec.source import (
    MappingNode,
    Node,
    Place,
    ScalarNode,
    SequenceNode,
    is_nothing,
    to_span,
)

NAME: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*\Z")
MAXIMUM_NAME: Final = 128

_INSTEAD: Final = {
    "values_as_segments": "write a segment for each value",
    "key": "write the key as a dimension of its own; `primary_key: true` tells rows apart",
    "field_type": "`type` says it",
    "case_sensitive": "the engine compares text as it is: write lower({CUBE}.column) as `sql`",
    "includes": "every built-in granularity is there; in a view, name members below `cubes`",
    "excludes": "every built-in granularity is there; in a view, name members below `cubes`",
    "cumulative": "write `rolling_window: {trailing: unbounded}`",
    "rewrite_queries": "write an `access_policy`",
    "context_members": "write an `access_policy`",
    "dialect": "SQL is that of the engine",
    "dimensions": "name members in `includes` below `cubes`",
    "measures": "name members in `includes` below `cubes`",
    "segments": "name members in `includes` below `cubes`",
    "use_original_sql_pre_aggregations": "declare a `rollup`: it is built from the cube itself",
    "sql": "name `columns`",
    "auto_rollup": "declare a `rollup`; `ducat rollups suggest` proposes them",
}
"""What to do instead of a key of Cube that is not supported."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text and the node that it was written in, for the places of problems inside it."""

    value: str
    node: ScalarNode

    @property
    def span(self) -> Span:
        """Where it starts."""
        return self.node.span


def to_snake_case(name: str) -> str:
    """Return `camelCase` as `camel_case`; snake case stays as it is."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class MappingReader:
    """Takes the keys of `node` one by one. `what` names the mapping in messages.

    `known` holds the keys that were asked for, given or not.
    """

    def __init__(self, node: MappingNode, what: str, problems: list[Problem]) -> None:
        self.node = node
        self.what = what
        self.problems = problems
        self.known: list[str] = []
        self._all = node.entries
        self._spelled: dict[str, str] = {}
        if not all(map(str.islower, node.entries)):
            self._all = self._to_snake_case(node.entries)
        self._left = dict(self._all)

    def _to_snake_case(
        self, entries: Mapping[str, tuple[Place, Node]]
    ) -> dict[str, tuple[Place, Node]]:
        found: dict[str, tuple[Place, Node]] = {}
        for key, entry in entries.items():
            name = to_snake_case(key)
            if name in found:
                known = self._spelled[name]
                self.report("duplicate_key", f"`{key}` repeats `{known}`", to_span(entry[0]))
            else:
                found[name] = entry
                self._spelled[name] = key
        return found

    def given_keys(self) -> KeysView[str]:
        """Return every key that is written, with or without a value."""
        return self._all.keys()

    def given(self, *keys: str) -> bool:
        """Return whether one of `keys` has a value, right or wrong, taken or not."""
        for key in keys:
            entry = self._all.get(key)
            if entry is not None and not is_nothing(entry[1]):
                return True
        return False

    def report(
        self, code: str, message: str, span: Span | None = None, suggestion: str | None = None
    ) -> None:
        """Add a problem; without a span it is at the start of the mapping."""
        self.problems.append(Problem(code, message, span or self.node.span, suggestion))

    def peek(self, key: str) -> Node | None:
        """Return the value of a key, which is left to be taken."""
        return self._all[key][1] if key in self._all else None

    def take(self, *keys: str) -> Node | None:
        """Return the value of the first of `keys` (a name and its old names), or None."""
        self.known += keys
        left = self._left
        if not left:
            return None
        if len(keys) == 1:
            entry = left.pop(keys[0], None)
            return None if entry is None or is_nothing(entry[1]) else entry[1]
        found = [(key, self._left.pop(key)) for key in keys if key in self._left]
        for key, (place, _) in found[1:]:
            message = f"`{key}` says the same as `{found[0][0]}`"
            self.report("conflicting_keys", message, to_span(place))
        return None if not found or is_nothing(found[0][1][1]) else found[0][1][1]

    def text(self, *keys: str) -> str | None:
        """Return a text; numbers and booleans are not text."""
        node = self.take(*keys)
        if node is None:
            return None
        found = self._scalar(node, keys[0])
        return found.value if found else None

    def sql(self, key: str) -> Text | None:
        """Return a snippet with its place. A number or boolean written bare is a snippet too."""
        node = self.take(key)
        if node is None:
            return None
        if isinstance(node, ScalarNode) and node.value.strip():
            return Text(node.value, node)
        self._wrong(key, "SQL text", node)
        return None

    def name(self, key: str = "name") -> Text | None:
        """Return an identifier. Missing or malformed is reported."""
        node = self.take(key)
        if node is None:
            self.report("missing_key", f"{self.what} has no `{key}`")
            return None
        return self._identifier(node, key)

    def identifier(self, key: str) -> Text | None:
        """Return an identifier that may be absent."""
        node = self.take(key)
        return None if node is None else self._identifier(node, key)

    def flag(self, *keys: str) -> bool | None:
        """Return true or false."""
        node = self.take(*keys)
        if node is None:
            return None
        value = node.plain() if isinstance(node, ScalarNode) else None
        if isinstance(value, bool):
            return value
        self._wrong(keys[0], "true or false", node)
        return None

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        """Return a mapping of anything."""
        node = self.take(key)
        if node is None or isinstance(node, MappingNode):
            return None if node is None else node.plain()
        self._wrong(key, "a mapping", node)
        return None

    def choice(
        self, key: str, allowed: Mapping[str, str], unsupported: Collection[str] = ()
    ) -> str | None:
        """Return the canonical form of one of the spellings `allowed`."""
        node = self.take(key)
        found = self._scalar(node, key)
        if found is None:
            return None
        if found.value in allowed:
            return allowed[found.value]
        if found.value in unsupported or to_snake_case(found.value) in unsupported:
            self.report("unsupported", f"`{key}: {found.value}` is not supported yet", found.span)
            return None
        names = ", ".join(dict.fromkeys(allowed.values()))
        self.report(
            "invalid_value",
            f"`{found.value}` is no {key} of {self.what}",
            found.span,
            suggest(found.value, allowed) or f"one of {names}",
        )
        return None

    def texts(self, key: str) -> tuple[Text, ...] | None:
        """Return a list of texts."""
        node = self.take(key)
        if node is None:
            return None
        if not isinstance(node, SequenceNode):
            self._wrong(key, "a list", node)
            return None
        found = (self._scalar(item, key) for item in node.items)
        return tuple(text for text in found if text is not None)

    def items(self, key: str) -> tuple[MappingNode, ...]:
        """Return a list of mappings; a mapping of mappings reads as one with the key as `name`."""
        node = self.take(key)
        if node is None:
            return ()
        if isinstance(node, SequenceNode):
            for item in node.items:
                if not isinstance(item, MappingNode):
                    self._wrong(f"an item of `{key}`", "a mapping", item)
            return tuple(item for item in node.items if isinstance(item, MappingNode))
        if isinstance(node, MappingNode):
            return tuple(self._named(node, key))
        self._wrong(key, "a list", node)
        return ()

    def finish(self, unsupported: Collection[str] = ()) -> None:
        """Report every key that was not taken."""
        for name, (place, value) in self._left.items():
            key, span = self._spelled.get(name, name), to_span(place)
            if name not in unsupported:
                self.report(
                    "unknown_key",
                    f"{self.what} has no key `{key}`",
                    span,
                    suggest(name, [*self.known, *unsupported]),
                )
            elif not (isinstance(value, ScalarNode) and value.plain() in {False, None}):
                # Written as false it asks for nothing, so nothing is ignored.
                message = f"`{key}` of {self.what} is not supported yet"
                self.report("unsupported", message, span, _INSTEAD.get(name, "remove it"))

    def _named(self, node: MappingNode, key: str) -> Iterator[MappingNode]:
        for name, (place, value) in node.entries.items():
            if not isinstance(value, MappingNode):
                self._wrong(f"`{name}` in `{key}`", "a mapping", value)
                continue
            entry: dict[str, tuple[Place, Node]] = {"name": (place, ScalarNode(name, "'", place))}
            yield MappingNode(entry | value.entries, value.span)

    def _scalar(self, node: Node | None, key: str) -> Text | None:
        if node is None:
            return None
        if isinstance(node, ScalarNode) and isinstance(node.plain(), str):
            return Text(node.value, node)
        self._wrong(key, "text", node)
        return None

    def _identifier(self, node: Node, key: str) -> Text | None:
        found = self._scalar(node, key)
        if found is None:
            return None
        if NAME.match(found.value) and len(found.value) <= MAXIMUM_NAME:
            return found
        self.report(
            "invalid_name",
            f"`{found.value[:MAXIMUM_NAME]}` is not a name",
            found.span,
            f"use letters, digits and _, not a digit first, at most {MAXIMUM_NAME} of them",
        )
        return None

    def _wrong(self, key: str, expected: str, node: Node) -> None:
        label = key if " " in key else f"`{key}`"
        match node:
            case ScalarNode():
                given = f"`{node.value[:40]}`" if node.value.strip() else "an empty text"
            case SequenceNode():
                given = "a list"
            case MappingNode():
                given = "a mapping"
        self.report("wrong_type", f"{label} must be {expected}, not {given}", node.span)
