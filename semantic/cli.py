"""`ducat validate`, `explain` and `schema`: the model and its answers, without a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semantic.catalog.catalog import Catalog
    from semantic.errors import ModelError, Problem


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.pass_context
def validate(ctx: click.Context, *, as_json: bool) -> None:
    """Check the model: every problem with its place, or a summary. Exit code 1 on problems.

    Warnings, such as a longer way to join two cubes, do not change the exit code.
    """
    import orjson  # noqa: PLC0415 - `ducat --help` imports every command's module

    from semantic.catalog.alternatives import describe_alternatives  # noqa: PLC0415
    from semantic.catalog.load import load_catalog  # noqa: PLC0415
    from semantic.errors import ModelError  # noqa: PLC0415
    from semantic.project import Project  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    settings = read_settings(ctx.find_object(Path))
    project = Project.open(settings.project)
    try:
        catalog = load_catalog(project.model, strict_joins=settings.strict_joins)
    except ModelError as invalid:
        if as_json:
            click.echo(orjson.dumps(describe_problems(invalid, project.root, project.model)))
        else:
            for line in format_problems(invalid, project.root, project.model):
                click.echo(line, err=True)
        ctx.exit(1)
    counts = count_members(catalog)
    warnings = describe_alternatives(catalog.join_graph, catalog.views.values())
    if as_json:
        described = [describe_problem(item, project.root, project.model) for item in warnings]
        found = {"valid": True, "version": catalog.version, **counts, "warnings": described}
        click.echo(orjson.dumps(found))
    else:
        for warning in warnings:
            for line in format_problem(warning, project.root, project.model, "warning: "):
                click.echo(line, err=True)
        listed = ", ".join(f"{number} {noun}" for noun, number in counts.items())
        click.echo(f"the model is valid: {listed}")


@click.command()
@click.argument("query_json", metavar="QUERY_JSON")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as one JSON object.")
@click.pass_context
def explain(ctx: click.Context, query_json: str, *, as_json: bool) -> None:
    """Show the plan and the SQL of a query in Cube's REST JSON; `-` reads it from standard input.

    Nothing is run: the tables need not be there.
    """
    import orjson  # noqa: PLC0415 - as above

    from semantic.query.context import SecurityContext  # noqa: PLC0415
    from semantic.query.from_json import parse_json  # noqa: PLC0415
    from semantic.service import SemanticLayer  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    settings = read_settings(ctx.find_object(Path))
    document = read_document("explain", sys.stdin.read() if query_json == "-" else query_json)
    layer = SemanticLayer.of(settings)
    try:
        found = layer.explain(parse_json(document), SecurityContext(), now=datetime.now(UTC))
    finally:
        layer.close()
    if as_json:
        click.echo(orjson.dumps(found))
    else:
        for line in format_explanation(found):
            click.echo(line)


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it into this file instead of printing it.",
)
def schema(out: Path | None) -> None:
    """Print the JSON Schema of the model's YAML, with which editors complete and check it."""
    import orjson  # noqa: PLC0415 - as above

    from semantic.spec.schema import build_schema  # noqa: PLC0415

    text = orjson.dumps(build_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            out.write_bytes(text)
        except OSError as refused:
            raise click.FileError(str(out), hint=str(refused.strerror)) from refused
        click.echo(f"wrote the JSON Schema of the model's YAML to {out}", err=True)


def read_document(command: str, text: str) -> dict[str, Any]:
    """Return the one query that the argument of a command spells.

    Raises:
        QuerySyntaxError: it is no JSON, no query, or says a key twice.
    """
    import json  # noqa: PLC0415 - as above

    from semantic.errors import QuerySyntaxError  # noqa: PLC0415

    example = f"""`ducat {command} '{{"measures": ["flights.count"]}}'`"""
    try:
        document = json.loads(text, object_pairs_hook=_pair, parse_constant=_refuse)
    except (ValueError, RecursionError) as invalid:
        said = f"the query is not JSON: {str(invalid)[:200]}"
        if not text.strip():
            said = "the query is empty"
        elif text.lstrip()[0] not in "{[":
            said = f"{text[:100]!r} is no query in JSON, and files are not read by their names"
        raise QuerySyntaxError(
            said,
            suggestion=f"write {example}, or read a file by `ducat {command} - < FILE`",
        ) from invalid
    if isinstance(document, dict):
        return document
    kind = "a list" if isinstance(document, list) else "no object"
    raise QuerySyntaxError(
        f"the query is {kind}, and this command takes one query, which is an object",
        suggestion=f"write {example}; lists of queries are answered over REST",
    )


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _pair(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:100]!r} is there twice")
    return found


def count_members(catalog: Catalog) -> dict[str, int]:
    """Return how many cubes, views and members there are; inherited members count."""
    cubes = catalog.cubes.values()
    return {
        "cubes": len(catalog.cubes),
        "views": len(catalog.views),
        "measures": sum(len(cube.measures) for cube in cubes),
        "dimensions": sum(len(cube.dimensions) for cube in cubes),
        "segments": sum(len(cube.segments) for cube in cubes),
    }


def describe_problems(invalid: ModelError, root: Path, model: Path) -> dict[str, Any]:
    """Return the problems as JSON; `file` is relative to the project folder."""
    problems = [describe_problem(problem, root, model) for problem in invalid.problems]
    return {"valid": False, "problems": problems}


def describe_problem(problem: Problem, root: Path, model: Path) -> dict[str, Any]:
    """Return one problem or warning as JSON."""
    return {
        "code": problem.code,
        "message": problem.message,
        "suggestion": problem.suggestion,
        "file": _shown(problem.span.file, root, model) if problem.span else None,
        "line": problem.span.line if problem.span else None,
        "column": problem.span.column if problem.span else None,
    }


def format_problems(invalid: ModelError, root: Path, model: Path) -> Iterator[str]:
    """Yield a line per problem and suggestion, as editors and terminals make links of."""
    for problem in invalid.problems:
        yield from format_problem(problem, root, model)
    count = len(invalid.problems)
    yield f"{count} {'problem' if count == 1 else 'problems'}"


def format_problem(problem: Problem, root: Path, model: Path, sign: str = "") -> Iterator[str]:
    """Yield the line of one problem or warning, and its suggestion."""
    span = problem.span
    place = f"{_shown(span.file, root, model)}:{span.line}:{span.column}: " if span else ""
    yield f"{place}{sign}{problem.code}: {problem.message}"
    if problem.suggestion:
        yield f"  hint: {problem.suggestion}"


def format_explanation(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan, the reason of each join, and the SQL with its values."""
    yield str(found["plan"])
    for join in found["joins"]:
        yield f"join {join['from']} -> {join['to']} ({join['relationship']}): {join['why']}"
    yield ""
    yield str(found["sql"])
    if found["values"]:
        yield f"values: {', '.join(repr(value) for value in found['values'])}"
    if found["tables"]:
        yield f"reads: {', '.join(found['tables'])}"


def _shown(file: str, root: Path, model: Path) -> str:
    return (model.relative_to(root) / file).as_posix()
