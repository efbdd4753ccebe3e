"""`python -m tests.property.access WORLDS`: the long run. Prints what differs, and how much was asked."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import click
import structlog

from tests.property.access.judge import Tally, judge_world


@click.command()
@click.argument("worlds", type=int, default=100)
@click.option("--first", type=int, default=0, help="The number of the first world.")
@click.option("--requests", type=int, default=30, help="Requests for each world and caller.")
def main(worlds: int, first: int, requests: int) -> None:
    """Compare WORLDS random models, each with three callers, with worlds without the forbidden."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    tally = Tally()
    for number in range(first, first + worlds):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(judge_world(f"access {number}", Path(folder), requests, tally))
    for difference in tally.differences:
        click.echo("\n".join(str(part) for part in ("DIFFERENCE", *difference)))
    click.echo(str(tally))
    sys.exit(1 if tally.differences else 0)


if __name__ == "__main__":
    main()
