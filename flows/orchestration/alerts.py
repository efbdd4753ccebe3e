"""The Prefect flow that checks alerts on metrics: after each publish, on a schedule, or by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from flows.alert_check import Outcome
from flows.alert_run import run_check
from flows.alerts_cli import describe_outcome
from flows.errors import AlertError, AlertUndeliveredError
from semantic.service import SemanticLayer
from semantic.settings import read_settings


@flow(name="alerts")
def check_alerts(names: list[str] | None = None) -> None:
    """Judge the alerts of the model, or those of `names`, and tell who is to be told.

    Raises:
        AlertError: at least one could not be judged; the others are.
        AlertUndeliveredError: a receiver did not answer; its messages wait for the next check.
    """
    settings = read_settings()
    logger = get_run_logger()
    layer = SemanticLayer.of(settings)
    try:
        if not layer.catalog.alerts:
            logger.info("the model has no alerts")
            return
        outcomes, undelivered = run_check(settings, layer, datetime.now(UTC), names=names or ())
    finally:
        layer.close()
    _publish(outcomes)
    errors = [f"{item.alert}: {item.error}" for item in outcomes if item.error]
    if errors:
        raise AlertError("; ".join(errors), suggestion="`ducat alerts check --dry-run` tries again")
    if undelivered:
        raise AlertUndeliveredError(
            "; ".join(undelivered), suggestion="they are kept, and sent by the next check"
        )


def _publish(outcomes: tuple[Outcome, ...]) -> None:
    rows = [describe_outcome(item) for item in outcomes]
    create_table_artifact(
        key="alerts",
        table=[
            {name: "" if value is None else value for name, value in row.items()} for row in rows
        ],
        description="What each alert of the model found.",
    )
    for row in rows:
        if row["event"] is not None:
            emit_event(
                f"ducat.alert.{row['event']}",
                resource={
                    "prefect.resource.id": f"ducat.alert.{row['alert']}",
                    "prefect.resource.name": row["alert"],
                },
                payload=row,
            )
