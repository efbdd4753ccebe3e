"""What a door is, and what keeps a question from being asked at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tests.matrix.question import Answer, Kind, Part, Question, Row, Value, read_value

Kinds = Mapping[str, Kind]


class Unspeakable(Exception):  # noqa: N818 -- no error: a word that the door's language has not
    """A door has no words for a part of a question; `limits.py` says why."""

    def __init__(self, feature: str) -> None:
        super().__init__(feature)
        self.feature = feature


class Door(Protocol):
    """A way in."""

    name: str

    def ask(self, question: Question) -> Answer:
        """Return what the door answers.

        Raises:
            Unspeakable: the question cannot be asked here.
        """

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Return how this door shows a value, in what its protocol cannot show as it is."""

    def try_words(self, words: str) -> object:
        """Return what the door answers to a text of its own language; None when it refuses."""

    def close(self) -> None:
        """Let go of the connection."""


def read_part(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], kinds: Kinds, total: int | None = None
) -> Part:
    """Return rows as values; `columns` are names of the query JSON's answers."""
    found: list[Kind] = [kinds[name] for name in columns]
    read: list[Row] = [
        tuple(read_value(cell, kind) for cell, kind in zip(row, found, strict=True)) for row in rows
    ]
    return Part(tuple(columns), tuple(read), total)


def list_columns(document: Mapping[str, Any]) -> list[str]:
    """Return the columns of the answer to one query, in its order."""
    names = list(document.get("dimensions", ()))
    names += [
        f"{item['dimension']}.{item['granularity']}"
        for item in document.get("timeDimensions", ())
        if "granularity" in item
    ]
    measures: list[str] = []
    for item in document.get("measures", ()):
        if isinstance(item, str):
            measures.append(item)
        else:
            owner, _, short = item["measure"].partition(".")
            measures.append(f"{owner}.{item.get('as', short)}")
    compare = document.get("compare")
    if compare:
        measures = [
            name
            for item in measures
            for name in (item, *(f"{item}__{word}" for word in compare["show"]))
        ]
    return names + measures
