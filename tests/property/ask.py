"""Asks Ducat, and judges what it says by what the naive evaluator says."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from semantic.catalog.load import ModelLoader
from semantic.engine.postgres import PostgresEngine
from semantic.errors import DucatError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.conformance.cases import EngineName
from tests.conformance.engines import make_database
from tests.golden.queries.layer import open_layer, write_project
from tests.property.compare import find_difference
from tests.property.evaluate import Answer, answer
from tests.property.model import World
from tests.property.model_text import GROUP, write_model, write_seed
from tests.property.queries import Asked, write_query
from tests.property.trees import Refused, TooLarge

# What no caller may ever see.
DEFECTS: Final = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
CALLER: Final = SecurityContext("ann", (GROUP,))
NOW: Final = datetime(2024, 6, 15, 12, tzinfo=UTC)
REFUSALS: Final = frozenset(
    {"no_join_path", "ambiguous_join_path", "unsafe_aggregation", "unsupported"}
)
# What may be refused although the rules give an answer: code and a part of the message; and why.
ALLOWED: Final[tuple[tuple[str, str, str], ...]] = ()
Verdict = Literal["answered", "refused", "different", "passed over"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case. `code` says how Ducat refused; `expected` and `found` are for people."""

    verdict: Verdict
    code: str | None = None
    reason: str = ""
    expected: str = ""
    found: str = ""


class TracebackError(DucatError):
    """Ducat failed with an exception that is none of its own: always a difference."""

    code = "traceback"


class Session:
    """A layer over a world, as long as it is asked."""

    def __init__(self, world: World, layer: SemanticLayer) -> None:
        self.world = world
        self.total: int | None = None  # of the last answer
        self._layer = layer

    def ask(self, asked: Asked) -> list[dict[str, Any]]:
        """Return Ducat's rows.

        Raises:
            DucatError: it refused.
        """
        query = parse_json(write_query(asked))
        try:
            result = self._layer.load(query, CALLER, now=NOW)
        except DEFECTS as defect:
            raise TracebackError(f"{type(defect).__name__}: {defect}") from defect
        self.total = result.total
        found: list[dict[str, Any]] = result.table.to_pylist()
        return found

    def ask_pages(self, asked: Asked, size: int) -> list[dict[str, Any]]:
        """Return the rows of all pages of that size, one page after the other.

        Raises:
            DucatError: it refused.
        """
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask(dataclasses.replace(asked, limit=size, offset=len(found)))
            found += page
            if len(page) < size:
                return found

    def sql(self, asked: Asked) -> str:
        """Return the SQL that Ducat runs, or why there is none."""
        try:
            query = parse_json(write_query(asked))
            compiled = self._layer.compile(query, CALLER, now=NOW)
        except DucatError as refused:
            return f"-- {refused.code}: {refused}"
        except DEFECTS as defect:
            return f"-- {type(defect).__name__}: {defect}"
        return f"{compiled.sql}\n-- {compiled.values}"


@contextmanager
def open_world(world: World, engine: EngineName = "duckdb") -> Iterator[Session]:
    """Lend a session on a world's tables and model."""
    with tempfile.TemporaryDirectory(prefix="ducat-soundness-") as folder:
        path = Path(folder)
        if engine == "duckdb":
            seed = write_seed(world)
            # Every other world is planned as if its tables were large.
            layer = open_layer(path, write_model(world), seed, eager=len(seed) % 2 == 0)
        else:
            project = write_project(path, write_model(world))
            loader = ModelLoader(project.model, dialect="postgres")
            address = make_database(write_seed(world))
            running = PostgresEngine(address, timeout_seconds=60, connections=1)
            layer = SemanticLayer(loader, running)
        try:
            yield Session(world, layer)
        finally:
            layer.close()


def judge(session: Session, asked: Asked) -> Outcome:
    """Return how Ducat's answer to one query compares with the rules."""
    try:
        expected = answer(session.world, asked)
    except TooLarge:
        return Outcome("passed over")
    except Refused as refused:
        return _judge_refusal(session, asked, refused.codes)
    return _judge_answer(session, asked, expected)


def _judge_answer(session: Session, asked: Asked, expected: Answer) -> Outcome:
    wanted = "\n".join(map(str, expected.rows))
    try:
        found = (
            session.ask(asked)
            if asked.pages is None
            else session.ask_pages(asked, max(asked.pages, len(expected.rows) // 4))
        )
    except DucatError as refused:
        if refused.code in expected.refusable or is_allowed(refused):
            return Outcome("refused", refused.code)
        reason = f"refused with {refused.code}: {refused}"
        return Outcome("different", refused.code, reason, wanted)
    difference = find_difference(expected, found, asked.limit, asked.offset)
    if difference is None and asked.total and session.total != len(expected.rows):
        difference = f"a total of {session.total} instead of {len(expected.rows)}"
    if difference is None:
        return Outcome("answered")
    return Outcome("different", None, difference, wanted, "\n".join(map(str, found)))


def _judge_refusal(session: Session, asked: Asked, codes: frozenset[str]) -> Outcome:
    """Any refusal of the planner will do: which of several causes is found first, is not said."""
    wanted = f"refused with {' or '.join(sorted(codes))}"
    try:
        found = session.ask(asked)
    except DucatError as refused:
        if refused.code in REFUSALS:
            return Outcome("refused", refused.code)
        reason = f"refused with another code, {refused.code}: {refused}"
        return Outcome("different", refused.code, reason, wanted)
    reason = "answered what the rules give no answer to"
    return Outcome("different", None, reason, wanted, "\n".join(map(str, found)))


def is_allowed(refused: DucatError) -> bool:
    """Whether this refusal is declared in ALLOWED."""
    return any(code == refused.code and text in str(refused) for code, text, _ in ALLOWED)
