"""Superset's REST API, as far as publishing needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from dashboards.errors import SupersetDownError, SupersetRefusedError

_PAGE: Final = 100
_SECONDS: Final = 120.0


class SupersetClient:
    """A logged-in session. Every failure is one of our errors, with Superset's own words."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Without `Accept` errors are HTML pages; without `Referer` the CSRF check fails.
        self._http = httpx.Client(
            base_url=self.url,
            timeout=_SECONDS,
            headers={"Accept": "application/json", "Referer": self.url},
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def log_in(self, user: str, password: str) -> None:
        """Log in with a name and password that Superset keeps itself.

        Raises:
            SupersetDownError: it cannot be reached.
            SupersetRefusedError: name or password are wrong.
        """
        token = self.post(
            "/api/v1/security/login",
            {"username": user, "password": password, "provider": "db", "refresh": False},
        )["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._http.headers["X-CSRFToken"] = self.get("/api/v1/security/csrf_token/")["result"]

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON answer of a GET."""
        return self._json(self._send("GET", path, params=params))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON answer of a POST of JSON."""
        return self._json(self._send("POST", path, json=body))

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON answer of a PUT of JSON."""
        return self._json(self._send("PUT", path, json=body))

    def import_assets(self, bundle: bytes) -> None:
        """Import a bundle: all of it or nothing. What exists with the same UUID is overwritten."""
        self._send(
            "POST",
            "/api/v1/assets/import/",
            files={"bundle": ("ducat.zip", bundle, "application/zip")},
        )

    def export_assets(self) -> bytes:
        """Return everything that Superset has, as a bundle (secrets masked)."""
        return self._send("GET", "/api/v1/assets/export/").content

    def rows(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield every row of a listing, page by page."""
        page = 0
        seen = 0
        while True:
            answer = self.get(path, {"q": f"(page:{page},page_size:{_PAGE})"})
            rows = answer["result"]
            yield from rows
            seen += len(rows)
            if not rows or seen >= answer["count"]:
                return
            page += 1

    def wait(self, *, seconds: float = 120.0, alive: Callable[[], bool] = lambda: True) -> None:
        """Return when Superset answers its health check.

        Raises:
            SupersetDownError: it did not within `seconds`, or `alive` said that it has ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                status = self._http.get("/health", timeout=5).status_code
                if status == httpx.codes.OK:
                    return
                failure: httpx.TransportError = httpx.TransportError(f"/health answers {status}")
            except httpx.TransportError as error:
                failure = error
            if time.monotonic() > deadline or not alive():
                raise self._down(failure) from failure
            time.sleep(0.2)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise self._down(error) from error
        if response.is_success:
            return response
        raise SupersetRefusedError(
            f"Superset answered {response.status_code} to {method} {path}: {_reason(response)}",
            suggestion=_advice(response.status_code),
        )

    def _down(self, error: httpx.TransportError) -> SupersetDownError:
        return SupersetDownError(
            f"Superset does not answer at {self.url}: {error or type(error).__name__}",
            suggestion="start it, or correct DUCAT_SUPERSET_URL",
        )

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = response.json()
        except ValueError as error:
            raise SupersetRefusedError(
                f"{self.url} did not answer with JSON: is it Superset?",
                suggestion="correct DUCAT_SUPERSET_URL",
            ) from error
        return answer


def _reason(response: httpx.Response) -> str:
    """Return Superset's words, which it puts into one of three shapes."""
    try:
        answer = response.json()
    except ValueError:
        return response.reason_phrase
    if not isinstance(answer, dict):
        return str(answer)
    if "errors" in answer:
        return "; ".join(
            str(error.get("message", error)) + _details(error) for error in answer["errors"]
        )
    return str(answer.get("message", answer))


def _details(error: Mapping[str, Any]) -> str:
    extra = {key: value for key, value in error.get("extra", {}).items() if key != "issue_codes"}
    return f" {extra}" if extra else ""


def _advice(status: int) -> str | None:
    match status:
        case httpx.codes.UNAUTHORIZED:
            return "correct DUCAT_SUPERSET_USER and DUCAT_SUPERSET_PASSWORD"
        case httpx.codes.FORBIDDEN:
            return "publish as a user with the role Admin"
        case _:
            return None
