"""The public keys of an identity provider, fetched from its JWKS address and kept.

A token names its key. A known key needs no network. An unknown one may be new (providers rotate
keys), so the set is fetched once more, but never more often than every `COOLDOWN_SECONDS`: whoever
invents names of keys cannot make this server a hammer, nor wait for the provider on each request.
Keys are renewed in the background while they are in use, and kept through outages of the provider
for `LONGEST_KEPT`; then tokens are refused, because a withdrawn key must not live for ever.

`learn` fetches what a request needs without blocking the event loop; `find` only looks. Both may be
called from any thread.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import structlog

from semantic.errors import SettingsError

TIMEOUT_SECONDS: Final = 5.0
COOLDOWN_SECONDS: Final = 10.0
RENEWED_AFTER: Final = 300.0
LONGEST_KEPT: Final = 24 * 3600.0
LARGEST_SET: Final = 256 * 1024
MOST_KEYS: Final = 100
log = structlog.stdlib.get_logger("ducat.auth")


class KeySet:
    """The keys at one address."""

    def __init__(
        self,
        url: str,
        *,
        cooldown: float = COOLDOWN_SECONDS,
        renewed_after: float = RENEWED_AFTER,
        longest_kept: float = LONGEST_KEPT,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take an address; nothing is fetched yet.

        Raises:
            SettingsError: the address is not https, nor http on this machine.
        """
        self._url = check_address(url)
        self._cooldown = cooldown
        self._renewed_after = renewed_after
        self._longest_kept = longest_kept
        self._timeout = timeout
        self._clock = clock
        self._keys: Mapping[str | None, jwt.PyJWK] = MappingProxyType({})
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = threading.Lock()

    def find(self, header: Mapping[str, Any]) -> jwt.PyJWK | None:
        """Return the key that a token's header names; a token without a name has the only key."""
        now = self._clock()
        if self._fetched is None or now - self._fetched > self._longest_kept:
            return None
        name = header.get("kid")
        if name is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(name) if isinstance(name, str) else None

    async def learn(self, header: Mapping[str, Any]) -> None:
        """Fetch the keys when this header's is not known; renew old ones in the background."""
        now = self._clock()
        if self.find(header) is None:
            if self._may_try(now):
                await asyncio.to_thread(self.fetch)
        elif now - (self._fetched or now) > self._renewed_after and self._may_try(now):
            threading.Thread(target=self.fetch, name="jwks", daemon=True).start()

    def fetch(self) -> None:
        """Fetch the keys, unless that was tried a moment ago; what fails is logged, keys stay."""
        with self._fetching:
            now = self._clock()
            if not self._may_try(now):
                return
            self._tried = now
            try:
                self._keys = read_keys(download(self._url, self._timeout))
            except (OSError, ValueError, HTTPException, jwt.PyJWTError) as failed:
                log.warning("the keys of tokens cannot be fetched", reason=str(failed)[:300])
                return
            self._fetched = now

    def _may_try(self, now: float) -> bool:
        return self._tried is None or now - self._tried >= self._cooldown


def check_address(url: str) -> str:
    """Return an address from which keys may be fetched.

    Raises:
        SettingsError: it is neither https, nor http to this machine itself.
    """
    parts = urlsplit(url)
    is_local = parts.hostname == "localhost" or _is_loopback(parts.hostname or "")
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
        return url
    raise SettingsError(
        "DUCAT_JWT_JWKS_URL is not an https address",
        suggestion="keys that are fetched without TLS can be replaced on the way",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was configured, and from no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


def download(url: str, timeout: float) -> bytes:
    """Return what is at an address, within a time and a size.

    Raises:
        OSError: it cannot be reached, answers an error or a redirect, or is slow.
        ValueError: it is too large.
    """
    opener = urllib.request.build_opener(_NoRedirect())
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310  checked
    deadline = time.monotonic() + timeout
    parts: list[bytes] = []
    size = 0
    with opener.open(request, timeout=timeout) as answer:
        while part := answer.read1(65_536):
            size += len(part)
            if size > LARGEST_SET:
                raise ValueError(f"it has more than {LARGEST_SET} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it took longer than {timeout:g} seconds")
            parts.append(part)
    return b"".join(parts)


def read_keys(written: bytes) -> Mapping[str | None, jwt.PyJWK]:
    """Return the keys of a JWKS by name: those that check signatures and are of a known kind.

    Raises:
        ValueError: it is no JWKS, or holds no such key.
    """
    raw = json.loads(written)
    listed = raw.get("keys") if isinstance(raw, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError("it is no JWKS")
    keys: dict[str | None, jwt.PyJWK] = {}
    for item in listed:
        # A shared secret in a public list would let everyone sign.
        if not isinstance(item, dict) or item.get("kty") == "oct" or item.get("use") == "enc":
            continue
        try:
            key = jwt.PyJWK.from_dict(item)
        except jwt.PyJWTError as unknown:
            log.info("a key of the JWKS is of no use here", reason=str(unknown)[:200])
            continue
        name = key.key_id
        if name is None or isinstance(name, str):
            keys.setdefault(name, key)
    if not keys:
        raise ValueError("it holds no key that checks signatures")
    return MappingProxyType(keys)
