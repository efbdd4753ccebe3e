"""YAML text as a tree in which every key and value knows its line and column.

The tree is built here from libyaml's events, not by PyYAML's constructors: nothing is ever
constructed from a tag, scalars follow YAML 1.2 (`on`, `no` and `1:30` stay text, as in Cube), a
duplicate key is a problem instead of the last one winning, and size, depth and aliases have limits,
so that no file can exhaust the process. A text with Jinja in it is rendered first; its places are
then those of the rendered text, and its file name says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from semantic.errors import Problem, Span
from semantic.spec.template import TemplateProblem, is_template, render_template

try:
    from yaml import CSafeLoader as _Parser
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _LibyamlComposer(CParser):
        """libyaml's own composer, without guessing tags: what has a tag has it written."""

        def resolve(self, *_: object) -> None:
            """Leave the tag open."""

        def descend_resolver(self, *_: object) -> None:
            """Look at no paths."""

        def ascend_resolver(self) -> None:
            """Look at no paths."""

    _Composer: type[_LibyamlComposer] | None = _LibyamlComposer
except ImportError:  # a PyYAML built without libyaml: the same events, slower
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

    _Composer = None

MAXIMUM_CHARACTERS: Final = 2_000_000
MAXIMUM_DEPTH: Final = 40
MAXIMUM_NODES: Final = 200_000

_SIGNS: Final = 1_500
_INDENTED: Final = re.compile(r"^ {100}", re.MULTILINE)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?\Z"
)
_NUMERIC: Final = frozenset("+-.0123456789")
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_CONSTANTS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TELLING: Final = _NUMERIC | {word[0] for word in _CONSTANTS if word}


Place = Span | tuple[str, int, int]
"""A span, or what makes one. A model has ten times as many places as anybody ever asks for."""


def to_span(place: Place) -> Span:
    """Return the span of a place."""
    return place if isinstance(place, Span) else Span(*place)


class ScalarNode:
    """A value as written. `style` is YAML's: "" for plain, or the quote or block sign.

    `lines` is how many lines it takes. Nodes are never changed; they are no dataclasses because
    making those takes three times as long.
    """

    __slots__ = ("_place", "lines", "style", "value")

    def __init__(self, value: str, style: str, place: Place, lines: int = 1) -> None:
        self.value = value
        self.style = style
        self.lines = lines
        self._place = place

    @property
    def span(self) -> Span:
        """Where it starts."""
        return to_span(self._place)

    def plain(self) -> str | int | float | bool | None:
        """Return the value by YAML 1.2: quoted is text, plain may be a number, boolean or null."""
        value = self.value
        if self.style or (value and value[0] not in _TELLING):
            return value
        if value in _CONSTANTS:
            return _CONSTANTS[value]
        if value[0] not in _NUMERIC:
            return value
        if _INTEGER.match(self.value):
            return int(self.value)
        if _FLOAT.match(self.value):
            return float(self.value)
        return self.value

    def place(self, offset: int) -> Span:
        """Return where the character at `offset` of the value stands, as well as can be known."""
        start, before = self.span, self.value[:offset]
        if self.style == "|":
            return Span(start.file, start.line + 1 + before.count("\n"), 1)
        if self.lines > 1:  # folded: the value no longer tells the lines apart
            return start
        quote = 1 if self.style else 0
        return Span(start.file, start.line, start.column + quote + offset)

    def __repr__(self) -> str:
        return f"ScalarNode({self.value!r}, {self.style!r}, {self._place!r})"


class SequenceNode:
    """A list."""

    __slots__ = ("_place", "items")

    def __init__(self, items: tuple[Node, ...], place: Place) -> None:
        self.items = items
        self._place = place

    @property
    def span(self) -> Span:
        """Where it starts."""
        return to_span(self._place)

    def plain(self) -> list[Any]:
        """Return the values without their places."""
        return [item.plain() for item in self.items]


class MappingNode:
    """Keys (text) with their places, and values, in the order written."""

    __slots__ = ("_place", "entries")

    def __init__(self, entries: dict[str, tuple[Place, Node]], place: Place) -> None:
        self.entries = entries
        self._place = place

    @property
    def span(self) -> Span:
        """Where it starts."""
        return to_span(self._place)

    def plain(self) -> dict[str, Any]:
        """Return keys and values without their places."""
        return {key: value.plain() for key, (_, value) in self.entries.items()}


