"""A model that is wrong in one place is refused with line and column, or means what it says.

A sample of what `hostile_yaml` makes of the shipped model and of every conformance model: no key
that is misspelt is passed over, no value of another type ends in anything but a problem.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError, Problem
from tests.unit.semantic.catalog.hostile_yaml import VALUES, Wrong, list_wrongs

ROOT = Path(__file__).parents[4]
SETS = sorted((ROOT / "tests" / "conformance" / "cube").rglob("*.json"))
SAMPLE = 10
"""One in so many of all that is wrong is tried; another number tries others."""

MISSPELT = ("misspelt", "foreign", "merged")
NEEDED = ("cubes[].name", "cubes[].dimensions[].type", "cubes[].measures[].type", "views[].name")


def list_models() -> Iterator[str]:
    for path in SETS:
        case = json.loads(path.read_text())
        yield case.get("model_duckdb", case["model"])


def list_sample() -> Iterator[Wrong]:
    seen: dict[str, int] = {}
    for model in list_models():
        yield from list_wrongs(model, seen, choose)


def choose(path: str, how: str) -> bool:
    chosen = zlib.crc32(f"{path} {how}".encode()) % SAMPLE == 0
    return chosen or (path in NEEDED and how == "removed")


def load(text: str) -> tuple[Problem, ...]:
    """Return what is wrong with a model; anything but a ModelError ends the test."""
    try:
        load_catalog_from_text({"model.yml": text})
    except ModelError as refused:
        return tuple(refused.problems)
    return ()


def test_what_is_wrong_is_refused_with_its_place_or_means_something() -> None:
    passed_over, without_place, tried, ways = [], [], 0, set()
    for wrong in list_sample():
        tried += 1
        ways.add(wrong.how)
        problems = load(wrong.text)
        if any(problem.span is None for problem in problems):
            without_place.append((wrong.path, wrong.how))
        must = wrong.how in MISSPELT or (wrong.how == "removed" and wrong.path in NEEDED)
        if must and not problems:
            passed_over.append((wrong.path, wrong.how))
    assert passed_over == []
    assert without_place == []
    assert tried > 200
    assert ways == {*VALUES, *MISSPELT, "removed", "twice"}


@pytest.mark.parametrize("how", sorted(VALUES))
@pytest.mark.parametrize("place", ["document", "cubes", "views", "view_groups"])
def test_a_document_of_anything_is_refused_or_empty(place: str, how: str) -> None:
    value = {
        "null": "null", "empty": '""', "list": "[[red]]", "no_items": "[]",
        "mapping": "{colour: red}", "no_keys": "{}", "number": "-17.5", "flag": "true",
        "long": "x" * 30_000, "nul": '"a\\0b"', "emoji": '"🛫 \\u202e"', "brace": '"{"',
        "quote": '"\'; DROP TABLE x; --"',
    }[how]  # fmt: skip
    text = value if place == "document" else f"{place}: {value}"
    problems = load(text)
    assert all(problem.span for problem in problems)
    assert problems or how in {"null", "empty", "no_items", "no_keys"}
