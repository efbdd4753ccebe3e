"""Somebody else's web site: its page embeds a dashboard, its server asks Superset for guest tokens."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from tests.e2e.superset.browser import Browser

FOLDER = Path(__file__).parent / "page"
SDK = "node_modules/@superset-ui/embedded-sdk/bundle/index.js"


def install() -> Path:
    """Return Superset's SDK, as npm installs it from the lock file."""
    lock, mark = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if not mark.exists() or mark.stat().st_mtime < lock.stat().st_mtime:
        npm = shutil.which("npm")
        assert npm is not None, "npm is not installed: `make packages`"
        subprocess.run([npm, "ci", "--ignore-scripts", "--silent"], cwd=FOLDER, check=True)
    return FOLDER / SDK


@contextmanager
def serve(origin: str, make_token: Callable[[], str]) -> Iterator[None]:
    """Serve the page at an origin; `/token` gives what `make_token` returns."""
    files = {"/": (FOLDER / "index.html", "text/html"), "/sdk.js": (install(), "text/javascript")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/token":
                kind, content = "text/plain", make_token().encode()
            elif path in files:
                file, kind = files[path]
                content = file.read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    port = urlsplit(origin).port
    assert port is not None
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read_frame(browser: Browser) -> str:
    """Return the text of the first frame inside of the page; empty while there is none."""
    tree = browser.send("Page.getFrameTree")["frameTree"]
    frames = tree.get("childFrames", [])
    if not frames:
        return ""
    world = browser.send("Page.createIsolatedWorld", {"frameId": frames[0]["frame"]["id"]})
    answer = browser.send(
        "Runtime.evaluate",
        {
            "expression": "document.body ? document.body.innerText : ''",
            "contextId": world["executionContextId"],
            "returnByValue": True,
        },
    )
    return str(answer["result"].get("value", ""))
