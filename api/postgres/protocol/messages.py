"""What a client may send, as values. Nothing here knows of bytes or sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Startup:
    """The first packet of a session: the protocol's minor version, `user`, `database` and others."""

    minor: int
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EncryptionRequest:
    """Asks for TLS or GSS before anything else; answered with one byte."""

    kind: Literal["tls", "gss"]


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Comes on a connection of its own; names the session whose query is to stop."""

    process: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Password:
    """A password, or a step of SASL, as the server's last question says."""

    body: bytes


@dataclass(frozen=True, slots=True)
class SimpleQuery:
    """One text with any number of statements."""

    text: str


@dataclass(frozen=True, slots=True)
class Parse:
    """Names a statement; `types` are OIDs of its parameters, 0 where the server is to find out."""

    name: str
    text: str
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    """Gives a statement its values. A format is 0 for text and 1 for binary."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """Asks for the columns of a statement or a portal."""

    kind: Literal["statement", "portal"]
    name: str


@dataclass(frozen=True, slots=True)
class Execute:
    """Asks for rows of a portal, all of them when `limit` is 0."""

    portal: str
    limit: int


@dataclass(frozen=True, slots=True)
class Close:
    """Forgets a statement or a portal."""

    kind: Literal["statement", "portal"]
    name: str


@dataclass(frozen=True, slots=True)
class Sync:
    """Ends a batch: the server answers with its state."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Asks for what the server has to say so far."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ends the session."""


@dataclass(frozen=True, slots=True)
class CopyPart:
    """Data, end or failure of a COPY that the server never asks for."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a function by its OID: an old part of the protocol that is refused."""


FirstMessage = Startup | EncryptionRequest | CancelRequest
Message = (
    Password
    | SimpleQuery
    | Parse
    | Bind
    | Describe
    | Execute
    | Close
    | Sync
    | Flush
    | Terminate
    | CopyPart
    | FunctionCall
)
