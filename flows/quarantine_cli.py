"""`ducat flows quarantine`: see what bronze refused, and go on without it when that is right."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from semantic.project import Project
from semantic.settings import read_settings


@click.group()
def quarantine() -> None:
    """See what bronze refused, and go on without it."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_batches(root: Path | None, as_json: bool) -> None:
    """List the batches in quarantine, and why each is there."""
    from flows.discovery import load_pipelines  # noqa: PLC0415  (imports Ibis)
    from flows.lake import Lake  # noqa: PLC0415
    from flows.quarantine import list_quarantined  # noqa: PLC0415

    settings = read_settings(root)
    lake = Lake.at(settings.lake_uri)
    found = [
        item
        for pipeline in load_pipelines(Project.open(settings.project))
        for source in pipeline.sources
        for item in list_quarantined(lake, pipeline.name, source.name)
    ]
    if as_json:
        click.echo(orjson.dumps([asdict(item) for item in found], option=orjson.OPT_INDENT_2))
        return
    for item in found:
        state = "skipped" if item.skipped else item.code
        click.echo(f"{item.pipeline} {item.source} {item.batch}  [{state}]")
        click.echo(f"  {item.message}\n  since {item.since}, kept in {item.folder}")
    if not found:
        click.echo("the quarantine is empty")


@quarantine.command("skip")
@click.argument("pipeline")
@click.argument("source")
@click.argument("batch")
@click.pass_obj
def skip_batch(root: Path | None, pipeline: str, source: str, batch: str) -> None:
    """Go on without a quarantined BATCH of a SOURCE of a PIPELINE. It stays where it is."""
    from flows.lake import Lake  # noqa: PLC0415
    from flows.quarantine import skip  # noqa: PLC0415

    settings = read_settings(root)
    skip(Lake.at(settings.lake_uri), pipeline, source, batch, now=datetime.now(UTC))
    click.echo(f"{batch} is skipped; the next run goes on without it")
