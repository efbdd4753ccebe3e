"""A small OpenID Connect provider: discovery, authorize, token, keys, userinfo; code flow with PKCE.

People and what is signed about them are given by the test, and so is what the provider does wrong:
`flaw` changes the ID token as a forger or a careless provider would.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT: Final = "superset"
SECRET: Final = "the client's secret at the provider"


def _make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class Provider:
    """What the provider knows, and what it was asked."""

    url: str
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    flaw: str = ""
    key: rsa.RSAPrivateKey = field(default_factory=_make_key)
    other_key: rsa.RSAPrivateKey = field(default_factory=_make_key)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def discover(self) -> dict[str, Any]:
        """Return the discovery document."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def list_keys(self) -> dict[str, Any]:
        """Return the public key."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]}

    def choose(self, asked: dict[str, str]) -> str:
        """Return the page on which a person says who they are."""
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        links = "".join(
            f'<p><a id="{escape(name)}" href="/approve?{escape(urlencode(asked | {"person": name}))}">'
            f"{escape(name)}</a></p>"
            for name in self.people
        )
        return f"<!doctype html><title>Provider</title><h1>Who are you?</h1>{links}"

    def approve(self, asked: dict[str, str]) -> str:
        """Return where a person goes who has said so."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        state = "another" if self.flaw == "state" else asked["state"]
        return f"{asked['redirect_uri']}?code={code}&state={quote(state)}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return tokens for a code; None when the client or the code is not good."""
        user, _, secret = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        client = (user or form.get("client_id", ""), secret or form.get("client_secret", ""))
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            tuple(map(_unquoted, client)) != (CLIENT, SECRET)
            or asked is None
            or challenge != asked["code_challenge"]
        ):
            return None
        access = secrets.token_urlsafe(16)
        self.tokens[access] = asked["person"]
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self._sign(asked),
        }

    def describe(self, token: str) -> dict[str, Any] | None:
        """Return the claims about the holder of an access token."""
        person = self.tokens.get(token)
        if person is None:
            return None
        if self.flaw == "userinfo":
            return {"sub": "somebody else", "groups": ["analysts"]}
        return {"sub": person, **self.people[person]}

    def _sign(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        person = asked["person"]
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": person,
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 300,
        }
        if self.flaw != "userinfo":
            claims |= self.people[person]
        wrong: dict[str, dict[str, Any]] = {
            "audience": {"aud": "another"},
            "issuer": {"iss": "http://another.localhost"},
            "nonce": {"nonce": "another"},
            "expired": {"iat": now - 9000, "exp": now - 8000},
            "groups": {"groups": "analysts"},
        }
        claims |= wrong.get(self.flaw, {})
        if self.flaw == "unsigned":
            return jwt.encode(claims, "", algorithm="none")
        key = self.other_key if self.flaw == "key" else self.key
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "one"})


class _Server(ThreadingHTTPServer):
    def __init__(self, provider: Provider, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.provider = provider


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        match parts.path:
            case "/.well-known/openid-configuration":
                self._send_json(self.server.provider.discover())
            case "/jwks":
                self._send_json(self.server.provider.list_keys())
            case "/authorize":
                self._send(200, "text/html", self.server.provider.choose(asked).encode())
            case "/approve":
                self.send_response(302)
                self.send_header("Location", self.server.provider.approve(asked))
                self.end_headers()
            case "/userinfo":
                token = self.headers.get("Authorization", "").partition(" ")[2]
                self._send_json(self.server.provider.describe(token))
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        form = dict(parse_qsl(self.rfile.read(length).decode()))
        self._send_json(self.server.provider.exchange(form, self.headers.get("Authorization", "")))

    def _send_json(self, value: dict[str, Any] | None) -> None:
        body = json.dumps(value or {"error": "invalid_grant"}).encode()
        self._send(400 if value is None else 200, "application/json", body)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@contextmanager
def run_provider(port: int) -> Iterator[Provider]:
    """Run a provider on a port of this machine until the block ends."""
    provider = Provider(f"http://127.0.0.1:{port}")
    server = _Server(provider, port)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _unquoted(text: str) -> str:
    return dict(parse_qsl(f"x={text}")).get("x", "")
