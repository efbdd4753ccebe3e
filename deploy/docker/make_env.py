#!/usr/bin/env python3
"""Write a `.env` for docker-compose.yml with new secrets: `deploy/docker/make_env.py > .env`.

Standard library only, so that it runs on a host that has nothing but Python and Docker. The token
that Superset sends to the metrics server is signed here, with the secret made here, and is valid
for a year: it is kept, encrypted, in Superset's database.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time

YEAR = 365 * 24 * 3600
SECRETS = (
    "POSTGRES_PASSWORD",
    "PREFECT_DB_PASSWORD",
    "SUPERSET_DB_PASSWORD",
    "REDIS_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "SUPERSET_SECRET_KEY",
    "SUPERSET_GUEST_SECRET",
    "SUPERSET_ADMIN_PASSWORD",
    "CUBE_API_SECRET",
)


def sign_token(secret: str, user: str, issued: int) -> str:
    """Return a token (HS256) of `user`, valid for a year."""

    def encode(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"sub": user, "groups": [], "iat": issued, "exp": issued + YEAR}
    parts = [encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(parts)
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{encode(signature)}"


def make_variables() -> dict[str, str]:
    """Return every variable that docker-compose.yml requires, with new values."""
    jwt_secret = secrets.token_urlsafe(48)
    return {
        "DUCAT_JWT_SECRET": jwt_secret,
        "DUCAT_SUPERSET_SOURCE_TOKEN": sign_token(jwt_secret, "superset", int(time.time())),
        # Letters, digits, - and _ only: the passwords are parts of addresses.
        **{name: secrets.token_urlsafe(36) for name in SECRETS},
    }


if __name__ == "__main__":
    for variable, content in make_variables().items():
        print(f"{variable}={content}")
