"""Who gets in: tokens, SCRAM, TLS; and who does not."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.auth import Authenticator, make_token
from api.postgres.errors import SqlError
from api.postgres.login import Login
from api.postgres.protocol.messages import Password
from api.postgres.server import read_tls
from api.postgres.users import Users, read_users
from semantic.errors import SettingsError
from semantic.settings import Settings
from tests.unit.api.conftest import DUCAT, SECRET, Site
from tests.unit.api.postgres.conftest import WireServer, run_wire


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.fixture(scope="module")
def secured(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    """Run a server with TLS and a user `bob`, whose entry `ducat password` made."""
    folder = tmp_path_factory.mktemp("secured")
    made = subprocess.run(
        [DUCAT, "password", "bob", "--group", "analysts"],
        input="p\u00e4ss word\n", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    users = folder / "users.json"
    users.write_text(made.stdout)
    certificate, key = make_certificate(folder)
    with run_wire(
        site, folder, DUCAT_POSTGRES_USERS=str(users), DUCAT_POSTGRES_TLS_CERT=str(certificate),
        DUCAT_POSTGRES_TLS_KEY=str(key), DUCAT_POSTGRES_CONNECTIONS="3",
    ) as running:  # fmt: skip
        yield running


def test_a_token_is_a_password_for_its_subject(wire: WireServer) -> None:
    with wire.connect() as db:
        assert db.execute("SELECT current_user").fetchone() == ("ann",)
    with wire.connect(user="token") as db:
        assert db.execute("SELECT MEASURE(count) FROM sales").fetchone() == (400,)


@pytest.mark.parametrize(
    ("user", "password"),
    [("bob", None), ("ann", "wrong"), ("ann", "a.b.c"), ("superset", None)],
)
def test_a_token_of_another_or_none_is_refused(
    wire: WireServer, user: str, password: str | None
) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        wire.connect(user=user, password=password or wire.token)


def test_the_service_users_token_speaks_for_others(wire: WireServer) -> None:
    token = make_token(SECRET, user="superset")
    with wire.connect(user="carol", password=token) as db:
        assert db.execute("SELECT current_user").fetchone() == ("carol",)


def test_a_configured_user_logs_in_by_scram_over_tls(secured: WireServer) -> None:
    with secured.connect(user="bob", password="p\u00e4ss word", sslmode="require") as db:
        assert db.pgconn.ssl_in_use
        assert db.execute("SELECT MEASURE(count) FROM sales").fetchone() == (400,)
    certificate = secured.server.log.parent / "cert.pem"
    with secured.connect(
        host="localhost", hostaddr="127.0.0.1", user="bob", password="p\u00e4ss word",
        sslmode="verify-full", sslrootcert=str(certificate), require_auth="scram-sha-256",
    ) as db:  # fmt: skip
        assert db.execute("SHOW ssl").fetchone() == ("on",)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_a_wrong_password_is_refused(secured: WireServer, sslmode: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        secured.connect(user="bob", password="other", sslmode=sslmode)


def test_more_connections_than_may_be_are_refused(secured: WireServer) -> None:
    opened = [secured.connect(sslmode="require") for _ in range(3)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            secured.connect()
    finally:
        for connection in opened:
            connection.close()


def test_over_an_open_line_no_token_is_asked_and_nobody_learns_who_exists() -> None:
    users = Users(MappingProxyType({}), Authenticator(SECRET, None, None, "superset"))
    said: list[bytes] = []
    answers = [
        Password(b"SCRAM-SHA-256\x00" + len(b"n,,n=,r=abc").to_bytes(4, "big") + b"n,,n=,r=abc"),
    ]

    async def next_message() -> object:
        if answers:
            return answers.pop(0)
        nonce = said[-1].split(b"r=")[1].split(b",")[0]
        proof = b"A" * 43 + b"="
        return Password(b"c=biws,r=" + nonce + b",p=" + proof)

    async def say(data: bytes) -> None:
        said.append(data)

    with pytest.raises(SqlError) as refused:
        asyncio.run(Login(users, "ann", is_safe=False).run(next_message, say))
    assert refused.value.sqlstate == "28P01"
    assert b"SCRAM-SHA-256" in said[0]


@pytest.mark.parametrize(
    "content",
    ["nothing", "[]", '{"bob": {"verifier": "md5x"}}', '{"bob": {"verifier": 1, "x": 2}}'],
)
def test_a_file_of_users_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(content)
    with pytest.raises(SettingsError):
        read_users(path)


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "cert.pem"
    broken.write_text("nothing")
    with pytest.raises(SettingsError, match="needs a certificate and its key"):
        read_tls(Settings(postgres_tls_cert=broken))
    with pytest.raises(SettingsError, match="cannot be used"):
        read_tls(Settings(postgres_tls_cert=broken, postgres_tls_key=broken))


def test_the_entry_of_a_user_holds_no_password() -> None:
    made = subprocess.run(
        [DUCAT, "password", "eve"],
        input="secret\n", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    entry = json.loads(made.stdout)["eve"]
    assert entry["verifier"].startswith("SCRAM-SHA-256$4096:")
    assert "secret" not in made.stdout
