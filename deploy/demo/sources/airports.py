"""The airports API: pages of JSON, and every 7th request is answered 503 the first time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from deploy.demo.ports import LOOPBACK
from deploy.demo.sources.raw import read_raw

BUSY_EVERY: Final = 7
LARGEST_PAGE: Final = 500


@dataclass(slots=True)
class AirportsApi:
    """What the API knows and how it behaves. `is_down` makes it answer 503 to everything."""

    airports: list[dict[str, Any]]
    is_down: bool = False
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, address: str, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the document for a request of `path`."""
        parts = urlsplit(path)
        if parts.path == "/health":
            return 200, {"status": "up"}
        if parts.path != "/airports":
            return 404, {"error": "there is /airports and /health"}
        with self.lock:
            self.requests += 1
            if self.is_down or self.requests % BUSY_EVERY == 0:
                return 503, {"error": "busy, come again"}
        asked = parse_qs(parts.query)
        try:
            page = int(asked.get("page", ["1"])[0])
            size = int(asked.get("per_page", ["100"])[0])
        except ValueError:
            return 400, {"error": "page and per_page are numbers"}
        if page < 1 or not 1 <= size <= LARGEST_PAGE:
            return 400, {"error": f"page is 1 or more, per_page is 1 to {LARGEST_PAGE}"}
        rows = self.airports[(page - 1) * size : page * size]
        more = page * size < len(self.airports)
        following = f"{address}/airports?page={page + 1}&per_page={size}" if more else None
        return 200, {"airports": rows, "total": len(self.airports), "next": following}


@contextmanager
def run_api(port: int = 0, api: AirportsApi | None = None) -> Iterator[tuple[str, AirportsApi]]:
    """Serve the API on loopback; yield its address and the API itself."""
    served = api or AirportsApi(read_raw("airports").to_pylist())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, document = served.answer(f"http://{self.headers['Host']}", self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 503:  # noqa: PLR2004
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}", served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