Node = ScalarNode | SequenceNode | MappingNode


def is_nothing(node: Node) -> bool:
    """Return whether a value is null or empty: `title:` with nothing after it is not given."""
    return isinstance(node, ScalarNode) and not node.style and node.value in _NOTHING


def compose_tree(text: str, file: str) -> Node | None:
    """Return the tree of an ordinary text, or None when it must be read from its events.

    Without anchors no value stands twice. At worst two characters make three values (`[?,?]`), so
    that the tree of half as many characters is within the limits.
    """
    if _Composer is None or len(text) >= MAXIMUM_NODES // 2 or "&" in text or _may_be_deep(text):
        return None
    try:
        found = _Composer(text).get_single_node()
        return None if found is None else _convert(found, file, 0)
    except (yaml.YAMLError, UnicodeError, _UnusualError):
        return None


def _may_be_deep(text: str) -> bool:
    """Return whether values may be nested so deeply that composing them needs too much stack.

    A level takes a bracket, a dash or question mark with a space, or a column of indentation.
    """
    signs = sum(map(text.count, ("[", "{", "- ", "? ")))
    return signs > _SIGNS or "\t" in text or _INDENTED.search(text) is not None


class _UnusualError(Exception):
    """The text has what only the reader of events knows how to refuse."""


def _convert(node: Any, file: str, depth: int) -> Node:
    if depth > MAXIMUM_DEPTH or node.tag is not None:
        raise _UnusualError
    start = node.start_mark
    place = (file, start.line + 1, start.column + 1)
    kind = type(node)
    if kind is yaml.ScalarNode:
        if "\0" in node.value:
            raise _UnusualError
        lines = node.end_mark.line - start.line + 1
        return ScalarNode(node.value, node.style or "", place, lines)
    if kind is yaml.SequenceNode:
        return SequenceNode(tuple([_convert(item, file, depth + 1) for item in node.value]), place)
    entries: dict[str, tuple[Place, Node]] = {}
    for key, value in node.value:
        name = key.value
        if not isinstance(key, yaml.ScalarNode) or name in entries or name == "<<" or key.tag:
            raise _UnusualError
        mark = key.start_mark
        entries[name] = ((file, mark.line + 1, mark.column + 1), _convert(value, file, depth + 1))
    return MappingNode(entries, place)


class _RefusedError(Exception):
    """Carries the problem that ends the reading of a file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def decode_source(content: bytes, file: str) -> str | Problem:
    """Return the text of a file, or the problem that it is no text of an acceptable size."""
    if len(content) > MAXIMUM_CHARACTERS:
        return Problem(
            "source_limit",
            f"the file has {len(content):,} bytes; at most {MAXIMUM_CHARACTERS:,} are read",
            Span(file, 1, 1),
            "split it: each cube may have its own file",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as invalid:
        line = content.count(b"\n", 0, invalid.start) + 1
        column = invalid.start - content.rfind(b"\n", 0, invalid.start)
        return Problem(
            "unreadable_file", "the file is not UTF-8 text", Span(file, line, column),
            "save it as UTF-8",
        )  # fmt: skip


def read_source(text: str, file: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """Return the tree of one YAML document and what is wrong with the text.

    The tree is None for an empty document and for a text that cannot be read; with duplicate keys
    it holds the first of each.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        return None, (
            Problem(
                "source_limit",
                f"the text has {len(text):,} characters; at most {MAXIMUM_CHARACTERS:,} are read",
                Span(file, 1, 1),
            ),
        )
    if is_template(text):
        try:
            text = render_template(text)
        except TemplateProblem as failed:
            return None, (Problem("template_error", str(failed), Span(file, failed.line, 1)),)
        file = f"{file} (rendered)"
    tree = compose_tree(text, file)
    if tree is not None:
        return None if is_nothing(tree) else tree, ()
    reader = _TreeReader(file)
    try:
        return reader.read(text), tuple(reader.problems)
    except _RefusedError as refused:
        return None, (*reader.problems, refused.problem)


