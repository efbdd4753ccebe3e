"""What an earlier load found, and whether it still holds.

Linking a cube is a pure function of its spec and of what it looks up in the other cubes. A
`Recorder` notes every look-up, so that a result may be used again as long as each would give the
same object. Iterating over all names, as a suggestion for a misspelt one does, is noted as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from semantic.errors import Problem

Input = TypeVar("Input")
Looked = TypeVar("Looked")
Output = TypeVar("Output")


class Recorder(Mapping[str, Looked]):
    """A mapping that remembers what was looked up in it."""

    __slots__ = ("_items", "listed", "seen")

    def __init__(self, items: Mapping[str, Looked]) -> None:
        self._items = items
        self.seen: dict[str, Looked | None] = {}
        self.listed = False

    def __getitem__(self, name: str) -> Looked:
        found = self._items[name]
        self.seen[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._look(name) is not None

    def __iter__(self) -> Iterator[str]:
        self.listed = True
        return iter(self._items)

    def __len__(self) -> int:
        self.listed = True
        return len(self._items)

    def _look(self, name: str) -> Looked | None:
        if name not in self.seen:
            self.seen[name] = self._items.get(name)
        return self.seen[name]


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[Input, Looked, Output]):
    """A result, what it was made of, and what was looked up on the way."""

    source: Input
    output: Output
    problems: tuple[Problem, ...]
    seen: Mapping[str, Looked | None]
    names: tuple[str, ...] | None  # when they were listed

    def holds(self, items: Mapping[str, Looked]) -> bool:
        if self.names is not None and self.names != tuple(items):
            return False
        return all(items.get(name) is found for name, found in self.seen.items())


class Recall(Generic[Input, Looked, Output]):
    """Makes outputs of inputs, or finds those of the round before. Inputs are told by identity."""

    __slots__ = ("_make", "_now", "_old")

    def __init__(
        self, make: Callable[[Input, Mapping[str, Looked], list[Problem]], Output]
    ) -> None:
        self._make = make
        self._old: dict[int, _Remembered[Input, Looked, Output]] = {}
        self._now: dict[int, _Remembered[Input, Looked, Output]] = {}

    def find(self, source: Input, items: Mapping[str, Looked], problems: list[Problem]) -> Output:
        """Return the output of `source`; what is wrong with it is added to `problems`."""
        known = self._old.get(id(source))  # it holds the source, so the number is not used again
        if known is None or not known.holds(items):
            recorder, found = Recorder(items), list[Problem]()
            output = self._make(source, recorder, found)
            names = tuple(items) if recorder.listed else None
            known = _Remembered(source, output, tuple(found), recorder.seen, names)
        self._now[id(source)] = known
        problems.extend(known.problems)
        return known.output

    def forget_others(self) -> None:
        """End a round: what it did not ask for is forgotten."""
        self._old, self._now = self._now, {}
