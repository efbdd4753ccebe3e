"""API keys: long-lived tokens for programs, of which only the hash is kept.

A key is `dk_<id>_<secret>`; the secret has 256 random bits, so one SHA-256 is enough: nothing can be
guessed that a slow hash would slow down. The file holds id, hash, user, groups and times. It is read
again when it has changed, so that a revoked key is refused within a request, by every process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from api.errors import AuthenticationError, UnknownKeyError
from semantic.errors import SettingsError
from semantic.query.context import SecurityContext

PREFIX: Final = "dk_"
KEY: Final = re.compile(r"dk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret. `expires` None means never. Times are ISO 8601 in UTC."""

    id: str
    hash: str
    user: str
    groups: tuple[str, ...]
    note: str
    created: str
    expires: str | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether the key's time has passed."""
        return self.expires is not None and now >= datetime.fromisoformat(self.expires)


class KeyFile:
    """The keys of one file. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: Mapping[str, ApiKey] = MappingProxyType({})

    def authenticate(self, key: str, now: datetime) -> SecurityContext:
        """Return who holds a key.

        Raises:
            AuthenticationError: it is not one, was revoked, or its time has passed.
        """
        match = KEY.fullmatch(key)
        found = self.read().get(match[1]) if match else None
        given = hash_secret(match[2] if match else "")
        # A hash is compared even for an unknown id, so that times tell nothing.
        is_right = hmac.compare_digest(given, found.hash if found else hash_secret("-"))
        if found is None or not is_right or found.is_expired(now):
            raise AuthenticationError("Invalid token")
        claims = {"sub": found.user, "groups": list(found.groups), "apiKey": found.id}
        return SecurityContext(
            user=found.user, groups=found.groups, claims=MappingProxyType(claims)
        )

    def read(self) -> Mapping[str, ApiKey]:
        """Return the keys by id; none when there is no file.

        Raises:
            SettingsError: the file cannot be read.
        """
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return MappingProxyType({})
        except OSError as unreadable:
            raise SettingsError(f"{self.path} cannot be read: {unreadable}") from unreadable
        stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        with self._lock:
            if stamp != self._stamp:
                self._keys, self._stamp = _load(self.path), stamp
            return self._keys

    def create(
        self,
        user: str,
        groups: tuple[str, ...],
        *,
        now: datetime,
        lifetime: timedelta | None = None,
        note: str = "",
    ) -> tuple[str, ApiKey]:
        """Add a key and return its text, which is shown this once, and what is kept of it."""
        secret = secrets.token_urlsafe(32)
        made = ApiKey(
            id=secrets.token_hex(6),
            hash=hash_secret(secret),
            user=user,
            groups=groups,
            note=note,
            created=now.isoformat(timespec="seconds"),
            expires=(now + lifetime).isoformat(timespec="seconds") if lifetime else None,
        )
        with self._changed() as keys:
            keys[made.id] = made
        return f"{PREFIX}{made.id}_{secret}", made

    def revoke(self, key_id: str) -> ApiKey:
        """Remove a key and return it.

        Raises:
            UnknownKeyError: there is none of that id.
        """
        with self._changed() as keys:
            if key_id not in keys:
                raise UnknownKeyError(
                    f"there is no API key {key_id[:100]}", suggestion="`ducat keys list` shows them"
                )
            return keys.pop(key_id)

    @contextlib.contextmanager
    def _changed(self) -> Iterator[dict[str, ApiKey]]:
        """Lock the file against other writers, yield its keys, and replace it by them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = dict(self.read())
            yield keys
            written = orjson.dumps(
                {"keys": [asdict(key) for key in keys.values()]}, option=orjson.OPT_INDENT_2
            )
            fresh = self.path.with_suffix(f".{secrets.token_hex(4)}")
            with os.fdopen(
                os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as file:
                file.write(written + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)


def hash_secret(secret: str) -> str:
    """Return the hash that is kept of a key's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def describe_key(key: ApiKey, now: datetime | None = None) -> dict[str, Any]:
    """Return what may be shown of a key: everything but its hash."""
    described = asdict(replace(key, hash=""))
    del described["hash"]
    return described | {"expired": key.is_expired(now or datetime.now(UTC))}


def _load(path: Path) -> Mapping[str, ApiKey]:
    try:
        raw = orjson.loads(path.read_bytes())
        keys = [ApiKey(**{**item, "groups": tuple(item["groups"])}) for item in raw["keys"]]
        for key in keys:
            key.is_expired(datetime.now(UTC))  # a malformed time fails here, not at a request
    except (OSError, ValueError, TypeError, KeyError) as malformed:
        raise SettingsError(
            f"{path} is no file of API keys: {malformed}",
            suggestion="it is written by `ducat keys create`",
        ) from malformed
    return MappingProxyType({key.id: key for key in keys})
