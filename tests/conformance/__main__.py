"""Runs any folder of cases on both databases: `python -m tests.conformance DIR`.

Prints what failed, and one line per database at the end. The exit code is 1 when anything failed.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from pathlib import Path

import click

from tests.conformance.cases import ENGINES, Case, CaseSet, EngineName, read_sets
from tests.conformance.engines import Engines, Verdict


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write failures and their SQL here."
)
@click.option("--only", default="", help="Only the cases whose name contains this.")
def run(folder: Path, report: Path | None, only: str) -> None:
    """Run the cases below FOLDER on DuckDB and on PostgreSQL."""
    counts = {engine: Counter[str]() for engine in ENGINES}
    failures: list[str] = []
    for found in read_sets(folder):
        cases = [case for case in found.cases if only in case.name]
        engines = Engines()
        for engine in ENGINES if cases else ():
            for case in cases:
                if not case.is_checkable:
                    counts[engine]["skipped"] += 1
                    continue
                verdict = _check(engines, found, engine, case)
                if verdict.failure is None:
                    counts[engine]["passed"] += 1
                    continue
                counts[engine]["failed"] += 1
                click.echo(f"{engine}: {case.name}\n{_indent(_shorten(verdict.failure))}")
                failures.append(_describe(engine, case.name, verdict))
        engines.close()
    if report is not None:
        report.write_text("\n".join(failures), encoding="utf-8")
    for engine in ENGINES:
        listed = ", ".join(
            f"{counts[engine][kind]} {kind}" for kind in ("passed", "failed", "skipped")
        )
        click.echo(f"{engine}: {listed}")
    sys.exit(1 if failures else 0)


def _check(engines: Engines, found: CaseSet, engine: EngineName, case: Case) -> Verdict:
    try:
        return engines.open(found, engine).check(case)
    except Exception as broken:  # noqa: BLE001 -- a defect in one case must not end the others
        frames = traceback.extract_tb(broken.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        return Verdict(f"{type(broken).__name__} at {place}: {broken}")


def _describe(engine: str, name: str, verdict: Verdict) -> str:
    text = f"== {engine}: {name}\n{verdict.failure}\n"
    return text if verdict.sql is None else f"{text}{verdict.sql}\n"


def _shorten(text: str, most: int = 1500) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    run()
