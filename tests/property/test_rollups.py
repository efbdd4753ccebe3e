"""100 random queries, answered from rollups and from rows: both say the same."""

from __future__ import annotations

from tests.property.cases import PER_WORLD
from tests.property.rollups import ask, find_difference, is_rolled, open_pair

WORLDS = 5


def test_rollups_say_what_the_rows_say() -> None:
    """A long run of the same is `python -m tests.property.rollups`."""
    rolled = 0
    for start in range(0, WORLDS * PER_WORLD, PER_WORLD):
        with open_pair(start) as (pair, _, queries):
            for number, asked in enumerate(queries, start):
                why = find_difference(asked, ask(pair.raw, asked), ask(pair.rolled, asked))
                assert why is None, f"case {number}: {why}"
                rolled += bool(is_rolled(pair.rolled, asked))
    assert rolled > 10
