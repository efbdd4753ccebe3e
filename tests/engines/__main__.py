"""Runs the conformance cases on ClickHouse (chdb) and Spark: `python -m tests.engines`.

Each case passes, or stands in `differences.yml` with its reason; what stands there and passes is wrong,
too. A line for each engine ends the output, with the cases that are not applicable named.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from pathlib import Path

import click
import yaml

from tests.conformance.cases import CUBE, OWN, Case, CaseSet, read_gaps, read_sets
from tests.conformance.engines import OpenedSet, Verdict
from tests.engines.sets import DISTRIBUTED, DistributedName, Sets

DIFFERENCES = Path(__file__).with_name("differences.yml")


def find_reason(engine: str, found: CaseSet, case: Case) -> str | None:
    """Return why a case is known not to give its rows on an engine."""
    listed: dict[str, str] = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8")) or {}
    names = (
        case.name, found.name, f"{case.name} [{engine}]", f"{found.name} [{engine}]",
    )  # fmt: skip
    known = {**read_gaps(), **listed}
    return next((known[name] for name in names if name in known), None)


@click.command()
@click.argument("engines", nargs=-1, type=click.Choice(DISTRIBUTED))
@click.option("--only", default="", help="Only the cases whose name contains this.")
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write failures and their SQL here."
)
def run(engines: tuple[DistributedName, ...], only: str, report: Path | None) -> None:
    """Run all conformance cases on the ENGINES, or on all."""
    failures: list[str] = []
    lines = []
    for engine in engines or DISTRIBUTED:
        counts = Counter[str]()
        for found in [*read_sets(CUBE), *read_sets(OWN)]:
            cases = [case for case in found.cases if only in case.name]
            if not cases:
                continue
            sets = Sets()
            opened: OpenedSet | Exception
            try:
                opened = sets.open(found, engine)
            except Exception as broken:  # noqa: BLE001 -- one set must not end the others
                opened = broken
            for case in cases:
                if not case.is_checkable:
                    counts["not applicable: say nothing of rows"] += 1
                    continue
                verdict = _check(opened, case)
                reason = find_reason(engine, found, case)
                if reason is not None and verdict.failure is not None:
                    counts["refused or different, as declared"] += 1
                    click.echo(f"{engine}: declared: {case.name}: {' '.join(reason.split())}")
                elif reason is None and verdict.failure is None:
                    counts["passed"] += 1
                else:
                    counts["FAILED"] += 1
                    text = verdict.failure or f"passes, and is declared: {reason}"
                    click.echo(f"{engine}: FAILED {case.name}\n    {text[:900]}")
                    failures.append(f"== {engine}: {case.name}\n{text}\n{verdict.sql or ''}\n")
            sets.close()
        lines.append(f"{engine}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    if report is not None:
        report.write_text("\n".join(failures), encoding="utf-8")
    click.echo("\n".join(lines))
    sys.exit(1 if failures else 0)


def _check(opened: OpenedSet | Exception, case: Case) -> Verdict:
    if isinstance(opened, Exception):
        return Verdict(f"the set does not open: {type(opened).__name__}: {opened}")
    try:
        return opened.check(case)
    except Exception as broken:  # noqa: BLE001 -- a defect in one case must not end the others
        frame = traceback.extract_tb(broken.__traceback__)[-1]
        return Verdict(
            f"{type(broken).__name__} at {Path(frame.filename).name}:{frame.lineno}: {broken}"
        )


if __name__ == "__main__":
    run()
