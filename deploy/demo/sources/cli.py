"""`ducat demo sources`: only the source systems, for someone who works on the flows."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
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
    """Play the four source systems until Ctrl-C, and print where they are.

    Their files are in `.ducat/sources` as long as they play; nothing is left behind.
    """
    from deploy.demo.sources.folder import own_folder  # noqa: PLC0415
    from deploy.demo.sources.play import play_sources  # noqa: PLC0415  (imports Arrow)

    project = Project.open(read_settings(root).project)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    place = project.root / ".ducat" / "sources"
    place.mkdir(parents=True, exist_ok=True)
    with own_folder(place, "play-") as folder, play_sources(folder, days=days) as variables:
        for name, value in variables.items():
            click.echo(f"export {name}={value}")
        click.echo("# playing; Ctrl-C stops", err=True)
        stopped.wait()
    with suppress(OSError):  # others may play there, too
        place.rmdir()
