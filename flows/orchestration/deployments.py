"""What `ducat flows serve` offers: deployments with schedules, alerts, and a runner for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from prefect import serve
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import EntrypointType

from flows.errors import OrchestratorError
from flows.orchestration.automations import TAG, sync_automations
from flows.orchestration.limits import ensure_limits
from flows.orchestration.runs import (
    ingest_pipeline,
    publish_pipeline,
    run_pipeline,
    transform_pipeline,
    watch_freshness,
)
from flows.pipeline import Pipeline

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

WATCH_CRON = "*/30 * * * *"


def describe_deployments(pipelines: Sequence[Pipeline]) -> tuple[RunnerDeployment, ...]:
    """Return the deployments of the pipelines: `run` on its schedule, each step by itself, `watch`.

    One `run` of a pipeline at a time; the next one waits.
    """
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    found: list[RunnerDeployment] = [
        watch_freshness.to_deployment(
            name="served-tables",
            description="Are the served tables as young as their contracts promise?",
            schedules=[CronSchedule(cron=WATCH_CRON, timezone="UTC")],
            tags=[TAG],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
    ]
    for pipeline in pipelines:
        tags = [TAG, pipeline.name, *pipeline.tags]
        schedule = pipeline.schedule
        found.append(
            run_pipeline.to_deployment(
                name=pipeline.name,
                description=f"{pipeline.title}: ingest, transform, check and publish.",
                schedules=[CronSchedule(cron=schedule.cron, timezone=schedule.timezone)],
                parameters={"pipeline": pipeline.name},
                tags=tags,
                concurrency_limit=one,
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
        )
        found += [
            step.to_deployment(
                name=pipeline.name,
                description=f"{pipeline.title}: only this step, by hand.",
                parameters={"pipeline": pipeline.name},
                tags=tags,
                concurrency_limit=one,
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            for step in (ingest_pipeline, transform_pipeline, publish_pipeline)
        ]
    return tuple(found)


def serve_pipelines(pipelines: Sequence[Pipeline], alert_urls: Sequence[str]) -> None:
    """Register limits, alerts and deployments, then run what is due, until told to stop.

    Raises:
        OrchestratorError: no Prefect server answers at `PREFECT_API_URL`.
    """
    require_server()
    ensure_limits(pipelines)
    sync_automations(alert_urls, silence=timedelta(hours=2))
    serve(*describe_deployments(pipelines), limit=4, pause_on_shutdown=True)


def require_server() -> None:
    """Raise an error that says what to do unless a Prefect server answers."""
    with get_client(sync_client=True) as client:
        failure = client.api_healthcheck()
        address = client.api_url
    if failure is not None:
        raise OrchestratorError(
            f"no Prefect server answers at {address}: {failure}",
            suggestion="start one with `prefect server start` and set PREFECT_API_URL",
        )
