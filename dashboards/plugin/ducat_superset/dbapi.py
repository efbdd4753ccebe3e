"""PEP 249 over HTTP: a statement is posted, typed rows come back.

There are no transactions and no state on the server, so a connection is only an address, a token
and who the end user is: a name and groups. Values are converted by the type that the server declares, never by
how they look: a decimal stays exact, a time is a `datetime`.
"""

from __future__ import annotations

import datetime
import decimal
import http.client
import json
import time

apilevel = "2.0"
threadsafety = 1
paramstyle = "pyformat"

CONNECT_SECONDS = 10
ANSWER_SECONDS = 120
# A server that restarts is back within seconds; a query that failed is never sent again.
RETRIES = 3
RETRY_SECONDS = 0.5
UNAVAILABLE = 503


class Warning(Exception):  # noqa: A001, N818  (PEP 249's name)
    """PEP 249."""


class Error(Exception):
    """PEP 249."""


class InterfaceError(Error):
    """Wrong use of this module."""


class DatabaseError(Error):
    """The server refused the statement; its sentence is the message."""


class DataError(DatabaseError):
    """PEP 249."""


class OperationalError(DatabaseError):
    """The server cannot be reached."""


class IntegrityError(DatabaseError):
    """PEP 249."""


class InternalError(DatabaseError):
    """PEP 249."""


class ProgrammingError(DatabaseError):
    """PEP 249."""


class NotSupportedError(DatabaseError):
    """PEP 249."""


# The names under which Superset knows a type, by the name that the server gives it.
TYPE_CODES = {
    "string": "VARCHAR",
    "number": "DOUBLE PRECISION",
    "integer": "BIGINT",
    "decimal": "NUMERIC",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}

CONVERTERS = {
    "number": float,
    "decimal": decimal.Decimal,
    "timestamp": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
}


def connect(
    *, host, port, scheme="http", token="", user="", path="", timeout=ANSWER_SECONDS, groups=()
):
    """Return a connection; nothing is sent before the first statement."""
    return Connection(host, port, scheme, token, user, path, timeout, groups)


class Connection:
    """An address, a token, the end user's name and groups."""

    def __init__(self, host, port, scheme, token, user, path, timeout, groups):
        self._host = host
        self._port = port
        self._scheme = scheme
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if user:
            self._headers["X-Ducat-User"] = _header(user)
            if groups:
                # JSON escapes what is not ASCII, so that any name arrives as it is.
                self._headers["X-Ducat-Groups"] = json.dumps(list(groups))
        self._path = path.rstrip("/")
        self._timeout = timeout
        self._running = None

    def cursor(self):
        """Return a cursor."""
        return Cursor(self)

    def commit(self):
        """There is nothing to commit."""

    def rollback(self):
        """There is nothing to roll back."""

    def close(self):
        """End a request that is under way; the server stops its query."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def request(self, method, path, document=None):
        """Return the server's document for a request.

        Raises:
            OperationalError: the server cannot be reached or does not answer in time.
            DatabaseError: it refused; the message is its own sentence.
        """
        body = None if document is None else json.dumps(document).encode()
        for attempt in range(RETRIES + 1):
            try:
                status, content = self._send(method, path, body)
            except ConnectionRefusedError as refused:
                if attempt == RETRIES:
                    raise OperationalError(
                        f"The metrics server does not answer at {self._host}:{self._port}. "
                        "It may be restarting: refresh in a minute"
                    ) from refused
            except (OSError, http.client.HTTPException) as failed:
                raise OperationalError(
                    f"The metrics server at {self._host}:{self._port} broke off: {failed}. "
                    "Refresh in a minute"
                ) from failed
            else:
                if status != UNAVAILABLE or attempt == RETRIES:
                    return _read(status, content)
            time.sleep(RETRY_SECONDS * 2**attempt)
        raise AssertionError("the loop returns or raises")

    def _send(self, method, path, body):
        kind = (
            http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        )
        client = kind(self._host, self._port, timeout=CONNECT_SECONDS)
        self._running = client
        try:
            client.connect()
            client.sock.settimeout(self._timeout)
            client.request(method, self._path + path, body=body, headers=self._headers)
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            self._running = None
            client.close()


class Cursor:
    """One statement and its rows."""

    arraysize = 1000

    def __init__(self, connection):
        self.connection = connection
        self.description = None
        self.rowcount = -1
        self._rows = iter(())

    def execute(self, operation, parameters=None):
        """Send a statement."""
        text = _bind(operation, parameters)
        answer = self.connection.request("POST", "/ducat/v1/sql", {"sql": text})
        if answer.get("truncated"):
            raise DatabaseError("the result is larger than the server may return: ask for less")
        columns = answer["columns"]
        self.description = [
            (column["name"], TYPE_CODES[column["type"]], None, None, None, None, True)
            for column in columns
        ]
        converters = [CONVERTERS.get(column["type"]) for column in columns]
        self.rowcount = len(answer["rows"])
        self._rows = (
            tuple(
                value if value is None or convert is None else convert(value)
                for value, convert in zip(row, converters, strict=True)
            )
            for row in answer["rows"]
        )
        return self

    def executemany(self, operation, parameters):
        """Nothing can be written."""
        raise NotSupportedError("Ducat answers questions; nothing can be written")

    def fetchone(self):
        """Return the next row or None."""
        return next(self._rows, None)

    def fetchmany(self, size=None):
        """Return at most `size` rows."""
        rows = []
        for _ in range(size or self.arraysize):
            row = self.fetchone()
            if row is None:
                break
            rows.append(row)
        return rows

    def fetchall(self):
        """Return the rest of the rows."""
        return list(self._rows)

    def __iter__(self):
        return iter(self.fetchone, None)

    def setinputsizes(self, sizes):
        """PEP 249: may do nothing."""

    def setoutputsize(self, size, column=None):
        """PEP 249: may do nothing."""

    def close(self):
        """Forget the rows."""
        self._rows = iter(())


def _header(user):
    """Return the end user's name as a header may hold it: the server must see exactly this name."""
    try:
        user.encode("latin-1")
    except UnicodeEncodeError as unsendable:
        raise InterfaceError(f"the user name {user!r} cannot be sent to Ducat") from unsendable
    if not user.isprintable():
        raise InterfaceError(f"the user name {user!r} cannot be sent to Ducat")
    return user


def _read(status, content):
    try:
        document = json.loads(content)
    except ValueError as malformed:
        raise OperationalError(f"Ducat answered {status} with what is not JSON") from malformed
    if status >= http.client.BAD_REQUEST:
        message = document.get("error", document) if isinstance(document, dict) else document
        hint = document.get("suggestion") if isinstance(document, dict) else None
        raise DatabaseError(
            f"{message} ({hint})" if hint and hint not in str(message) else str(message)
        )
    return document


def _bind(operation, parameters):
    """Return the statement with its values written in; the server binds them again.

    Without parameters (None) it is sent as it is: Superset has undone SQLAlchemy's doubled percent
    signs by then, and a `%%` that is left is one that somebody looks for. With parameters, also an
    empty set of them, a `%` is always doubled.
    """
    if parameters is None:
        return operation
    if not parameters:
        return operation.replace("%%", "%")
    return operation % {name: _literal(value) for name, value in parameters.items()}


def _literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float, decimal.Decimal)):
        return str(value)
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    text = str(value).replace("'", "''")
    return f"'{text}'"
