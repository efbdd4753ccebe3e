"""500 random queries over random tables and models: Ducat's answers are those of the rules."""

from __future__ import annotations

from tests.property.ask import Session, judge
from tests.property.cases import PER_WORLD, make_case_query
from tests.property.conftest import CASES
from tests.property.shrink import shrink
from tests.property.soundness import Tally, describe


def test_answers_are_those_of_loops_over_rows(sessions: list[Session]) -> None:
    """A refusal is right only where the rules give no answer, with the code that they say."""
    tally = Tally()
    for number in range(CASES):
        session = sessions[number // PER_WORLD]
        asked = make_case_query(number, session.world)
        outcome = judge(session, asked)
        tally.add(outcome)
        if outcome.verdict == "different":
            raise AssertionError(
                f"case {number}: {outcome.reason}\n"
                + describe(*shrink(session.world, asked, outcome))
            )
    assert tally.answered > 0.8 * CASES, str(tally)
