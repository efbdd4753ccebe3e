"""`ducat flows`: run pipelines, serve their schedules, rebuild days, see what is in service."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import orjson

from flows.errors import BackfillError
from flows.quarantine_cli import quarantine
from semantic.project import Project
from semantic.settings import Settings, read_settings
from semantic.snapshot import Snapshot, read_checks, read_snapshot


@click.group()
def flows() -> None:
    """Run pipelines, serve their schedules, rebuild days."""


flows.add_command(quarantine)


@flows.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_pipelines(root: Path | None, as_json: bool) -> None:
    """List the project's pipelines, their tables and schedules."""
    from flows.discovery import load_pipelines  # noqa: PLC0415  (imports Ibis)

    _, project = _open(root)
    pipelines = [
        {
            "name": pipeline.name,
            "title": pipeline.title,
            "schedule": pipeline.schedule.cron,
            "timezone": pipeline.schedule.timezone,
            "sources": [source.name for source in pipeline.sources],
            "silver": [transform.name for transform in pipeline.silver],
            "gold": [transform.name for transform in pipeline.gold],
        }
        for pipeline in load_pipelines(project)
    ]
    if as_json:
        _print_json(pipelines)
        return
    for pipeline in pipelines:
        click.echo(f"{pipeline['name']}: {pipeline['title']}")
        click.echo(f"  schedule  {pipeline['schedule']} ({pipeline['timezone']})")
        for layer in ("sources", "silver", "gold"):
            click.echo(f"  {layer:<9} {', '.join(pipeline[layer])}")


@flows.command()
@click.argument("pipelines", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot in service as JSON.")
@click.pass_obj
def run(root: Path | None, pipelines: tuple[str, ...], as_json: bool) -> None:
    """Run PIPELINES now, in this process (all when none is named).

    With PREFECT_API_URL set, the runs are seen in that server's UI.
    """
    from flows.discovery import load_pipelines  # noqa: PLC0415
    from flows.orchestration.limits import ensure_limits  # noqa: PLC0415  (imports Prefect)
    from flows.orchestration.runs import run_pipeline  # noqa: PLC0415
    from flows.orchestration.server import log_without_tracebacks, require_server  # noqa: PLC0415
    from flows.sources.address import require_an_address  # noqa: PLC0415

    settings, project = _open(root)
    found = load_pipelines(project)
    # Before a server is started for it: that takes long.
    require_an_address([item for item in found if not pipelines or item.name in pipelines])
    require_server()
    ensure_limits(found)
    log_without_tracebacks()
    for name in pipelines or tuple(pipeline.name for pipeline in found):
        run_pipeline(name)
    _print_snapshot(settings, as_json=as_json)


@flows.command()
@click.pass_obj
def serve(root: Path | None) -> None:
    """Register schedules and alerts with the Prefect server and run what is due.

    Needs PREFECT_API_URL. Alerts go to the apprise addresses in DUCAT_ALERT_URLS.
    """
    from flows.discovery import load_pipelines  # noqa: PLC0415
    from flows.orchestration.deployments import serve_pipelines  # noqa: PLC0415

    settings, project = _open(root)
    urls = settings.alert_urls.get_secret_value().split()
    serve_pipelines(load_pipelines(project), urls)


@flows.command()
@click.argument("pipeline")
@click.option(
    "--from", "start", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First day."
)
@click.option("--to", "end", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--chunk-days", default=31, show_default=True, help="Days rebuilt in one run.")
@click.option("--fetch/--no-fetch", default=False, help="Ask the sources for new batches first.")
@click.pass_obj
def backfill(
    root: Path | None, pipeline: str, start: datetime, end: datetime, chunk_days: int, fetch: bool
) -> None:
    """Rebuild silver and gold of PIPELINE for every day from --from to --to, from bronze."""
    chunks = split_days(start.date(), end.date(), chunk_days)
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from flows.discovery import load_pipelines  # noqa: PLC0415
    from flows.orchestration.limits import ensure_limits  # noqa: PLC0415
    from flows.orchestration.runs import run_pipeline  # noqa: PLC0415
    from flows.orchestration.server import log_without_tracebacks, require_server  # noqa: PLC0415

    settings, project = _open(root)
    found = load_pipelines(project)
    require_server()
    ensure_limits(found)
    log_without_tracebacks()
    console = Console(file=sys.stderr)
    with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(f"backfill {pipeline}", total=sum(map(len, chunks)))
        for number, chunk in enumerate(chunks):
            run_pipeline(pipeline, list(chunk), fetch=fetch and number == 0)
            progress.advance(bar, len(chunk))
            if not sys.stderr.isatty():
                click.echo(f"rebuilt {chunk[0]} to {chunk[-1]}", err=True)
    _print_snapshot(settings, as_json=False)


@flows.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(root: Path | None, as_json: bool) -> None:
    """Show what is in service: each table's rows, freshness and quality."""
    settings, _ = _open(root)
    _print_snapshot(settings, as_json=as_json)


def split_days(start: date, end: date, size: int) -> tuple[tuple[date, ...], ...]:
    """Return the days from `start` to `end`, both included, in groups of at most `size`.

    Raises:
        BackfillError: the range is reversed or the size is not positive.

    >>> split_days(date(2013, 1, 1), date(2013, 1, 3), 2)[1]
    (datetime.date(2013, 1, 3),)
    """
    if end < start:
        raise BackfillError(
            f"--from {start} is after --to {end}", suggestion="give the earlier day as --from"
        )
    if size < 1:
        raise BackfillError(f"--chunk-days {size} is not positive")
    days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
    return tuple(tuple(days[at : at + size]) for at in range(0, len(days), size))


def _open(root: Path | None) -> tuple[Settings, Project]:
    if root is not None:
        # A flow reads the settings of its process, and served runs are processes of their own.
        os.environ["DUCAT_PROJECT"] = str(root.absolute())
    settings = read_settings()
    return settings, Project.open(settings.project)


def _print_json(value: object) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_snapshot(settings: Settings, *, as_json: bool) -> None:
    snapshot = read_snapshot(settings.serving_path)
    checks = read_checks(settings.serving_path)
    if as_json:
        _print_json({"snapshot": snapshot, "newest_checks": checks})
        return
    click.echo(_describe_snapshot(snapshot))
    for name, check in sorted(checks.items()):
        if check.state == "failed":
            click.echo(f"newest check of {name} FAILED: {'; '.join(check.failures)}")


def _describe_snapshot(snapshot: Snapshot) -> str:
    now = datetime.now(UTC)
    lines = [f"snapshot {snapshot.id}, built {snapshot.built_at:%Y-%m-%d %H:%M:%S} UTC"]
    for table in snapshot.tables:
        until = f"{table.data_until:%Y-%m-%d %H:%M}" if table.data_until else "-"
        age = now - table.loaded_at
        lines.append(
            f"  {table.name:<22} {table.rows:>10,} rows  data until {until:<16} "
            f"loaded {age.total_seconds() / 3600:.1f} h ago  quality {table.quality.state}"
        )
    return "\n".join(lines)
