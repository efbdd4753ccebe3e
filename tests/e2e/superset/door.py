"""Superset as a browser without a page sees it: a cookie of a login, or a guest token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import jwt

AUDIENCE: Final = "http://0.0.0.0:8080/"  # Superset's default: its own address, as it is told


def open_door(url: str, **headers: str) -> httpx.Client:
    """Return a client of nobody."""
    return httpx.Client(
        base_url=url,
        timeout=120,
        trust_env=False,
        headers={"Accept": "application/json", "Referer": url, **headers},
    )


def sign_in(url: str, user: str, password: str) -> httpx.Client:
    """Return a client with the cookie of a login through the login page's form."""
    client = open_door(url)
    page = client.get("/login/").text
    found = re.search(r'id="csrf_token"\s+value="([^"]+)"', page)
    assert found is not None, page[:500]
    form = {"username": user, "password": password, "csrf_token": found[1]}
    answer = client.post("/login/", data=form)
    assert answer.status_code == httpx.codes.FOUND, answer.text
    token = client.get("/api/v1/security/csrf_token/")
    assert token.status_code == httpx.codes.OK, token.text
    client.headers["X-CSRFToken"] = token.json()["result"]
    return client


@dataclass(frozen=True, slots=True)
class Mint:
    """Makes guest tokens with a key, as Superset does, or as somebody else would."""

    secret: str
    audience: str = AUDIENCE

    def make(
        self,
        *dashboards: str,
        user: str = "gus",
        rls: tuple[str, ...] = (),
        expires_in: timedelta = timedelta(minutes=5),
        algorithm: str = "HS256",
        **more: Any,
    ) -> str:
        """Return a token for dashboards by their embedded ids."""
        now = datetime.now(UTC)
        claims = {
            "user": {"username": user},
            "resources": [{"type": "dashboard", "id": item} for item in dashboards],
            "rls_rules": [{"clause": clause} for clause in rls],
            "iat": now - timedelta(hours=1),
            "exp": now + expires_in,
            "aud": self.audience,
            "type": "guest",
        }
        return jwt.encode(claims | more, self.secret, algorithm=algorithm)
