"""The edge where Prefect is: flows, deployments, limits, artifacts, alerts.

Importing this package tells Prefect, Great Expectations and dlt not to phone home. It stands here
because they read the environment once, when they are imported, and every module of this package is
imported after its package.
"""

from __future__ import annotations

import os
from typing import Final

QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


def silence() -> None:
    """Set each switch that the environment does not set already."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


silence()
