"""Answers that are read piece by piece: bounded memory, whatever their number of rows.

A `ResultStream` is what `execute` returns, without the rows: its `head` is a `Result` whose table is
empty and has the stream's schema, so whatever describes a result describes a stream. The rows come
from `read`. Until the last is read, or `close`, the stream holds a connection and the snapshot that
it began with; new tables may come into service meanwhile. An answer that is short is read at once and
holds nothing: a slow reader of it costs nobody anything.

Types are those of `execute`, but for one freedom: a sum of whole numbers, which the engine makes 128
bits wide, is int64 if all values fit. In a long answer nobody knows that before the end, so the engine
is asked beforehand (in the same snapshot); with `wide` it is not asked, and such columns stay
decimal128(38, 0) in every answer, long or short: then the schema follows from the query alone.

What fails before the first row is raised by the engine's `stream`, what fails later by `read`, and
after that the stream is closed: an answer either ends with None or with an error, never just so.

    with layer.stream(query, context, now=now, cancelled=cancelled) as rows:
        write(rows.schema, rows.head)
        while (batch := rows.read()) is not None:
            write(batch)

The deadline counts the time that the engine works, not the time that the reader takes between two
reads; whoever reads for others must itself put a limit to their patience. `cancelled` stops the
engine in the middle of a read. A stream may move between threads, but is for one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Self

import pyarrow as pa

from semantic.engine.result import Result

BATCH_ROWS: Final = 16_384
# An answer of at most so many rows is read at once. No limit that a door sets itself is larger.
WINDOW_ROWS: Final = 65_536


class ResultStream:
    """An answer whose rows are read one batch after the other."""

    __slots__ = ("_batches", "_release", "head", "whole")

    def __init__(
        self,
        head: Result,
        batches: Iterator[pa.RecordBatch],
        release: Callable[[], None] | None = None,
    ) -> None:
        """`release` gives back what the batches are read from; it is called once."""
        self.head = head
        self.whole: Result | None = None
        """The answer with all rows, when it was read at once; until the stream is closed."""
        self._batches = batches
        self._release = release

    @classmethod
    def of(cls, result: Result) -> ResultStream:
        """Return a result that is there already, as a stream; it holds nothing of an engine."""
        batches = result.table.to_batches(max_chunksize=BATCH_ROWS)
        stream = cls(result.without_rows(), iter(batches))
        stream.whole = result
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def schema(self) -> pa.Schema:
        """The schema of all batches."""
        return self.head.table.schema

    @property
    def is_held(self) -> bool:
        """Whether a connection of the engine is held."""
        return self._release is not None

    def read(self) -> pa.RecordBatch | None:
        """Return the next rows, at least one; None after the last, and when the stream is closed.

        Raises:
            QueryTimeoutError, QueryCancelledError: the query was stopped.
            EngineError: the database failed.
        """
        try:
            batch = next(self._batches, None)
        except BaseException:
            self.close()
            raise
        if batch is None:
            self.close()
        return batch

    def close(self) -> None:
        """Stop the query if it still runs, and give its connection back. May be called again."""
        release, self._release = self._release, None
        self._batches = iter(())
        self.whole = None
        if release is not None:
            release()
