"""`ducat`: the root of all commands, kept light.

The table below names each command's module as text, and its one line of help, so that
`ducat --help` imports none of them: a person who asks what there is should not wait for FastAPI,
Prefect and Great Expectations to be read.

Exit codes: 0 done, 1 a `DucatError` (printed with its code and what to do), 2 wrong usage, 70 a
defect of ours (the traceback goes to a file, or to the terminal with `--traceback`), 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import click

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("api.init:init", "Write a small, complete project to begin with."),
    "serve": ("api.serve:serve", "Serve the metrics over REST, GraphQL and SQL."),
    "token": ("api.commands:token", "Make an access token for a user."),
    "password": ("api.postgres.cli:password", "Make an entry of the Postgres wire's users."),
    "keys": ("api.commands:keys", "Make, list and revoke API keys."),
    "settings": ("api.commands:settings", "List every setting, its variable and its default."),
    "mcp": ("api.mcp.cli:mcp", "Answer agents over standard input and output (MCP)."),
    "query": ("api.commands:query", "Answer one query in this process."),
    "validate": ("semantic.cli:validate", "Check the model and report every problem."),
    "explain": ("semantic.cli:explain", "Show the plan and the SQL of a query."),
    "schema": ("semantic.cli:schema", "Print the JSON Schema of the model's YAML."),
    "flows": ("flows.cli:flows", "Run pipelines, serve their schedules, rebuild days."),
    "rollups": (
        "flows.rollups_cli:rollups",
        "Build pre-aggregations, see what is built and why not.",
    ),
    "alerts": ("flows.alerts_cli:alerts", "Check alerts on metrics, list them, send a test."),
    "quality": ("quality.cli:quality", "Check the tables against their contracts."),
    "dashboards": ("dashboards.cli:dashboards", "Publish the Superset assets of this project."),
    "demo": ("deploy.demo.cli:demo", "Run or check the whole platform on real flights data."),
}

USAGE: Final = 2
DEFECT: Final = 70
INTERRUPTED: Final = 130
CRASH_LOG: Final = "crash.log"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, importing its module; None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's own help texts."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The project folder (default: DUCAT_PROJECT, else the current folder).",
)
@click.option("--traceback", is_flag=True, help="Show the traceback of an unexpected failure.")
@click.version_option(package_name="ducat", prog_name="ducat")
@click.pass_context
def ducat(ctx: click.Context, project: Path | None, *, traceback: bool) -> None:
    """Ducat: one definition of a metric, the same number in every tool."""
    del traceback  # read by `run`, which catches what a command raises
    ctx.obj = project


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        returned = ducat.main(args=list(arguments), prog_name="ducat", standalone_mode=False)
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away: `ducat settings | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as failure:  # noqa: BLE001  the outermost boundary: nothing may escape as noise
        return _report(failure, show=_wants_traceback(arguments))
    return returned if isinstance(returned, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def _wants_traceback(arguments: Sequence[str]) -> bool:
    for argument in arguments:
        if argument == "--traceback":
            return True
        if argument in COMMANDS:
            return False
    return False


def _report(failure: Exception, *, show: bool) -> int:
    from semantic.errors import DucatError, InternalError  # noqa: PLC0415  (only when needed)

    if show:
        import traceback  # noqa: PLC0415

        traceback.print_exception(failure)
    if isinstance(failure, DucatError) and not isinstance(failure, InternalError):
        click.echo(f"error[{failure.code}]: {failure.message}", err=True)
        if failure.suggestion:
            click.echo(f"hint: {failure.suggestion}", err=True)
        return 1
    click.echo(f"error[{InternalError.code}]: {type(failure).__name__}: {failure}", err=True)
    if not show:
        place = _write_crash(failure)
        where = f"the traceback is in {place}" if place else "no crash log could be written"
        click.echo(f"hint: this is a defect of Ducat; {where}, or use --traceback", err=True)
    return DEFECT


def _write_crash(failure: Exception) -> Path | None:
    """Append the traceback to the crash log, in the state folder or the temporary one."""
    import tempfile  # noqa: PLC0415
    import traceback  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    from semantic.errors import DucatError  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    try:
        folder = read_settings().home_path
    except DucatError:
        folder = Path(tempfile.gettempdir())
    text = "".join(traceback.format_exception(failure))
    for place in (folder / CRASH_LOG, Path(tempfile.gettempdir()) / f"ducat-{CRASH_LOG}"):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("a", encoding="utf-8") as stream:
                stream.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv[:1])}\n{text}\n")
        except OSError:
            continue
        return place
    return None
