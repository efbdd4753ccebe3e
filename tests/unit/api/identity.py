"""A small identity provider on a free port: it signs tokens and publishes its keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "ducat"


class Provider:
    """Keys by name, and what its address answers."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, RSAPrivateKey | EllipticCurvePrivateKey]] = {}
        self.fetched = 0
        self.status = 200
        self.body: bytes | None = None
        self.url = ""

    def add_key(self, name: str, algorithm: str = "RS256") -> None:
        """Make a key and publish it."""
        made: RSAPrivateKey | EllipticCurvePrivateKey
        if algorithm.startswith("ES"):
            made = ec.generate_private_key(ec.SECP256R1())
        else:
            made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys[name] = (algorithm, made)

    def sign(self, key: str, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token that is good for ten minutes, unless the claims say otherwise."""
        algorithm, private = self.keys[key]
        now = datetime.now(UTC)
        sent = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + timedelta(minutes=10), **claims}
        sent = {name: value for name, value in sent.items() if value is not None}
        return jwt.encode(
            sent, private, algorithm=algorithm, headers={"kid": key, **(headers or {})}
        )

    def publish(self) -> bytes:
        """Return the JWKS."""
        if self.body is not None:
            return self.body
        listed = []
        for name, (algorithm, private) in self.keys.items():
            public = private.public_key()
            maker = ECAlgorithm if algorithm.startswith("ES") else RSAAlgorithm
            written = maker.to_jwk(public)  # type: ignore[arg-type]
            listed.append({**json.loads(written), "kid": name, "use": "sig", "alg": algorithm})
        return json.dumps({"keys": listed}).encode()


@contextmanager
def run_provider() -> Iterator[Provider]:
    """Serve a provider until the block ends."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.fetched += 1
            body = provider.publish()
            self.send_response(provider.status)
            if provider.status == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}/jwks"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
