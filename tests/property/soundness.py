"""The long run: `make soundness N=20000`, or `python -m tests.property.soundness 20000`.

`--engine postgres` asks PostgreSQL, each world in a database of its own.

Prints one line of summary. Each difference is made small and printed with its YAML, query, data,
expected rows, rows found and SQL; the run goes on, and ends with exit code 1.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field

import click
from rich.progress import Progress

from semantic.errors import DucatError
from tests.conformance.cases import ENGINES, EngineName
from tests.property.ask import Outcome, judge, open_world
from tests.property.cases import SEED, judge_cases
from tests.property.model import World
from tests.property.model_text import write_model, write_seed
from tests.property.queries import Asked, write_query
from tests.property.shrink import shrink


@dataclass(slots=True)
class Tally:
    """How many cases came out how."""

    cases: int = 0
    answered: int = 0
    passed_over: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    differences: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.cases += 1
        match outcome.verdict:
            case "answered":
                self.answered += 1
            case "refused":
                self.refused[outcome.code or ""] += 1
            case "passed over":
                self.passed_over += 1
            case "different":
                self.differences += 1

    def __str__(self) -> str:
        codes = ", ".join(f"{code} {count}" for code, count in self.refused.most_common())
        over = f", {self.passed_over} too large" if self.passed_over else ""
        return (
            f"{self.cases} cases, {self.answered} answered, {self.refused.total()} refused "
            f"({codes}){over}, {self.differences} differences"
        )


def describe(world: World, asked: Asked, engine: EngineName = "duckdb") -> str:
    """Return a case and what came of it, for a person."""
    with open_world(world, engine) as session:
        outcome = judge(session, asked)
        sql = session.sql(asked)
    return "\n".join(
        [
            f"DIFFERENCE: {outcome.reason}",
            "-- model", write_model(world),
            "-- data", write_seed(world),
            "-- query", json.dumps(write_query(asked)),
            "-- expected", outcome.expected,
            "-- found", outcome.found,
            "-- sql", sql,
        ]
    )  # fmt: skip


@click.command()
@click.argument("count", type=int, default=20_000)
@click.option("--first", type=int, default=0, help="The number of the first case.")
@click.option("--show", type=int, default=5, help="How many differences to make small and print.")
@click.option("--engine", type=click.Choice(ENGINES), default="duckdb", help="Who answers.")
@click.option("--seed", default=SEED, help="Another seed makes other cases.")
def main(count: int, first: int, show: int, seed: str, engine: EngineName) -> None:
    """Compare COUNT random cases with the naive evaluator."""
    tally = Tally()
    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("cases", total=count)
        for number, world, asked, outcome in judge_cases(first, count, seed, engine):
            tally.add(outcome)
            progress.advance(task)
            if outcome.verdict != "different":
                continue
            click.echo(f"=== case {number}: {outcome.reason[:300]}")
            if tally.differences <= show:
                try:
                    click.echo(describe(*shrink(world, asked, outcome, engine), engine))
                except DucatError as refused:
                    click.echo(f"not made smaller: {refused}")
    click.echo(str(tally))
    sys.exit(1 if tally.differences else 0)


if __name__ == "__main__":
    main()
