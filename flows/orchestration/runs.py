"""The Prefect flows: thin, one per concern, the same for every pipeline.

    run ─┬─ ingest     one task per source, at the same time; a stopped source holds up no other
         ├─ transform  silver tables of the touched days
         ├─ publish    gold candidate → gate → lake and served file
         ├─ rollups    the model's pre-aggregations, from the served file
         └─ alerts     are the metrics what they were expected to be?
    watch               is what is served younger than its contracts promise?

What happens to data is in plain functions (`flows.ingest`, `flows.transform`, `flows.candidate`, `flows.serving`); here
are retries, concurrency limits, artifacts and events. A flow reads the settings of its process, so
that a deployment carries no address and no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.events import emit_event
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task

from flows.candidate import Candidate, build_candidate
from flows.discovery import load_pipelines
from flows.errors import (
    FlowError,
    FreshnessMissedError,
    GateFailedError,
    IngestFailedError,
    PipelineError,
    SourceDownError,
    SourceMissingError,
)
from flows.ingest import ingest
from flows.lake import Lake
from flows.orchestration.alerts import check_alerts
from flows.orchestration.artifacts import publish_gate, publish_table_runs
from flows.orchestration.automations import SLA_CHECKED, SLA_MISSED
from flows.orchestration.freshness import find_stale
from flows.orchestration.limits import name_limit
from flows.orchestration.rollups import build_all_rollups
from flows.pipeline import Pipeline, TableRun
from flows.serving import discard, promote
from flows.sources.address import require_an_address
from flows.transform import transform_silver
from quality.contract import load_contracts
from quality.gate import GateResult, check_candidate
from semantic.errors import suggest
from semantic.project import Project
from semantic.settings import Settings, read_settings
from semantic.snapshot import read_snapshot, write_checks


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a run works: one pipeline of one project, and its lake."""

    settings: Settings
    project: Project
    pipeline: Pipeline
    lake: Lake


def open_workshop(pipeline: str) -> Workshop:
    """Return the workshop of the named pipeline, from this process's settings.

    Raises:
        PipelineError: the project has no such pipeline.
    """
    settings = read_settings()
    project = Project.open(settings.project)
    pipelines = {item.name: item for item in load_pipelines(project)}
    if pipeline not in pipelines:
        raise PipelineError(
            f"no pipeline {pipeline!r} in {project.pipelines}",
            suggestion=suggest(pipeline, pipelines) or f"there are: {', '.join(pipelines)}",
        )
    return Workshop(settings, project, pipelines[pipeline], Lake.at(settings.lake_uri))


