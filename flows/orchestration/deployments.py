"""What `ducat flows serve` offers: deployments with schedules, alerts, and a runner for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.types.entrypoint import EntrypointType

from flows.orchestration.alerts import check_alerts
from flows.orchestration.automations import TAG, sync_automations
from flows.orchestration.limits import ensure_limits
from flows.orchestration.rollups import build_all_rollups
from flows.orchestration.runs import (
    ingest_pipeline,
    publish_pipeline,
    run_pipeline,
    transform_pipeline,
    watch_freshness,
)
from flows.orchestration.server import require_address, require_server
from flows.pipeline import Pipeline

WATCH_CRON = "*/30 * * * *"
ROLLUPS_CRON = "20 * * * *"
ALERTS_CRON = "5-59/15 * * * *"


def describe_deployments(pipelines: Sequence[Pipeline]) -> tuple[RunnerDeployment, ...]:
    """Return the deployments of the pipelines: `run` on its schedule, each step by itself, `watch`, `rollups`, `alerts`.

    One `run` of a pipeline at a time; the next one waits.
    """
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    found = [
        _deploy(
            watch_freshness,
            name="served-tables",
            description="Are the served tables as young as their contracts promise?",
            schedules=[CronSchedule(cron=WATCH_CRON, timezone="UTC")],
            tags=[TAG],
        ),
        _deploy(
            build_all_rollups,
            name="pre-aggregations",
            description="Build the pre-aggregations that are out of date; each run does so, too.",
            schedules=[CronSchedule(cron=ROLLUPS_CRON, timezone="UTC")],
            tags=[TAG],
            concurrency_limit=one,
        ),
        _deploy(
            check_alerts,
            name="metrics",
            description="Is a metric worth an alert? Each run asks so, too.",
            schedules=[CronSchedule(cron=ALERTS_CRON, timezone="UTC")],
            tags=[TAG],
            concurrency_limit=one,
        ),
    ]
    for pipeline in pipelines:
        schedule = pipeline.schedule
        shared: dict[str, Any] = {
            "name": pipeline.name,
            "parameters": {"pipeline": pipeline.name},
            "tags": [TAG, pipeline.name, *pipeline.tags],
            "concurrency_limit": one,
        }
        found.append(
            _deploy(
                run_pipeline,
                description=f"{pipeline.title}: ingest, transform, check and publish.",
                schedules=[CronSchedule(cron=schedule.cron, timezone=schedule.timezone)],
                **shared,
            )
        )
        steps: tuple[Flow[Any, Any], ...] = (ingest_pipeline, transform_pipeline, publish_pipeline)
        found += [
            _deploy(step, description=f"{pipeline.title}: only this step, by hand.", **shared)
            for step in steps
        ]
    return tuple(found)


def _deploy(step: Flow[Any, Any], **options: Any) -> RunnerDeployment:
    # By module path: by file path the script would be a second module with the same flows.
    made = step.to_deployment(entrypoint_type=EntrypointType.MODULE_PATH, **options)
    # Awaitable only inside an event loop, and this command runs outside one.
    assert isinstance(made, RunnerDeployment)  # noqa: S101
    return made


def serve_pipelines(pipelines: Sequence[Pipeline], alert_urls: Sequence[str]) -> None:
    """Register limits, alerts and deployments, then run what is due, until told to stop.

    Raises:
        OrchestratorError: `PREFECT_API_URL` is not set, or no Prefect server answers there.
    """
    require_address()
    require_server()
    ensure_limits(pipelines)
    sync_automations(alert_urls, silence=timedelta(hours=2))
    serve(*describe_deployments(pipelines), limit=4, pause_on_shutdown=True)
