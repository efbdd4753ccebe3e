"""Rows of a PostgreSQL table, incremental by a column that says when a row was last changed.

One query is one consistent read. Rows that share the newest time may have been committed after
the last read, so the next read begins at that time, not after it; when it finds exactly the rows
that it had seen there, there is nothing new.

Two things are out of reach of such a column: a row that was deleted stays in the lake, and a row
whose transaction committed after a read, with a time before that read's newest, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import ibis
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from ibis.common.exceptions import TableNotFound

from flows.errors import SourceMalformedError
from flows.pipeline import Batch, Position
from flows.sources.address import read_address
from flows.sources.digest import digest_rows
from flows.sources.retry import read_with_retries


@dataclass(frozen=True, slots=True)
class PostgresTable:
    """A table, the variable with its server's address, and the column of the last change."""

    variable: str
    table: str
    changed_at: str = "updated_at"
    schema: str = "public"

    def extract(self, position: Position) -> Iterator[Batch]:
        """Yield at most one batch: the rows that were changed since the position.

        Raises:
            SourceMissingError: the address is not set.
            SourceDownError: the server did not answer, after all retries.
            SourceMalformedError: the table is not there, or a row has no time of its last change.
        """
        address = read_address(self.variable, means="the address of the operational database")
        since, seen = _read_cursor(position.cursor)
        rows = read_with_retries(
            f"PostgreSQL table {self.schema}.{self.table}",
            lambda: self._read(address, since),
            errors=(psycopg.OperationalError, psycopg.InterfaceError),
        )
        if rows.num_rows == 0:
            return
        if rows[self.changed_at].null_count:
            raise SourceMalformedError(
                f"{rows[self.changed_at].null_count} rows of PostgreSQL table "
                f"{self.schema}.{self.table} have no {self.changed_at}",
                suggestion="fill it: without it nobody can say whether a row has changed",
            )
        newest = pc.max(rows[self.changed_at]).as_py()
        edge = digest_rows(rows.filter(pc.equal(rows[self.changed_at], newest)))
        if since == newest and edge == seen:
            return
        yield Batch(
            id=f"{self.schema}.{self.table}@{newest.isoformat()}#{digest_rows(rows)}",
            rows=rows,
            cursor=f"{newest.isoformat()}|{edge}",
        )

    def _read(self, address: str, since: datetime | None) -> pa.Table:
        connection = ibis.connect(address)
        try:
            try:
                rows = connection.table(self.table, database=self.schema)
            except TableNotFound as missing:
                raise SourceMalformedError(
                    f"PostgreSQL has no table {self.schema}.{self.table}"
                ) from missing
            if self.changed_at not in rows.columns:
                raise SourceMalformedError(
                    f"PostgreSQL table {self.schema}.{self.table} has no column {self.changed_at}",
                    suggestion="it says which rows are new: bring it back, or name another one",
                )
            if since is not None:
                changed = rows[self.changed_at]
                rows = rows.filter(
                    (changed >= ibis.timestamp(since.isoformat())) | changed.isnull()
                )
            return rows.to_pyarrow()
        finally:
            connection.disconnect()


def _read_cursor(cursor: str | None) -> tuple[datetime | None, str]:
    if cursor is None:
        return None, ""
    since, _, seen = cursor.partition("|")
    return datetime.fromisoformat(since), seen
