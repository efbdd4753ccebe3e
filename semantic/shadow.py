"""Asks rows again what a rollup said, for a sample of queries, and counts what differs.

Rollups are held to the rows by tests; this holds them to the rows of those who use them. It runs
beside the answers, in one thread, and never keeps one waiting: when it cannot keep up, samples are
left out and counted. A rollup that said something else is read no more until it is built anew.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import pyarrow as pa

from semantic.engine.result import Result
from semantic.errors import DucatError

_LOG: Final = logging.getLogger("ducat.rollups")
_WAITING: Final = 16
_DIGITS: Final = 9
AskRows = Callable[[], Result]
Distrust = Callable[[tuple[str, ...]], None]


@dataclass(slots=True)
class ShadowTally:
    """How many answers from rollups were compared with rows, and how that came out.

    `skipped` could not be compared: too many waited, the tables changed meanwhile, or the rows could
    not be asked.
    """

    compared: int = 0
    different: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class _Sample:
    answer: Result
    ask_rows: AskRows


@dataclass(slots=True)
class Shadow:
    """Compares a `share` (0 to 1) of the answers from rollups. Safe to use from several threads."""

    share: float
    distrust: Distrust
    tally: ShadowTally = field(default_factory=ShadowTally)
    _waiting: queue.Queue[_Sample | None] = field(default_factory=lambda: queue.Queue(_WAITING))
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def consider(self, answer: Result, ask_rows: AskRows) -> None:
        """Compare this answer some time later, when chance says so."""
        if not answer.rollups or random.random() >= self.share:  # noqa: S311 -- no secret
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ducat-shadow", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(_Sample(answer, ask_rows))
        except queue.Full:
            self.tally.skipped += 1

    def stop(self) -> None:
        """End after the one that is being compared; what waits is left out."""
        try:
            while True:
                self._waiting.get_nowait()
                self.tally.skipped += 1
        except queue.Empty:
            self.finish()

    def finish(self) -> None:
        """Compare what waits, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _work(self) -> None:
        while True:
            sample = self._waiting.get()
            if sample is None:
                return
            self._compare(sample)

    def _compare(self, sample: _Sample) -> None:
        answer = sample.answer
        try:
            rows = sample.ask_rows()
        except DucatError as failed:
            _LOG.info("an answer from rollups was not compared: %s", failed.code)
            self.tally.skipped += 1
            return
        if rows.state.snapshot != answer.state.snapshot:
            self.tally.skipped += 1
            return
        self.tally.compared += 1
        if are_equal(answer.table, rows.table) and answer.total == rows.total:
            return
        self.tally.different += 1
        _LOG.error(
            "the rollups %s said something else than the rows, and are read no more until they are "
            "built anew: please report it; columns %s",
            ", ".join(answer.rollups),
            ", ".join(column.member for column in answer.columns),
        )
        self.distrust(answer.rollups)


def are_equal(one: pa.Table, other: pa.Table) -> bool:
    """Whether two answers have the same rows; numbers of floating point to nine digits.

    In any order, because rows that tie in the asked order may come in either.
    """
    if one.num_rows != other.num_rows or one.column_names != other.column_names:
        return False
    return _texts(one) == _texts(other)


def _texts(table: pa.Table) -> list[tuple[str, ...]]:
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return sorted(zip(*columns, strict=True))


def _text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value)
        case int() | float() | Decimal():
            return "0" if value == 0 else f"{float(value):.{_DIGITS}g}"
        case _:
            return repr(value)
