"""`ducat alerts`: list the alerts of the model, check them, send a test message."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from semantic.settings import Settings, read_settings

if TYPE_CHECKING:
    from flows.alert_book import Book
    from flows.alert_check import Outcome
    from semantic.catalog.alerts import Alert
    from semantic.service import SemanticLayer


@click.group()
def alerts() -> None:
    """Alerts on metrics: list them, check them, send a test."""


@alerts.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_alerts(root: Path | None, as_json: bool) -> None:
    """List the alerts of the model, and what is amiss."""
    from flows.alert_book import read_book  # noqa: PLC0415
    from semantic.catalog.load import load_catalog  # noqa: PLC0415
    from semantic.project import Project  # noqa: PLC0415

    settings = read_settings(root)
    found = load_catalog(Project.open(settings.project).model).alerts
    rows = list(describe_alerts(found, read_book(settings.home_path)))
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        return
    for row in rows:
        click.echo(f"{row['state']:<10} {row['alert']}  {row['title']}")
        click.echo(
            f"{'':<10} {row['rule']} by {row['granularity']}, {row['severity']}, "
            f"for {', '.join(row['to']) or 'everybody'}, owned by {', '.join(row['owners']) or '?'}"
        )
    if not rows:
        click.echo("the model has no alerts")


@alerts.command()
@click.argument("names", nargs=-1)
@click.option(
    "--at",
    metavar="TIME",
    help="As if it were this time (ISO 8601, UTC unless said); tells nobody.",
)
@click.option("--dry-run", is_flag=True, help="Tell nobody, remember nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(
    root: Path | None, names: tuple[str, ...], at: str | None, dry_run: bool, as_json: bool
) -> None:
    """Judge the alerts NAMES, or all, and tell who is to be told.

    Exit code 1: an alert could not be judged, or a receiver did not answer.
    """
    from flows.alert_book import Book  # noqa: PLC0415
    from flows.alert_check import check as judge  # noqa: PLC0415
    from flows.alert_delivery import read_audience  # noqa: PLC0415
    from flows.alert_run import run_check  # noqa: PLC0415

    settings = read_settings(root)
    now = datetime.now(UTC) if at is None else _read_time(at)
    failed: tuple[str, ...] = ()
    layer = _open(settings)
    try:
        if dry_run or at is not None:
            outcomes = judge(layer, Book(), read_audience(settings), now, names=names)
        else:
            outcomes, failed = run_check(settings, layer, now, names=names)
    finally:
        layer.close()
    rows = [describe_outcome(item) for item in outcomes]
    if as_json:
        answer = {"outcomes": rows, "undelivered": failed}
        click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
    else:
        for row in rows:
            what = " ".join(part for part in (row["event"], row["group"]) if part)
            click.echo(f"{row['verdict']:<8} {row['alert']} {what}")
            click.echo(f"{'':<8} {row['period'] or ''} {row['why']}".rstrip())
        if not rows:
            click.echo("the model has no alerts")
        for item in failed:
            click.echo(f"not delivered, kept for the next check: {item}", err=True)
    if failed or any(item.error for item in outcomes):
        sys.exit(1)


@alerts.command()
@click.argument("name")
@click.pass_obj
def test(root: Path | None, name: str) -> None:
    """Send a test message of the alert NAME to its receivers."""
    from flows.alert_run import send_test  # noqa: PLC0415

    settings = read_settings(root)
    layer = _open(settings)
    try:
        for receiver in send_test(settings, layer, name, datetime.now(UTC)):
            click.echo(f"sent to {receiver}")
    finally:
        layer.close()


def describe_alerts(found: tuple[Alert, ...], book: Book) -> list[dict[str, Any]]:
    """Return a row for each alert, with the incidents that are open."""
    rows = []
    for alert in found:
        watches = {
            name: watch
            for name, watch in book.watches.items()
            if orjson.loads(name)[0] == alert.key
        }
        opened = [item.incident for item in watches.values() if item.incident is not None]
        rows.append(
            {
                "alert": alert.key,
                "title": alert.title,
                "rule": type(alert.rule).__name__.lower(),
                "granularity": alert.granularity,
                "severity": alert.severity,
                "owners": list(alert.owners),
                "to": list(alert.receivers),
                "state": "open" if opened else "quiet" if watches else "unchecked",
                "incidents": [
                    {"number": item.number, "kind": item.kind, "since": item.first}
                    for item in opened
                ],
                "line": str(alert.span),
            }
        )
    return rows


def describe_outcome(item: Outcome) -> dict[str, Any]:
    """Return what a check found, for JSON and for the table of a run."""
    from flows.alert_message import name_group  # noqa: PLC0415

    verdict = item.verdict
    return {
        "alert": item.alert,
        "group": name_group(item.group),
        "verdict": "error" if verdict is None else verdict.kind,
        "period": None if verdict is None else verdict.period.isoformat(),
        "value": None if verdict is None else verdict.value,
        "expected": None if verdict is None else verdict.expected,
        "low": None if verdict is None else verdict.low,
        "high": None if verdict is None else verdict.high,
        "why": item.error or ("" if verdict is None else verdict.why),
        "event": item.event,
        "quiet": item.quiet,
    }


def _open(settings: Settings) -> SemanticLayer:
    from semantic.service import SemanticLayer  # noqa: PLC0415  (imports DuckDB)

    return SemanticLayer.of(settings)


def _read_time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise click.BadParameter(
            f"{text!r} is no time, write 2013-02-09T06:00", param_hint="--at"
        ) from wrong
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
