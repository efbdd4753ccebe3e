"""Start a deployment's run on the Prefect server and wait for its end, over plain HTTP.

Prefect's own client takes seconds to import; three requests do not need it.
"""

from __future__ import annotations

import time
from typing import Final

import httpx

from deploy.errors import ProcessFailedError

ENDED: Final = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


def run_deployment(prefect_url: str, name: str, *, seconds: float) -> str:
    """Run the deployment `flow/deployment` and return the run's id when it completed.

    Raises:
        ProcessFailedError: the run ended in another state, or not in time; says its message.
    """
    with httpx.Client(base_url=f"{prefect_url}/api", timeout=30) as client:
        deployment = client.get(f"/deployments/name/{name}").raise_for_status().json()
        created = client.post(
            f"/deployments/{deployment['id']}/create_flow_run",
            json={"state": {"type": "SCHEDULED"}},
        )
        run = created.raise_for_status().json()["id"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = client.get(f"/flow_runs/{run}").raise_for_status().json()["state"] or {}
            if state.get("type") == "COMPLETED":
                return str(run)
            if state.get("type") in ENDED:
                raise ProcessFailedError(f"{name} ended {state['name']}: {state.get('message')}")
            time.sleep(0.5)
    raise ProcessFailedError(f"{name} did not end within {seconds:.0f} s")
