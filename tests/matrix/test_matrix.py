"""One number through every door: two hundred questions, each asked everywhere, with one answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from tests.matrix.doors.door import Door, Kinds, Unspeakable
from tests.matrix.drawn import draw_questions
from tests.matrix.limits import LIMITS, Limit
from tests.matrix.question import Answer, Question, Row, read_value
from tests.matrix.site import ask_by_hand
from tests.matrix.special import SPECIAL
from tests.unit.api.conftest import Site

QUESTIONS: Final = [*draw_questions(), *SPECIAL]
REFERENCE: Final = "python"
OTHERS: Final = (
    "rest default", "rest compact", "rest columnar", "graphql", "wire text", "wire binary", "flight",
    "mcp", "arrow", "client",
)  # fmt: skip


@pytest.fixture(scope="session")
def reference(all_doors: dict[str, Door]) -> dict[str, Answer]:
    return {question.name: all_doors[REFERENCE].ask(question) for question in QUESTIONS}


def test_the_matrix_has_two_hundred_questions_of_different_names() -> None:
    assert len(QUESTIONS) >= 200
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    assert sum(question.by_hand is not None for question in QUESTIONS) >= 200


def test_the_answers_are_those_of_sql_written_by_hand(
    reference: dict[str, Answer], matrix_site: Site, kinds: Kinds
) -> None:
    differences = []
    for question in QUESTIONS:
        if question.by_hand is None:
            continue
        answer = reference[question.name]
        found = [row for part in answer.parts for row in part.rows]
        columns = answer.parts[0].columns
        expected: list[Row] = [
            tuple(read_value(cell, kinds[name]) for cell, name in zip(row, columns, strict=True))
            for row in ask_by_hand(matrix_site, question.by_hand)
        ]
        if not _same(found, expected, ordered=question.ordered):
            differences.append((question.name, question.document, *_differ(found, expected)))
    assert not differences, differences[:3]


@pytest.mark.parametrize("name", OTHERS)
def test_a_door_gives_the_same_answers(
    name: str, all_doors: dict[str, Door], reference: dict[str, Answer], kinds: Kinds
) -> None:
    door = all_doors[name]
    allowed = {limit.feature for limit in LIMITS if limit.door == name}
    unasked: set[str] = set()
    differences = []
    for question in QUESTIONS:
        try:
            found = door.ask(question)
        except Unspeakable as unspeakable:
            unasked.add(unspeakable.feature)
            continue
        expected = _as_seen(reference[question.name], door, question, kinds)
        assert len(found.parts) == len(expected.parts), question
        for part, right in zip(found.parts, expected.parts, strict=True):
            is_same = _same(part.rows, right.rows, ordered=question.ordered)
            if not is_same or part.total != right.total:
                shown = (*_differ(part.rows, right.rows), part.total, right.total)
                differences.append((question.name, question.document, shown))
    assert not differences, differences[:3]
    assert unasked == allowed


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.door}: {limit.feature}")
def test_what_a_door_cannot_say_is_refused(limit: Limit, all_doors: dict[str, Door]) -> None:
    for probe in limit.probes:
        answered = all_doors[limit.door].try_words(probe)
        assert answered is None, (probe, answered)


def _as_seen(answer: Answer, door: Door, question: Question, kinds: Kinds) -> Answer:
    return Answer(
        tuple(
            replace(
                part,
                rows=tuple(
                    tuple(
                        door.see(cell, kinds[name], name, question.zone)
                        for cell, name in zip(row, part.columns, strict=True)
                    )
                    for row in part.rows
                ),
            )
            for part in answer.parts
        )
    )


def _same(
    found: tuple[Row, ...] | list[Row], right: tuple[Row, ...] | list[Row], *, ordered: bool
) -> bool:
    return list(found) == list(right) if ordered else Counter(found) == Counter(right)


def _differ(
    found: tuple[Row, ...] | list[Row], right: tuple[Row, ...] | list[Row]
) -> tuple[object, ...]:
    return (
        "found", len(found), [row for row in found if row not in right][:3],
        "right", len(right), [row for row in right if row not in found][:3],
    )  # fmt: skip
