"""The DB-API module against servers that fail, restart, stall or speak TLS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.dashboards_plugin.conftest import Snippet

ANSWER = {
    "columns": [
        {"name": "day", "type": "date"},
        {"name": "at", "type": "timestamp"},
        {"name": "total", "type": "decimal"},
        {"name": "rate", "type": "number"},
        {"name": "count", "type": "integer"},
        {"name": "open", "type": "boolean"},
        {"name": "city", "type": "string"},
    ],
    "rows": [
        ["2024-02-29", "2024-02-29T12:30:15.000001", "12345678901234567890.01", 2, 9007199254740993,
         True, 'Lyon "Nord"'],
        [None, None, None, None, None, None, None],
    ],
    "truncated": False,
}  # fmt: skip
ASK = """
import time
from ducat_superset import dbapi
dbapi.RETRY_SECONDS = 0.05
scheme, timeout = "http", 120
def ask(sql="SELECT 1"):
    host, port = ADDRESS.split(":")
    start = time.monotonic()
    try:
        cursor = dbapi.connect(host=host, port=int(port), scheme=scheme, timeout=timeout).cursor()
        return cursor.execute(sql).fetchall()
    except dbapi.Error as failed:
        return [type(failed).__name__, str(failed), time.monotonic() - start]
"""
Reply = Callable[[int], tuple[int, bytes]]


@contextmanager
def serve(reply: Reply, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve `reply(number of the request)` on a free port; yield the address and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["content-length"])).decode())
            status, body = reply(len(asked))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_each_value_is_converted_by_its_declared_type(run_snippet: Snippet) -> None:
    with serve(lambda _: (200, json.dumps(ANSWER).encode())) as (url, _):
        first, second = run_snippet(
            ASK + "show([[repr(v) for v in row] for row in ask()])", url=url
        )
    assert first == [
        "datetime.date(2024, 2, 29)",
        "datetime.datetime(2024, 2, 29, 12, 30, 15, 1)",
        "Decimal('12345678901234567890.01')",
        "2.0",
        "9007199254740993",
        "True",
        "'Lyon \"Nord\"'",
    ]
    assert second == ["None"] * 7


def test_the_description_names_types_as_superset_knows_them(run_snippet: Snippet) -> None:
    snippet = (
        ASK
        + """
cursor = dbapi.connect(host=ADDRESS.split(":")[0], port=int(ADDRESS.split(":")[1])).cursor()
cursor.execute("SELECT 1")
show([[item[:2] for item in cursor.description], cursor.rowcount,
      len(cursor.fetchmany(1)), cursor.fetchone()[0], cursor.fetchone()])"""
    )
    with serve(lambda _: (200, json.dumps(ANSWER).encode())) as (url, _):
        described, count, first, second, end = run_snippet(snippet, url=url)
    assert dict(described) == {
        "day": "DATE",
        "at": "TIMESTAMP",
        "total": "NUMERIC",
        "rate": "DOUBLE PRECISION",
        "count": "BIGINT",
        "open": "BOOLEAN",
        "city": "VARCHAR",
    }
    assert (count, first, second, end) == (2, 1, None, None)


def test_a_cut_answer_is_an_error_and_no_rows(run_snippet: Snippet) -> None:
    cut = json.dumps(ANSWER | {"truncated": True}).encode()
    with serve(lambda _: (200, cut)) as (url, _):
        kind, message, _ = run_snippet(ASK + "show(ask())", url=url)
    assert kind == "DatabaseError"
    assert "larger than" in message


def test_a_busy_server_is_asked_again_and_any_other_refusal_is_not(run_snippet: Snippet) -> None:
    busy = json.dumps({"error": "too many queries"}).encode()
    failed = json.dumps({"error": "no such measure", "suggestion": "use MEASURE(count)"}).encode()
    good = json.dumps(ANSWER).encode()
    with serve(lambda number: (503, busy) if number < 3 else (200, good)) as (url, asked):
        assert len(run_snippet(ASK + "show(ask())", url=url)) == 2
        assert asked == ['{"sql": "SELECT 1"}'] * 3
    with serve(lambda _: (503, busy)) as (url, asked):
        kind, message, _ = run_snippet(ASK + "show(ask())", url=url)
        assert (kind, message, len(asked)) == ("DatabaseError", "too many queries", 4)
    with serve(lambda _: (400, failed)) as (url, asked):
        kind, message, _ = run_snippet(ASK + "show(ask())", url=url)
        assert (kind, len(asked)) == ("DatabaseError", 1)
        assert message == "no such measure (use MEASURE(count))"


def test_a_server_that_is_not_there_or_makes_no_sense_is_an_operational_error(
    run_snippet: Snippet,
) -> None:
    with serve(lambda _: (200, b"<html>")) as (url, _):
        pass
    kind, message, _ = run_snippet(ASK + "show(ask())", url=url)
    assert kind == "OperationalError"
    assert f"does not answer at {url.removeprefix('http://')}" in message
    with serve(lambda _: (200, b"<html>")) as (url, _):
        kind, message, _ = run_snippet(ASK + "show(ask())", url=url)
    assert (kind, message) == ("OperationalError", "Ducat answered 200 with what is not JSON")


def test_a_server_that_stalls_is_given_up_and_not_asked_twice(run_snippet: Snippet) -> None:
    stop = threading.Event()

    def stall(_: int) -> tuple[int, bytes]:
        stop.wait(30)
        return 200, b"{}"

    with serve(stall) as (url, asked):
        try:
            kind, message, _ = run_snippet(ASK + "timeout = 0.3\nshow(ask())", url=url)
        finally:
            stop.set()
        assert kind == "OperationalError"
        assert "timed out" in message
        assert len(asked) == 1


def test_https_is_spoken_only_to_a_server_with_a_trusted_certificate(
    run_snippet: Snippet, tmp_path: Path
) -> None:
    context = _certified(tmp_path)
    snippet = ASK + 'scheme = "https"\nshow(ask())'
    with serve(lambda _: (200, json.dumps(ANSWER).encode()), context) as (url, _):
        kind, message, _ = run_snippet(snippet, url=url)
        assert kind == "OperationalError"
        assert "certificate" in message.lower()
        trusted = run_snippet(snippet, url=url, SSL_CERT_FILE=str(tmp_path / "certificate.pem"))
        assert len(trusted) == 2


def _certified(folder: Path) -> ssl.SSLContext:
    """Return a server's TLS context for 127.0.0.1; its certificate is in `certificate.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
