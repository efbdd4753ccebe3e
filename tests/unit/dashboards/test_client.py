"""What the client says when there is no Superset at the address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from dashboards.client import SupersetClient
from dashboards.errors import SupersetDownError, SupersetRefusedError


class _Other(BaseHTTPRequestHandler):
    """Some other web server: pages of HTML, and the shapes in which Superset refuses."""

    ANSWERS: ClassVar = {
        "/page": (200, b"<html>hello</html>"),
        "/health": (200, b"OK"),
        "/list": (400, b'{"errors": [{"message": "Bad", "extra": {"a": 1, "issue_codes": []}}]}'),
        "/message": (403, b'{"message": "Forbidden"}'),
        "/html": (500, b"<html>"),
    }

    def do_GET(self) -> None:
        status, body = self.ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def other() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Other)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _closed() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_nobody_at_the_address_is_superset_down_with_what_to_do() -> None:
    with SupersetClient(_closed()) as client, pytest.raises(SupersetDownError) as refused:
        client.log_in("admin", "x")
    assert refused.value.suggestion == "start it, or correct DUCAT_SUPERSET_URL"


def test_waiting_ends_at_once_when_the_process_has_ended() -> None:
    with SupersetClient(_closed()) as client, pytest.raises(SupersetDownError):
        client.wait(seconds=600, alive=lambda: False)


def test_waiting_returns_when_the_health_check_answers(other: str) -> None:
    with SupersetClient(other) as client:
        client.wait(seconds=5)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/page", "did not answer with JSON: is it Superset?"),
        ("/list", "Superset answered 400 to GET /list: Bad {'a': 1}"),
        ("/message", "Superset answered 403 to GET /message: Forbidden"),
        ("/html", "Superset answered 500 to GET /html: Internal Server Error"),
    ],
)
def test_its_own_words_are_in_the_refusal(other: str, path: str, words: str) -> None:
    with SupersetClient(other) as client, pytest.raises(SupersetRefusedError) as refused:
        client.get(path)
    assert words in refused.value.message
