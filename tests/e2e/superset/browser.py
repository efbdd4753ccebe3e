"""A real Chromium, driven by its own DevTools protocol: no driver to install beside it.

One `Browser` is one process with one fresh profile and one page. Answers of the page's requests
are kept, so that a test can compare the numbers that a chart was drawn from.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished request of the page."""

    id: str
    url: str
    status: int


class Browser:
    """A page in a headless Chromium."""

    def __init__(self, profile: Path, *, width: int = 1440, height: int = 1000) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program is not None, "Chromium is not installed: `make packages`"
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._number = 0
        self._log = (profile.parent / f"{profile.name}.log").open("wb")
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self._socket = connect(
            self._page_address(profile), max_size=None, ping_interval=None, compression=None
        )
        for domain in ("Page", "Network", "Runtime"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        socket: ClientConnection = self._socket
        socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def send(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one command and return its result; events that come meanwhile are recorded."""
        self._number += 1
        number = self._number
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters or {}}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._record(message)

    def open(self, url: str) -> None:
        """Go to an address; the page may still be loading."""
        self.send("Page.navigate", {"url": url})

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = self.send(
            "Runtime.evaluate",
            {"expression": script, "returnByValue": True, "awaitPromise": True},
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str, *, seconds: float = 60) -> Any:
        """Return the value of an expression as soon as it is true."""
        # Between two pages there is a document without a body.
        return self.wait(
            lambda: self.run(f"document.body && ({script.strip()})"), script, seconds=seconds
        )

    def wait(self, condition: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
        """Return the value of a condition as soon as it is true."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                text = self.run("document.body ? document.body.innerText.slice(0, 2000) : ''")
                raise AssertionError(f"not within {seconds} s: {what}\nThe page says:\n{text}")
            time.sleep(0.25)

    def type_into(self, selector: str, text: str) -> None:
        """Type into a field, as a keyboard does."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.send("Input.insertText", {"text": text})

    def body(self, answer: Answer) -> Any:
        """Return the JSON of an answer."""
        content = self.send("Network.getResponseBody", {"requestId": answer.id})
        text = content["body"]
        return json.loads(base64.b64decode(text) if content["base64Encoded"] else text)

    def screenshot(self, path: Path, *, scale: float = 1) -> None:
        """Save what the window shows as a PNG, smaller with a `scale` below 1."""
        path.parent.mkdir(parents=True, exist_ok=True)
        view = self.send("Page.getLayoutMetrics")["cssVisualViewport"]
        clip = {"x": 0, "y": 0, "width": view["clientWidth"], "height": view["clientHeight"]}
        image = self.send(
            "Page.captureScreenshot", {"format": "png", "clip": clip | {"scale": scale}}
        )
        path.write_bytes(base64.b64decode(image["data"]))

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def _record(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.responseReceived":
                response = parameters["response"]
                self.answers.append(
                    Answer(parameters["requestId"], response["url"], response["status"])
                )
            case "Network.loadingFailed" if not parameters.get("canceled"):
                self.failures.append(parameters["errorText"])
            case _:
                pass

    def _page_address(self, profile: Path) -> str:
        """Return the address of the first page: Chromium writes its port into the profile."""
        file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (file.is_file() and "\n" in file.read_text()):
            assert self._process.poll() is None, "Chromium ended at once"
            assert time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        port = int(file.read_text().splitlines()[0])
        return _first_page(port)


def _first_page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
        pages = json.load(answer)
    return str(next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"])
