"""The Prefect flow that builds pre-aggregations: after each publish, on a schedule, or by hand."""

from __future__ import annotations

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from flows.errors import RollupError
from flows.rollups import BuildLimits, RollupRun, build_rollups
from flows.rollups_cli import list_builds
from semantic.rollups import ROLLUPS
from semantic.settings import read_settings


@flow(name="rollups")
def build_all_rollups(*, force: bool = False) -> None:
    """Build the rollups of the model that changed, from the tables in service.

    Raises:
        RollupError: at least one could not be built; queries that it would answer read the rows.
    """
    settings = read_settings()
    logger = get_run_logger()
    builds = list_builds(settings)
    if not builds and not (settings.serving_path / ROLLUPS).exists():
        logger.info("the model has no pre-aggregations")
        return
    runs = build_rollups(
        settings.serving_path,
        builds,
        force=force,
        scheduled=True,
        limits=BuildLimits(settings.memory_limit, settings.rollup_timeout_seconds),
        progress=lambda line: logger.info("%s", line),
    )
    _publish(runs)
    failed = [run for run in runs if run.outcome == "failed"]
    if failed:
        raise RollupError(
            "; ".join(f"{run.name} ({run.timezone}): {run.note}" for run in failed),
            suggestion="queries are answered from the rows meanwhile; `ducat rollups build` tries again",
        )


def _publish(runs: tuple[RollupRun, ...]) -> None:
    create_table_artifact(
        key="rollups",
        table=[
            {
                "rollup": run.name,
                "time zone": run.timezone,
                "outcome": run.outcome,
                "rows": run.rows,
                "MB": round(run.bytes / 1e6, 2),
                "seconds": round(run.seconds, 2),
                "note": run.note,
            }
            for run in runs
        ],
        description="What became of each pre-aggregation of the model.",
    )
    emit_event(
        "ducat.rollups.built",
        resource={"prefect.resource.id": "ducat.project"},
        payload={"built": [run.name for run in runs if run.outcome == "built"]},
    )
