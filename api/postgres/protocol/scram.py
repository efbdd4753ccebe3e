"""SCRAM-SHA-256, the server's half (RFC 5802 and 7677), from the standard library alone.

A verifier is what PostgreSQL keeps: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. It
lets the server check a password, and not know it. An exchange for a user who does not exist runs to
its end like any other, with a salt that is always the same for that name, and fails then.
Channel binding is not offered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from api.postgres.errors import ProtocolError

MECHANISM: Final = "SCRAM-SHA-256"
ITERATIONS: Final = 4096
_MOST_ITERATIONS: Final = 10_000_000
_SALT: Final = 16
_LONGEST: Final = 4096
_VERIFIER: Final = re.compile(
    r"SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})"
)
_FIRST: Final = re.compile(
    r"([yn]|p=[A-Za-z0-9.\-]+),((?:a=[^,]*)?),(n=([^,]*),r=([!-+\--~]+)(,.*)?)"
)
_FINAL: Final = re.compile(r"(c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)),p=([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Verifier:
    """What checks a password."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __str__(self) -> str:
        salt, stored, server = map(_encode, (self.salt, self.stored_key, self.server_key))
        return f"{MECHANISM}${self.iterations}:{salt}${stored}:{server}"


def make_verifier(password: str, *, salt: bytes | None = None) -> Verifier:
    """Return a verifier of a password, with a new salt."""
    chosen = salt or secrets.token_bytes(_SALT)
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), chosen, ITERATIONS)
    stored = hashlib.sha256(_sign(salted, b"Client Key")).digest()
    return Verifier(ITERATIONS, chosen, stored, _sign(salted, b"Server Key"))


def read_verifier(text: str) -> Verifier | None:
    """Return the verifier that a text writes, or None."""
    found = _VERIFIER.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= _MOST_ITERATIONS:
        return None
    try:
        salt, stored, server = (_decode(found[place]) for place in (2, 3, 4))
    except ProtocolError:
        return None
    is_whole = len(stored) == len(server) == hashlib.sha256().digest_size
    return Verifier(int(found[1]), salt, stored, server) if is_whole else None


def pretend_verifier(user: str, secret: bytes) -> Verifier:
    """Return a verifier that no password fits, the same for a name each time."""
    salt = hmac.digest(secret, b"salt " + user.encode(), "sha256")[:_SALT]
    return Verifier(ITERATIONS, salt, secrets.token_bytes(32), secrets.token_bytes(32))


def prepare(password: str) -> bytes:
    """Return a password as SASLprep makes it, or as it is where that does not apply."""
    mapped = "".join(
        " " if stringprep.in_table_c12(letter) else letter
        for letter in password
        if not stringprep.in_table_b1(letter)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    prohibited = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    if not normal or any(check(letter) for letter in normal for check in prohibited):
        return password.encode()
    return normal.encode()


@dataclass(slots=True)
class Exchange:
    """One login. `first` then `last`; both raise ProtocolError for what is no SCRAM."""

    verifier: Verifier
    nonce: str = field(default_factory=lambda: _encode(secrets.token_bytes(18)))
    _first: str = ""
    _answer: str = ""
    _header: str = ""

    def first(self, data: bytes) -> str:
        """Take the client's first message and return the server's."""
        found = _FIRST.fullmatch(_read(data))
        if found is None:
            raise ProtocolError("malformed SCRAM message")
        if found[1].startswith("p"):
            raise ProtocolError("channel binding is not offered", sqlstate="28000")
        self._header, self._first = f"{found[1]},{found[2]},", found[3]
        self.nonce = found[5] + self.nonce
        salt = _encode(self.verifier.salt)
        self._answer = f"r={self.nonce},s={salt},i={self.verifier.iterations}"
        return self._answer

    def last(self, data: bytes) -> str | None:
        """Take the client's last message; return the server's, or None for a wrong password."""
        found = _FINAL.fullmatch(_read(data))
        if found is None:
            raise ProtocolError("malformed SCRAM message")
        if _decode(found[2]) != self._header.encode() or found[3] != self.nonce:
            raise ProtocolError("SCRAM messages do not belong together", sqlstate="28000")
        said = f"{self._first},{self._answer},{found[1]}".encode()
        proof = _decode(found[4])
        signature = _sign(self.verifier.stored_key, said)
        if len(proof) != len(signature):
            raise ProtocolError("malformed SCRAM message")
        key = bytes(left ^ right for left, right in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(key).digest(), self.verifier.stored_key):
            return None
        return f"v={_encode(_sign(self.verifier.server_key, said))}"


def _sign(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as invalid:
        raise ProtocolError("malformed SCRAM message") from invalid


def _read(data: bytes) -> str:
    if len(data) > _LONGEST:
        raise ProtocolError("malformed SCRAM message")
    try:
        return data.decode()
    except UnicodeDecodeError as invalid:
        raise ProtocolError("malformed SCRAM message") from invalid
