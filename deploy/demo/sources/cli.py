"""`ducat demo sources`: only the source systems, for someone who works on the flows."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from semantic.project import Project
from semantic.settings import read_settings


@click.command()
@click.option(
    "--days",
    default=31,
    show_default=True,
    type=click.IntRange(2, 365),
    help="Days of 2013 to play.",
)
@click.pass_obj
def sources(root: Path | None, days: int) -> None:
    """Play the four source systems until Ctrl-C, and print where they are."""
    from deploy.demo.sources.play import play_sources  # noqa: PLC0415  (imports Arrow)

    project = Project.open(read_settings(root).project)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with play_sources(project.root / ".ducat" / "sources", days=days) as variables:
        for name, value in variables.items():
            click.echo(f"export {name}={value}")
        click.echo("# playing; Ctrl-C stops", err=True)
        stopped.wait()
