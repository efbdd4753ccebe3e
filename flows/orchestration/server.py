"""The Prefect server that runs are reported to, and what to do when there is none.

`ducat flows run` and `backfill` work without one: Prefect then starts a temporary server for the
process. `ducat flows serve` does not: schedules on a server that ends with it would be no schedules.
"""

from __future__ import annotations

import logging
from typing import Final

from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    temporary_settings,
)

from flows.errors import OrchestratorError
from semantic.errors import DucatError

# Prefect's own 20 seconds are short for a small machine that is busy.
TEMPORARY_START_SECONDS: Final = 120
RUN_LOGGERS: Final = ("prefect.flow_runs", "prefect.task_runs")


def require_address() -> None:
    """Raise an OrchestratorError unless the address of a Prefect server is set."""
    if not PREFECT_API_URL.value():
        raise OrchestratorError(
            "PREFECT_API_URL is not set: schedules need a Prefect server that stays",
            suggestion="start one with `prefect server start`, set PREFECT_API_URL to its address "
            "and /api; `ducat flows run` works without",
        )


def require_server() -> None:
    """Raise an OrchestratorError unless a Prefect server answers; start one if none is named."""
    try:
        with (
            temporary_settings(
                {PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: TEMPORARY_START_SECONDS}
            ),
            get_client(sync_client=True) as client,
        ):
            failure = client.api_healthcheck()
            address = client.api_url
    except RuntimeError as late:
        raise OrchestratorError(
            f"a temporary Prefect server did not start: {late}",
            suggestion="start one with `prefect server start` and set PREFECT_API_URL",
        ) from late
    if failure is not None:
        raise OrchestratorError(
            f"no Prefect server answers at {address}: {failure}",
            suggestion="start one with `prefect server start` and set PREFECT_API_URL",
        )


def log_without_tracebacks() -> None:
    """Let Prefect log a run's failure by its message when it is one that we explain."""
    for name in RUN_LOGGERS:
        logging.getLogger(name).addFilter(_drop_explained_traceback)


def _drop_explained_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], DucatError):
        record.exc_info = None
    return True
