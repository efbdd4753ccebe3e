"""`ducat quality`: check what is in service, list the contracts, find the pages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from quality.errors import ChecksFailedError
from semantic.project import Project
from semantic.settings import Settings, read_settings

if TYPE_CHECKING:
    from quality.gate import GateResult


@click.group()
def quality() -> None:
    """Check the tables against their contracts."""


@quality.command()
@click.option("--json", "as_json", is_flag=True, help="Write every outcome as JSON.")
@click.pass_obj
def check(project: Path | None, *, as_json: bool) -> None:
    """Check the tables in service; exit code 1 when a contract does not hold."""
    from quality.contract import load_contracts  # noqa: PLC0415  heavy
    from quality.docs import docs_path  # noqa: PLC0415  heavy
    from quality.gate import check_candidate  # noqa: PLC0415  heavy
    from semantic.snapshot import read_snapshot, write_checks  # noqa: PLC0415  heavy

    settings, opened = _open(project)
    contracts = load_contracts(opened.contracts)
    snapshot = read_snapshot(settings.serving_path)
    with _show_status("checking the tables in service"):
        result = check_candidate(
            settings.serving_path / snapshot.file,
            contracts,
            now=datetime.now(UTC),
            loaded_at={table.name: table.loaded_at for table in snapshot.tables},
            docs=docs_path(settings),
        )
    write_checks(settings.serving_path, result.states())
    click.echo(_write_json(result) if as_json else _write_text(result))
    if not result.passed:
        broken = [table.table for table in result.tables if not table.passed]
        raise ChecksFailedError(
            f"the contracts of {', '.join(broken)} do not hold",
            suggestion=f"see the failing rows in {docs_path(settings) / 'index.html'}",
        )


@quality.command()
@click.option("--json", "as_json", is_flag=True, help="Write them as JSON.")
@click.option("--schema", is_flag=True, help="Write the JSON Schema of a contract, for editors.")
@click.pass_obj
def contracts(project: Path | None, *, as_json: bool, schema: bool) -> None:
    """List the contracts, after checking that they can be read."""
    from quality.checks import demand_rules  # noqa: PLC0415  heavy
    from quality.contract import load_contracts  # noqa: PLC0415  heavy
    from quality.promise import contract_schema  # noqa: PLC0415  heavy

    if schema:
        click.echo(orjson.dumps(contract_schema(), option=orjson.OPT_INDENT_2))
        return
    listed = [
        {
            "table": contract.table,
            "title": contract.title,
            "owner": contract.owner,
            "columns": len(contract.columns),
            "rules": len(demand_rules(contract)),
        }
        for contract in load_contracts(_open(project)[1].contracts)
    ]
    if as_json:
        click.echo(orjson.dumps(listed, option=orjson.OPT_INDENT_2))
        return
    for line in listed:
        size = f"{line['columns']} columns, {line['rules']} rules"
        click.echo(f"{line['table']:24}{line['owner']:18}{size:24}{line['title']}")


@quality.command()
@click.pass_obj
def docs(project: Path | None) -> None:
    """Print where the pages of the newest check are."""
    from quality.docs import docs_path, is_current  # noqa: PLC0415  heavy

    settings, _ = _open(project)
    folder = docs_path(settings)
    if not is_current(folder):
        raise ChecksFailedError(
            f"no pages were built yet in {folder}", suggestion="build them: `ducat quality check`"
        )
    click.echo(folder / "index.html")


def _open(project: Path | None) -> tuple[Settings, Project]:
    settings = read_settings(project)
    return settings, Project.open(settings.project)


def _show_status(text: str) -> Any:
    from rich.console import Console  # noqa: PLC0415  heavy

    return Console(stderr=True).status(text)


def _write_json(result: GateResult) -> bytes:
    return orjson.dumps(result, option=orjson.OPT_INDENT_2, default=str)


def _write_text(result: GateResult) -> str:
    lines = []
    for table in result.tables:
        word = "passed" if table.passed else "FAILED"
        lines.append(f"{table.table:24}{word}  {len(table.checks)} checks")
        for failure in table.failures:
            lines.append(f"  {failure}")
            lines += [f"    {orjson.dumps(row).decode()}" for row in failure.failing_rows[:5]]
            if len(failure.failing_rows) > 5:  # noqa: PLR2004  what a terminal should show
                lines.append("    …")
    lines.append(f"{'passed' if result.passed else 'FAILED'} in {result.seconds:.1f} s")
    return "\n".join(lines)
