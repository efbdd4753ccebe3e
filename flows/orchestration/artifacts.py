"""What a run leaves in the Prefect UI for a person to read: row counts and quality tables."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.pipeline import TableRun
from quality.gate import GateResult


def publish_table_runs(pipeline: str, step: str, runs: Sequence[TableRun]) -> None:
    """Leave one table artifact with a row for each table that the step touched."""
    create_table_artifact(
        key=f"{pipeline}-{step}-tables",
        table=[
            {
                "table": run.table,
                "rows read": run.rows_in,
                "rows written": run.rows_written,
                "batches": run.batches,
                "days": len(run.days),
                "version": "" if run.version is None else run.version,
                "seconds": round(run.seconds, 2),
                "note": run.note,
            }
            for run in runs
        ],
        description=f"What `{step}` did to each table of `{pipeline}`.",
    )


def publish_gate(pipeline: str, result: GateResult) -> None:
    """Leave the outcome of every check, and the failing rows of those that do not hold."""
    create_table_artifact(
        key=f"{pipeline}-quality",
        table=[
            {
                "table": table.table,
                "check": check.name,
                "column": check.column or "",
                "outcome": "passed" if check.passed else f"FAILED ({check.severity})",
                "observed": str(check.observed),
                "expected": str(check.expected),
                "failing rows": check.failing_count,
            }
            for table in result.tables
            for check in table.checks
        ],
        description=f"The contracts of `{pipeline}`: {'all hold' if result.passed else 'BROKEN'}.",
    )
    if not result.passed:
        create_markdown_artifact(
            key=f"{pipeline}-quality-failures",
            markdown=describe_failures(result),
            description="Which rows broke a contract. The last good tables stay in service.",
        )


def describe_failures(result: GateResult) -> str:
    """Return the failing checks and up to 20 failing rows of each, as Markdown."""
    lines = ["# Broken contracts", "", "The last good tables stay in service.", ""]
    for table in result.tables:
        for check in (item for item in table.checks if not item.passed):
            column = f" of `{check.column}`" if check.column else ""
            lines += [
                f"## {table.table}: {check.name}{column}",
                "",
                f"expected {check.expected}, observed {check.observed}",
                f"failing rows: {check.failing_count}",
                "",
            ]
            lines += [f"- `{row}`" for row in check.failing_rows]
            lines.append("")
    return "\n".join(lines)
