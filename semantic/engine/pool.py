"""A bounded pool of PostgreSQL connections, made by Ibis.

Each is read-only, in UTC, and for one query at a time. One that was told to cancel is not used
again: the request could reach the next query. One that broke while it was idle is replaced.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict

from semantic.engine.postgres_values import read_as_text
from semantic.engine.stopped import timed_out, was_cancelled
from semantic.errors import SourceUnavailableError

Connection = psycopg.Connection[tuple[Any, ...]]
_OLDEST: Final = 160_000
_CONNECT_SECONDS: Final = 10
_PAUSE: Final = 0.05
_AGAIN: Final = 0.5


class Lease:
    """A connection that one query has for itself."""

    __slots__ = ("_asked", "connection", "spoiled")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.spoiled = False
        self._asked = 0.0

    def interrupt(self) -> None:
        """Ask the server to stop what runs; asked again only after a while."""
        now = time.monotonic()
        if now - self._asked < _AGAIN:
            return
        self._asked = now
        self.spoiled = True
        try:
            self.connection.cancel_safe(timeout=_CONNECT_SECONDS)
        except psycopg.Error:
            # The server cannot be reached: the query itself finds that out.
            return


class Pool:
    """Lends connections to a database. Safe to use from several threads."""

    def __init__(self, address: str, *, size: int) -> None:
        self._connect = load_ibis()
        self._address = address
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def lend(self, seconds: float, cancelled: threading.Event | None = None) -> Iterator[Lease]:
        """Lend a connection in a transaction that can only read, rolled back at the end.

        Raises:
            SourceUnavailableError: the database cannot be reached.
            QueryTimeoutError, QueryCancelledError: none was free in time.
        """
        self._wait(seconds, cancelled)
        try:
            lease = Lease(self._take())
            try:
                yield lease
            finally:
                self._give_back(lease)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close what is idle; the connections in use are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _wait(self, seconds: float, cancelled: threading.Event | None) -> None:
        deadline = time.monotonic() + seconds
        while not self._free.acquire(timeout=_PAUSE):
            if cancelled is not None and cancelled.is_set():
                raise was_cancelled()
            if time.monotonic() >= deadline:
                raise timed_out(seconds)

    def _take(self) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return open_connection(self._connect, self._address)
            try:
                connection.execute("SELECT 1")
            except psycopg.OperationalError:
                connection.close()  # the server was restarted, or ended an idle session
            else:
                return connection

    def _give_back(self, lease: Lease) -> None:
        connection = lease.connection
        if not connection.closed and not lease.spoiled:
            try:
                connection.rollback()
            except psycopg.Error:
                connection.close()
        with self._lock:
            if not lease.spoiled and not connection.closed and not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def load_ibis() -> Callable[..., Any]:
    """Return what connects to PostgreSQL. It takes a second to load, so only who needs it does.

    Raises:
        SourceUnavailableError: its packages are not installed.
    """
    try:
        import ibis  # noqa: PLC0415

        return cast("Callable[..., Any]", ibis.postgres.connect)
    except (ImportError, AttributeError) as missing:
        raise SourceUnavailableError(
            f"PostgreSQL needs packages that are not installed: {missing}",
            suggestion="install `ducat[server]`",
        ) from missing


def open_connection(connect: Callable[..., Any], address: str) -> Connection:
    """Return a connection that reads only, one state of the data per transaction, in UTC.

    Raises:
        SourceUnavailableError: the address is wrong, or nobody answers there.
    """
    try:
        backend = connect(**_read_address(address))
    except psycopg.Error as failed:
        raise SourceUnavailableError(
            f"the database cannot be reached: {str(failed).strip()}",
            suggestion="compare the address with the server's",
        ) from failed
    connection: Connection = backend.con
    if connection.info.server_version < _OLDEST:
        version = connection.info.server_version // 10_000
        connection.close()
        raise SourceUnavailableError(
            f"the database is PostgreSQL {version}", suggestion="use PostgreSQL 16 or later"
        )
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    # Values are known when a query is planned, and a proxy may change the session behind us.
    connection.prepare_threshold = None
    read_as_text(connection)
    return connection


def _read_address(address: str) -> dict[str, Any]:
    parts: dict[str, Any] = dict(conninfo_to_dict(address))
    if "dbname" in parts:
        parts["database"] = parts.pop("dbname")
    return {"connect_timeout": _CONNECT_SECONDS, "application_name": "ducat", **parts}
