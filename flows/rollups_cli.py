"""`ducat rollups`: build the model's pre-aggregations, see what is built, drop one, propose some."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from semantic.rollups import FOLDER, StoredRollup, read_rollups
from semantic.settings import Settings, read_settings
from semantic.snapshot import Snapshot, read_snapshot

if TYPE_CHECKING:
    from semantic.advice.advise import Advice
    from semantic.compile.rollup import RollupBuild

_SHOWN: Final = 10


@click.group()
def rollups() -> None:
    """Build pre-aggregations, see what is built and why not."""


@rollups.command()
@click.argument("names", nargs=-1)
@click.option("--force", is_flag=True, help="Build also what did not change.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def build(root: Path | None, names: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Build the rollups NAMES (`cube.rollup`), or all, from the tables in service.

    Only what changed is built. Queries are answered all the time, from the rows until the end.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from flows.rollups import BuildLimits, build_rollups  # noqa: PLC0415  (imports DuckDB)

    settings = read_settings(root)
    builds = list_builds(settings)
    console = Console(file=sys.stderr)
    with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("rollups", total=len(names) or len(builds))

        def tell(step: str) -> None:
            progress.update(bar, description=step, advance=1)

        runs = build_rollups(
            settings.serving_path,
            builds,
            names=names,
            force=force,
            limits=BuildLimits(settings.memory_limit, settings.rollup_timeout_seconds),
            progress=tell,
        )
    if as_json:
        click.echo(orjson.dumps(runs, option=orjson.OPT_INDENT_2))
    else:
        for run in runs:
            size = f"{run.rows:>10,} rows  {run.bytes / 1e6:>8.1f} MB  {run.seconds:>6.2f} s"
            detail = run.note or size
            click.echo(f"{run.outcome:<8} {run.name} ({run.timezone})  {detail}")
        if not runs:
            click.echo("the model has no pre-aggregations")
    if any(run.outcome == "failed" for run in runs):
        sys.exit(1)


@rollups.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the SQL of each.")
@click.pass_obj
def status(root: Path | None, as_json: bool) -> None:
    """Show each pre-aggregation of the model: built, out of date, or why it cannot be built."""
    settings = read_settings(root)
    serving = settings.serving_path
    stored = tuple(
        item for item in read_rollups(serving) if (serving / FOLDER / item.file).is_file()
    )
    found = describe_rollups(list_builds(settings), stored, read_snapshot(serving))
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    for item in found:
        line = f"{item['state']:<14} {item['name']} ({item['timezone']})"
        if item["rows"] is not None:
            line += (
                f"  {item['rows']:,} rows, {item['bytes'] / 1e6:.1f} MB, built {item['builtAt']}"
            )
        click.echo(line)
        if item["why"]:
            click.echo(f"{'':<14} {item['why']}")
    if not found:
        click.echo("the model has no pre-aggregations")


@rollups.command()
@click.argument("name")
@click.pass_obj
def drop(root: Path | None, name: str) -> None:
    """Take the rollup NAME out of service and delete its files; `build` makes it again."""
    from flows.rollups import drop_rollup  # noqa: PLC0415  (imports DuckDB)

    count = drop_rollup(read_settings(root).serving_path, name)
    click.echo(f"dropped {name}: {count} file{'s' * (count != 1)}")


@rollups.command()
@click.argument("logs", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--since", type=click.DateTime(), help="Look only at queries from then on (UTC).")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.8,
    show_default=True,
    help="How much of the logged time to look at, the slowest shapes first.",
)
@click.option(
    "--largest",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="The most rows of a rollup, as a part of those of its cube.",
)
@click.option(
    "--most", type=click.IntRange(1), default=10, show_default=True, help="The most rollups."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the YAML to a file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def suggest(
    root: Path | None,
    logs: tuple[Path, ...],
    since: datetime | None,
    share: float,
    largest: float,
    most: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Propose the fewest rollups for the slowest queries of the query log, as YAML.

    LOGS are query logs; without them those of this project. Whether a rollup answers a query is asked of
    the planner, and the rows of its table are counted over the tables in service. Row filters of access
    policies are not in the log: add the dimensions that they filter by.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.status import Status  # noqa: PLC0415

    from flows.advice import advise, find_logs  # noqa: PLC0415  (imports DuckDB)
    from semantic.advice.advise import Limits  # noqa: PLC0415
    from semantic.advice.document import describe_advice, write_yaml  # noqa: PLC0415

    settings = read_settings(root)
    files = list(logs) or find_logs(settings.query_log_path)
    console = Console(file=sys.stderr)
    with Status("reading", console=console) as status_line:
        advice, unread = advise(
            settings,
            files,
            since=None if since is None else since.replace(tzinfo=UTC),
            limits=Limits(share, largest, most),
            progress=status_line.update if sys.stderr.isatty() else lambda _: None,
        )
    text = write_yaml(advice)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if as_json:
        click.echo(orjson.dumps(describe_advice(advice, unread), option=orjson.OPT_INDENT_2))
        return
    if out is None and text:
        click.echo(text)
    for line in summarise(advice, unread, files):
        click.echo(line, err=True)


def summarise(advice: Advice, unread: int, files: Sequence[Path]) -> list[str]:
    """Return what was looked at, and what no rollup helps."""
    from semantic.advice.document import name_query  # noqa: PLC0415

    if not files:
        return ["there is no query log yet: `ducat serve` writes one"]
    lines = [f"{len(files)} query log{'s' * (len(files) != 1)}, {advice.seconds:.1f} s of queries"]
    if unread:
        lines.append(f"{unread} lines could not be read, or ask for what the model has no more")
    if advice.seconds:
        now = advice.answered / advice.seconds
        then = sum(item.seconds for item in advice.proposals) / advice.seconds
        lines.append(f"rollups answer {now:.0%} of the time now, these {then:.0%} more")
    for item in advice.unhelped[:_SHOWN]:
        lines.append(f"not helped: {name_query(item.shape.query)} ({item.shape.seconds:.1f} s)")
        lines.append(f"            {item.why}")
    more = len(advice.unhelped) - _SHOWN
    return [*lines, *([f"and {more} more"] if more > 0 else [])]


def list_builds(settings: Settings) -> tuple[RollupBuild, ...]:
    """Return how to make each rollup of the project's model.

    Raises:
        ModelError: the model is not usable.
    """
    from semantic.service import SemanticLayer  # noqa: PLC0415  (imports the engine)

    layer = SemanticLayer.of(settings)
    try:
        return layer.rollup_builds(settings.rollup_zones)
    finally:
        layer.close()


def describe_rollups(
    builds: tuple[RollupBuild, ...], stored: tuple[StoredRollup, ...], snapshot: Snapshot
) -> list[dict[str, Any]]:
    """Return what there is to say of each rollup: one that cannot be built, is not, or is old."""
    known = {(item.name, item.timezone): item for item in stored}
    return [_describe(item, known.get((item.name, item.timezone)), snapshot) for item in builds]


def _describe(item: RollupBuild, stored: StoredRollup | None, snapshot: Snapshot) -> dict[str, Any]:
    state, why = "built", ""
    if item.problem is not None:
        state, why = "not possible", item.problem
    elif stored is None:
        state, why = "not built", "`ducat rollups build` builds it"
    elif stored.definition != item.definition:
        state, why = "out of date", "the model defines it otherwise since it was built"
    elif (changed := stored.find_change(snapshot)) is not None:
        state, why = "out of date", f"rows changed since it was built: {changed}"
    shown = stored if item.problem is None else None
    built = None if shown is None else shown.built_at.astimezone(UTC)
    return {
        "name": item.name,
        "timezone": item.timezone,
        "state": state,
        "why": why,
        "rows": None if shown is None else shown.rows,
        "bytes": None if shown is None else shown.bytes,
        "builtAt": None if built is None else f"{built:%Y-%m-%d %H:%M:%S} UTC",
        "ageSeconds": None if built is None else round((datetime.now(UTC) - built).total_seconds()),
        "partitions": 0 if shown is None else len(shown.partitions),
        "sql": item.sql,
    }
