"""What a session keeps: statements that were read, and statements with values."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa
from sqlglot import exp

from api.postgres.commands import Command
from api.postgres.errors import SqlError
from api.postgres.query.answer import Trace
from api.postgres.query.parameters import Value
from api.postgres.types import PgType

T = TypeVar("T")


class Ask(Protocol):
    """Runs work in the pool, recorded and cancellable."""

    def __call__(
        self, work: Callable[[threading.Event], T], trace: Trace, seconds: float
    ) -> Awaitable[T]:
        """Return what the work returns; at most `seconds`, when they are not 0."""


@dataclass(slots=True)
class Prepared:
    """A statement that was read. `schema` is what it was described with, once it was."""

    command: Command | None  # None: an empty statement
    types: tuple[PgType, ...] = ()
    tree: exp.Query | None = None
    schema: pa.Schema | None = None
    text: str | None = None  # what the tree was read from, when it has no parameters


@dataclass(slots=True)
class Portal:
    """A statement with values. `table` is its answer once it was computed."""

    prepared: Prepared
    values: tuple[Value, ...] = ()
    formats: tuple[int, ...] = ()
    table: pa.Table | None = None
    place: int = 0
    held: bool = False
    is_cursor: bool = False
    started: bool = False


def check_no_parameters(prepared: Prepared) -> None:
    """Refuse a statement of a simple query that has parameters: nobody gives their values."""
    if prepared.types:
        raise SqlError("there is no parameter $1", sqlstate="42P02")


def aborted() -> SqlError:
    """Return the error of a statement in a transaction that has failed."""
    return SqlError(
        "current transaction is aborted, commands ignored until end of transaction block",
        sqlstate="25P02",
    )


def choose_formats(portal: Portal, table: pa.Table) -> list[int]:
    """Return the format of each column, 0 for text and 1 for binary.

    Raises:
        SqlError: the portal was bound with formats for another number of columns.
    """
    count, given = table.num_columns, portal.formats
    if len(given) not in {0, 1, count}:
        raise SqlError(
            f"bind message has {len(given)} result formats but query has {count} columns",
            sqlstate="08P01",
        )
    if not given:
        return [0] * count
    return list(given) if len(given) == count else list(given) * count