def _is_worth_retrying(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only a source that did not answer may answer later; a changed schema stays changed."""
    return isinstance(state.result(raise_on_failure=False), SourceDownError)


@task(
    name="ingest-source",
    task_run_name="{pipeline}.{source}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=_is_worth_retrying,
)
def ingest_source(pipeline: str, source: str) -> TableRun:
    """Load the new batches of one source into bronze."""
    shop = open_workshop(pipeline)
    found = next(item for item in shop.pipeline.sources if item.name == source)
    logger = get_run_logger()
    return ingest(
        found,
        pipeline=pipeline,
        lake=shop.lake,
        now=datetime.now(UTC),
        progress=lambda line: logger.info("%s: %s", source, line),
    )


@flow(
    name="ingest",
    flow_run_name="ingest {pipeline}",
    task_runner=ThreadPoolTaskRunner(max_workers=4),  # type: ignore[arg-type]
)
def ingest_pipeline(pipeline: str) -> None:
    """Load every source of a pipeline; the sources that stopped are named together at the end.

    Raises:
        IngestFailedError: at least one source stopped; the others are loaded.
        SourceMissingError: no source has an address; none was asked.
    """
    shop = open_workshop(pipeline)
    require_an_address((shop.pipeline,))
    with concurrency(name_limit(pipeline, "bronze"), occupy=1, strict=True):
        futures = [
            (item.name, ingest_source.submit(pipeline, item.name)) for item in shop.pipeline.sources
        ]
        outcomes = [(name, future.result(raise_on_failure=False)) for name, future in futures]
    runs = [outcome for _, outcome in outcomes if isinstance(outcome, TableRun)]
    publish_table_runs(pipeline, "ingest", runs)
    stopped = [(name, outcome) for name, outcome in outcomes if not isinstance(outcome, TableRun)]
    for name, outcome in stopped:
        emit_event(
            "ducat.source.stopped",
            resource={"prefect.resource.id": f"ducat.source.{pipeline}.{name}"},
            payload={"message": str(outcome), "code": getattr(outcome, "code", "unexpected")},
        )
    if stopped:
        raise IngestFailedError(
            "; ".join(
                f"{pipeline}.{name}: {getattr(outcome, 'code', 'unexpected')}: {outcome}"
                for name, outcome in stopped
            ),
            suggestion="the other sources are loaded; mend these and run again",
        )


@task(name="build-silver", task_run_name="{pipeline} silver", cache_policy=NO_CACHE)
def build_silver(pipeline: str, days: list[date] | None) -> tuple[TableRun, ...]:
    """Rebuild the touched days of each silver table."""
    shop = open_workshop(pipeline)
    logger = get_run_logger()
    return transform_silver(
        shop.pipeline,
        lake=shop.lake,
        now=datetime.now(UTC),
        days=frozenset(days) if days else None,
        progress=lambda line: logger.info("%s", line),
    )


@flow(name="transform", flow_run_name="transform {pipeline}")
def transform_pipeline(pipeline: str, days: list[date] | None = None) -> None:
    """Bring the silver tables up to bronze; `days` rebuilds these days whatever changed."""
    with concurrency(name_limit(pipeline, "silver"), occupy=1, strict=True):
        publish_table_runs(pipeline, "transform", build_silver(pipeline, days))


@task(name="check-contracts", task_run_name="{pipeline} contracts", cache_policy=NO_CACHE)
def check_contracts(pipeline: str, database: Path, loaded_at: Mapping[str, datetime]) -> GateResult:
    """Check every contract of the project against the tables in a candidate's file."""
    shop = open_workshop(pipeline)
    return check_candidate(
        database,
        load_contracts(shop.project.contracts),
        now=datetime.now(UTC),
        loaded_at=loaded_at,
        docs=shop.settings.home_path / "quality" / "docs",
    )


@flow(name="publish", flow_run_name="publish {pipeline}")
def publish_pipeline(pipeline: str, days: list[date] | None = None) -> str:
    """Build the gold candidate, check it, and put it in service; return the snapshot's id.

    Raises:
        GateFailedError: a contract does not hold; what was in service stays there.
    """
    shop = open_workshop(pipeline)
    serving = shop.settings.serving_path
    with concurrency(name_limit(pipeline, "gold"), occupy=1, strict=True):
        candidate = build_candidate(
            shop.pipeline,
            lake=shop.lake,
            serving=serving,
            now=datetime.now(UTC),
            days=frozenset(days) if days else None,
        )
        try:
            result = check_contracts(pipeline, candidate.database, _read_load_times(candidate))
            publish_gate(pipeline, result)
            write_checks(serving, result.states())
            if not result.passed:
                raise GateFailedError(
                    _name_failures(result),
                    suggestion="the last good tables stay in service; see the run's quality artifact",
                )
            snapshot = promote(candidate, lake=shop.lake, serving=serving, quality=result.states())
        finally:
            discard(candidate)
    publish_table_runs(pipeline, "publish", candidate.runs)
    emit_event(
        "ducat.tables.published",
        resource={"prefect.resource.id": "ducat.project"},
        payload={"snapshot": snapshot.id, "tables": [table.name for table in snapshot.tables]},
    )
    return snapshot.id


def _read_load_times(candidate: Candidate) -> dict[str, datetime]:
    rebuilt = {change.transform.name: change.loaded_at for change in candidate.tables}
    return {table.name: table.loaded_at for table in candidate.carried} | rebuilt


def _name_failures(result: GateResult) -> str:
    broken = [
        f"{table.table}: {check.name}"
        + (f" of {check.column}" if check.column else "")
        + f" (observed {check.observed}, expected {check.expected})"
        for table in result.tables
        for check in table.checks
        if not check.passed and check.severity == "error"
    ]
    return f"{len(broken)} broken contract checks: " + "; ".join(broken[:5])


@flow(name="run", flow_run_name="run {pipeline}")
def run_pipeline(pipeline: str, days: list[date] | None = None, *, fetch: bool = True) -> str:
    """Ingest, transform and publish one pipeline; return the id of the snapshot in service.

    A source that stopped does not keep the others out of service: the rest is published, and the
    run then fails with the source's error. When the rest cannot be published either, the run names
    the source first: what is missing is the likely reason. Where no source has an address, nothing
    else is done.
    """
    stopped = _find_stopped(ingest_pipeline(pipeline, return_state=True)) if fetch else None
    if isinstance(stopped, SourceMissingError):
        raise stopped
    try:
        transform_pipeline(pipeline, days)
        snapshot = publish_pipeline(pipeline, days)
    except FlowError as refused:
        if stopped is None:
            raise
        raise IngestFailedError(
            f"{stopped.message}; of the rest nothing was published: {refused.code}: "
            f"{refused.message}",
            suggestion=stopped.suggestion,
        ) from refused
    # Answers are right without them, from the rows: so a rollup that fails, fails its own run only.
    build_all_rollups(return_state=True)
    # What the new tables are worth telling; one that nobody can be told fails its own run, too.
    check_alerts(return_state=True)
    if stopped is not None:
        raise stopped
    return snapshot


def _find_stopped(ingested: State[Any]) -> FlowError | None:
    """Return why ingestion failed, or None when it did not."""
    if ingested.is_completed():
        return None
    error = ingested.result(raise_on_failure=False)
    return error if isinstance(error, FlowError) else IngestFailedError(str(error))


@flow(name="watch")
def watch_freshness() -> None:
    """Compare the age of every served table with its contract.

    Raises:
        FreshnessMissedError: a table is too old; names each with its owner.
    """
    settings = read_settings()
    project = Project.open(settings.project)
    stale = find_stale(
        read_snapshot(settings.serving_path), load_contracts(project.contracts), datetime.now(UTC)
    )
    for table in stale:
        emit_event(
            SLA_MISSED,
            resource={
                "prefect.resource.id": f"ducat.table.{table.table}",
                "prefect.resource.name": table.table,
            },
            payload={"message": str(table), "owner": table.owner},
        )
    emit_event(SLA_CHECKED, resource={"prefect.resource.id": "ducat.project"})
    if stale:
        raise FreshnessMissedError(
            "; ".join(str(table) for table in stale),
            suggestion="look at the last runs of the pipeline, then `ducat flows run`",
        )