class _TreeReader:
    """Builds the tree of one file from events."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def read(self, text: str) -> Node | None:
        events = self._events(text)
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._refusal(
                        "yaml_syntax", "the file holds more than one document", event,
                        "remove the line `---` or split the file",
                    )  # fmt: skip
                root = self._node(next(events), events, 0)
        if isinstance(root, ScalarNode) and root.plain() is None:
            return None
        return root

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            parser = _Parser(text)
            while parser.check_event():
                if (event := parser.get_event()) is not None:
                    yield event
        except yaml.MarkedYAMLError as invalid:
            mark = invalid.problem_mark or invalid.context_mark
            span = Span(self.file, mark.line + 1, mark.column + 1) if mark else None
            said = ", ".join(part for part in (invalid.context, invalid.problem) if part)
            raise _RefusedError(
                Problem("yaml_syntax", said or "not YAML", span, _yaml_hint(said))
            ) from invalid
        except (yaml.YAMLError, UnicodeError) as invalid:  # a character that YAML forbids
            line, column = _place_of_control_character(text)
            raise _RefusedError(
                Problem(
                    "yaml_syntax",
                    "the text has a character that YAML does not allow",
                    Span(self.file, line, column),
                )
            ) from invalid

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        span = self._span(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._spend(1, event)
        if depth > MAXIMUM_DEPTH:
            raise self._refusal(
                "source_limit", f"nested deeper than {MAXIMUM_DEPTH} levels", event, None
            )
        if getattr(event, "tag", None) is not None and event.tag != "!":  # type: ignore[attr-defined]
            raise self._refusal(
                "yaml_syntax", "tags are not part of the model format", event, "remove the tag"
            )
        node: Node
        match event:
            case yaml.ScalarEvent():
                if "\0" in event.value:
                    raise self._refusal(
                        "yaml_syntax", "a text has a NUL character", event, "no database takes it"
                    )
                node = ScalarNode(event.value, _style(event), span, _count_lines(event))
            case yaml.SequenceStartEvent():
                node = SequenceNode(tuple(self._items(events, depth)), span)
            case _:
                node = MappingNode(self._entries(events, depth), span)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = (node, self._count - before)
        return node

    def _items(self, events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            yield self._node(event, events, depth + 1)

    def _entries(self, events: Iterator[yaml.Event], depth: int) -> dict[str, tuple[Place, Node]]:
        entries: dict[str, tuple[Place, Node]] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, ScalarNode):
                raise self._refusal("yaml_syntax", "a key must be text", event, None)
            if key.value == "<<" and not key.style:
                raise self._refusal(
                    "unsupported", "merge keys (`<<`) are not supported", event, "use `extends`"
                )
            if key.value in entries:
                first = to_span(entries[key.value][0])
                self.problems.append(
                    Problem(
                        "duplicate_key",
                        f"`{key.value}` is given twice; the first is on line {first.line}",
                        key.span,
                        "remove one of them",
                    )
                )
                continue
            entries[key.value] = (key.span, value)
        return entries

    def _alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self._anchors:
            raise self._refusal("yaml_syntax", f"no anchor &{event.anchor} before", event, None)
        node, size = self._anchors[event.anchor]
        self._spend(size, event)  # an alias counts as what it stands for
        return node

    def _spend(self, nodes: int, event: yaml.Event) -> None:
        self._count += nodes
        if self._count > MAXIMUM_NODES:
            raise self._refusal(
                "source_limit",
                f"the file has more than {MAXIMUM_NODES:,} values (aliases counted in full)",
                event,
                "split it, or use `extends`",
            )

    def _span(self, event: yaml.Event) -> Span:
        mark = event.start_mark
        return Span(self.file, mark.line + 1, mark.column + 1) if mark else Span(self.file, 1, 1)

    def _refusal(
        self, code: str, message: str, event: yaml.Event, suggestion: str | None
    ) -> _RefusedError:
        return _RefusedError(Problem(code, message, self._span(event), suggestion))


def _count_lines(event: yaml.ScalarEvent) -> int:
    start, end = event.start_mark, event.end_mark
    return end.line - start.line + 1 if start and end else 1


def _style(event: yaml.ScalarEvent) -> str:
    style = event.style
    return "" if style in {None, ""} else str(style)


def _yaml_hint(said: str) -> str | None:
    if "'\\t'" in said or "tab character" in said:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in said:
        return "put a text that contains `: ` in quotes"
    return None


def _place_of_control_character(text: str) -> tuple[int, int]:
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if not (character.isprintable() or character in "\t\r\x85\xa0"):
                return number, column
    return 1, 1
