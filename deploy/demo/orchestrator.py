"""Start a deployment's run on the Prefect server and wait for its end, over plain HTTP.

Prefect's own client takes seconds to import; three requests do not need it.
"""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import uuid4

import httpx
import tenacity

from deploy.errors import ProcessFailedError

ENDED: Final = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


BUSY: Final = frozenset({502, 503, 504})


def run_deployment(prefect_url: str, name: str, *, seconds: float) -> str:
    """Run the deployment `flow/deployment` and return the run's id when it completed.

    Raises:
        ProcessFailedError: the run ended in another state, or not in time; says its message.
    """
    with httpx.Client(base_url=f"{prefect_url}/api", timeout=60) as client:
        deployment = _ask(client, "GET", f"/deployments/name/{name}")["id"]
        # With a key of its own, a request that is sent again does not start a second run.
        request = {"state": {"type": "SCHEDULED"}, "idempotency_key": str(uuid4())}
        run = _ask(client, "POST", f"/deployments/{deployment}/create_flow_run", request)["id"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = _ask(client, "GET", f"/flow_runs/{run}")["state"] or {}
            if state.get("type") == "COMPLETED":
                return str(run)
            if state.get("type") in ENDED:
                raise ProcessFailedError(f"{name} ended {state['name']}: {state.get('message')}")
            time.sleep(0.5)
    raise ProcessFailedError(f"{name} did not end within {seconds:.0f} s")


def _is_busy(error: BaseException) -> bool:
    """A server on SQLite says 503 while another request writes."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in BUSY
    return isinstance(error, httpx.TransportError)


def _ask(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(60),
        wait=tenacity.wait_exponential(multiplier=0.25, max=3),
        retry=tenacity.retry_if_exception(_is_busy),
        reraise=True,
    )

    def send() -> Any:
        return client.request(method, path, json=body).raise_for_status().json()

    try:
        return retrying(send)
    except httpx.HTTPError as failed:
        raise ProcessFailedError(f"the Prefect server: {failed}") from failed
