"""`ducat demo`: the whole platform on real flights data, on this machine."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.demo import interruption
from deploy.demo.sources.cli import sources
from semantic.project import Project
from semantic.settings import read_settings

if TYPE_CHECKING:
    from deploy.demo.check import Comparison
    from deploy.demo.platform import Platform
    from deploy.demo.steps import Steps

DAYS = click.IntRange(2, 365)


@click.group()
def demo() -> None:
    """Run the whole platform on real flights data, on this machine."""


demo.add_command(sources)


@demo.command()
@click.option("--days", default=365, show_default=True, type=DAYS, help="Days of 2013 to load.")
@click.option("--keep", is_flag=True, help="Keep the demo's folder (data, logs) at the end.")
@click.pass_obj
def run(root: Path | None, days: int, keep: bool) -> None:
    """Start everything, load the data, publish the dashboards, and keep running until Ctrl-C."""
    from deploy.demo.processes import require_running  # noqa: PLC0415

    def show(platform: Platform, steps: Steps) -> None:
        _print_welcome(platform, steps)
        while True:
            for process in platform.processes:
                require_running(process)
            time.sleep(1)

    try:
        _with_platform(root, days, keep=keep, use=show)
    except KeyboardInterrupt:
        click.echo("\nstopped; nothing is left running")


@demo.command()
@click.option("--days", default=365, show_default=True, type=DAYS, help="Days of 2013 to load.")
@click.option("--keep", is_flag=True, help="Keep the demo's folder (data, logs) at the end.")
@click.pass_obj
def check(root: Path | None, days: int, keep: bool) -> None:
    """Start everything, ask every face for ten metrics, compare with SQL by hand, and stop."""
    from deploy.demo.check import compare_faces  # noqa: PLC0415

    def compare(platform: Platform, steps: Steps) -> None:
        with steps.step("compare", "every face against SQL written by hand"):
            comparisons = compare_faces(platform.doors, days, _print_comparison)
        faces = len(comparisons[0].answers)
        click.echo(f"{len(comparisons)} metrics are the same number in {faces} faces, exactly")
        click.echo(f"total {steps.total:.0f} s")

    _with_platform(root, days, keep=keep, use=compare)


def _with_platform(
    root: Path | None, days: int, *, keep: bool, use: Callable[[Platform, Steps], None]
) -> None:
    from rich.console import Console  # noqa: PLC0415

    from deploy.demo.platform import (  # noqa: PLC0415
        empty_folder,
        hold_folder,
        start_platform,
    )
    from deploy.demo.steps import Steps  # noqa: PLC0415

    project = Project.open(read_settings(root).project)
    home = project.root / ".ducat" / "demo"
    interruption.listen()
    steps = Steps(Console(file=sys.stderr, highlight=False, soft_wrap=True))
    finished = False
    with hold_folder(home):
        empty_folder(home)
        try:
            with start_platform(project.root, home, days=days, steps=steps) as platform:
                use(platform, steps)
            finished = True
        except KeyboardInterrupt:
            finished = True
            raise
        finally:
            # After a failure the logs are what explains it.
            if finished and not keep:
                shutil.rmtree(home, ignore_errors=True)


def _print_welcome(platform: Platform, steps: Steps) -> None:
    doors = platform.doors
    click.echo(
        f"""
Ducat is up after {steps.total:.0f} s. Ctrl-C stops everything.

  Superset    {doors.superset_url}/superset/dashboard/flight-operations/
              user {doors.superset_user}, password {doors.superset_password}
  Ducat       {doors.ducat_url}/   (GraphiQL at /graphql, metrics at /metrics)
  Prefect     {platform.prefect_url}/runs
  Data Docs   {platform.docs}
  MCP         {doors.ducat_url}/mcp   (agents; the same token)
  Postgres    port {doors.postgres_port}, user token, password the token, any database

Try, in another terminal in this folder:
  export TOKEN={doors.token}
  curl -H "Authorization: Bearer $TOKEN" -G {doors.ducat_url}/cubejs-api/v1/load \\
    --data-urlencode 'query={{"measures": ["flight_operations.on_time_rate"]}}'
  PGPASSWORD=$TOKEN psql -h 127.0.0.1 -p {doors.postgres_port} -U token -d ducat -c '\\dt'
  DUCAT_HOME=.ducat/demo .venv/bin/ducat query '{{"measures": ["flight_operations.on_time_rate"]}}'
"""
    )


def _print_comparison(comparison: Comparison) -> None:
    mark = "=" if comparison.is_equal else "≠"
    answers = "  ".join(f"{face} {answer:.10g}" for face, answer in comparison.answers.items())
    click.echo(f"{comparison.metric.title:<46} {comparison.expected:>16.10g} {mark} {answers}")
