"""Which message may come when: the wire without sockets and without SQL.

Theory of operation. A connection is in one phase at a time:

    FIRST ──Startup──▶ LOGIN ──logged_in()──▶ READY ──Terminate──▶ CLOSED
      │  ▲                │                     │  ▲
      │  └ TLS asked, the │ Password            │  └ Sync
      │    answer given   ▼                     ▼
      └ CancelRequest  (the session decides)  SKIPPING: after an error in the extended protocol
        ▶ CLOSED                              everything up to Sync is thrown away

`receive` takes bytes and returns the messages that may be acted on, in order. What may come in a
phase is a table; everything else is a ProtocolError, after which the connection is CLOSED. House
rules: no phase changes but here; the session never looks at bytes, and this file never at SQL.
"""

from __future__ import annotations

import enum
from typing import Final

from api.postgres.errors import ProtocolError
from api.postgres.protocol.messages import (
    Bind,
    CancelRequest,
    Close,
    CopyPart,
    Describe,
    EncryptionRequest,
    Execute,
    FirstMessage,
    Flush,
    FunctionCall,
    Message,
    Parse,
    Password,
    SimpleQuery,
    Startup,
    Sync,
    Terminate,
)
from api.postgres.protocol.reader import LARGEST, Reader

MAXIMUM_REQUESTS: Final = 2  # for encryption: one for TLS, one for GSS


class Phase(enum.Enum):
    """Where a connection is."""

    FIRST = enum.auto()
    LOGIN = enum.auto()
    READY = enum.auto()
    SKIPPING = enum.auto()
    CLOSED = enum.auto()


_EXTENDED: Final = (Parse, Bind, Describe, Execute, Close, Flush)
_ALLOWED: Final[dict[Phase, tuple[type, ...]]] = {
    Phase.LOGIN: (Password, Terminate),
    Phase.READY: (SimpleQuery, *_EXTENDED, Sync, Terminate, CopyPart, FunctionCall),
    Phase.SKIPPING: (SimpleQuery, *_EXTENDED, Sync, Terminate, CopyPart, FunctionCall),
}


class Connection:
    """One connection's phase and the bytes that wait."""

    __slots__ = ("_reader", "_requests", "phase")

    def __init__(self) -> None:
        self._reader = Reader()
        self._requests = 0
        self.phase = Phase.FIRST

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._reader.feed(data)

    def next(self) -> FirstMessage | Message | None:
        """Return the next message to act on, or None until more bytes come.

        Raises:
            ProtocolError: the bytes are no message, or one that may not come now.
        """
        try:
            return self._next()
        except ProtocolError:
            self.phase = Phase.CLOSED
            raise

    @property
    def waiting(self) -> int:
        """How many bytes wait for the rest of their message."""
        return self._reader.waiting

    @property
    def is_between(self) -> bool:
        """Whether no message has begun."""
        return self._reader.is_empty

    def starts_over(self) -> None:
        """Begin anew below encryption. Bytes that came before it are an attack.

        Raises:
            ProtocolError: there are some.
        """
        if not self._reader.is_empty:
            self.phase = Phase.CLOSED
            raise ProtocolError("received unencrypted data after SSL request")
        self.phase = Phase.FIRST

    def logged_in(self) -> None:
        """The session knows its user: queries may come."""
        self.phase = Phase.READY
        self._reader.largest = LARGEST

    def failed(self) -> None:
        """A message of the extended protocol failed: skip to the next Sync."""
        if self.phase is Phase.READY:
            self.phase = Phase.SKIPPING

    def close(self) -> None:
        """Take no more messages."""
        self.phase = Phase.CLOSED

    def _next(self) -> FirstMessage | Message | None:
        while True:
            if self.phase is Phase.CLOSED:
                return None
            if self.phase is Phase.FIRST:
                return self._next_first()
            message = self._reader.read()
            if message is None:
                return None
            if not isinstance(message, _ALLOWED[self.phase]):
                raise ProtocolError(f"{type(message).__name__} may not come now")
            if isinstance(message, Terminate):
                self.phase = Phase.CLOSED
                return message
            if isinstance(message, CopyPart):
                continue  # of a COPY that failed before it began: the protocol says to drop them
            if self.phase is Phase.SKIPPING:
                if isinstance(message, Sync):
                    self.phase = Phase.READY
                    return message
                continue
            return message

    def _next_first(self) -> FirstMessage | None:
        message = self._reader.read_first()
        match message:
            case Startup():
                self.phase = Phase.LOGIN
            case CancelRequest():
                self.phase = Phase.CLOSED
            case EncryptionRequest():
                self._requests += 1
                if self._requests > MAXIMUM_REQUESTS:
                    raise ProtocolError("encryption was asked too often")
            case None:
                pass
        return message
