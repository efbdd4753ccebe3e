"""Random queries over random tables give on PostgreSQL, too, what loops over the rows give.

The worlds, queries and the naive evaluator are those of tests/property, which asks DuckDB.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.property.ask import judge, open_world
from tests.property.cases import PER_WORLD, make_case_query, make_case_world

WORLDS: Final = 6


@pytest.mark.parametrize("number", [index * PER_WORLD for index in range(WORLDS)])
def test_answers_are_those_of_loops_over_rows(number: int) -> None:
    """A refusal is right only where the rules give no answer, with the code that they say."""
    world = make_case_world(number)
    with open_world(world, "postgres") as session:
        for index in range(number, number + PER_WORLD):
            asked = make_case_query(index, world)
            outcome = judge(session, asked)
            assert outcome.verdict != "different", (
                f"case {index}: {outcome.reason}\n{session.sql(asked)}\n"
                f"expected {outcome.expected}\ngot {outcome.found}"
            )
