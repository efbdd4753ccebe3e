"""The worlds of the normal run, opened once for all the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.property.ask import Session, open_world
from tests.property.cases import PER_WORLD, make_case_world

CASES = 500


@pytest.fixture(scope="session")
def sessions() -> Iterator[list[Session]]:
    """Sessions on the worlds of the first 500 cases, in order."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(open_world(make_case_world(number)))
            for number in range(0, CASES, PER_WORLD)
        ]
