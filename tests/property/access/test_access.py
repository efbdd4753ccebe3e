"""Nothing leaks: through each door, a caller gets what a world without the forbidden would answer.

Random models with random policies; random callers and requests, most of them curious. Answers and
refusals are equal to the letter: what is hidden is what is not there. `python -m
tests.property.access 1000` asks more.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.property.access.judge import Tally, judge_world

WORLDS = 5
REQUESTS = 20


@pytest.mark.parametrize("number", range(WORLDS))
def test_a_caller_gets_what_a_world_without_the_forbidden_answers(
    number: int, tmp_path: Path
) -> None:
    tally = Tally()
    asyncio.run(judge_world(f"access {number}", tmp_path, REQUESTS, tally))
    assert not tally.differences, tally.differences[0]
    assert tally.cases == REQUESTS * 3
    assert tally.answered > 0
