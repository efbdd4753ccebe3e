"""`ducat dashboards`: Superset assets from git to Superset, and back to a person's eyes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dashboards.assets import Assets
    from semantic.catalog.catalog import Catalog


@click.group()
def dashboards() -> None:
    """Check and publish the Superset assets of this project."""


@dashboards.command()
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
@click.pass_obj
def check(project: Path | None, as_json: bool) -> None:
    """Compare every chart and dashboard with the model; Superset is not needed.

    Ends with 1 when a chart names something that the model does not have, and says whose it is.
    """
    assets, catalog = _read(project)
    _refuse_problems(assets, catalog, as_json=as_json)
    counts = {kind: len(assets.of(kind)) for kind in ("datasets", "charts", "dashboards")}
    if as_json:
        _print_json({"problems": [], **counts})
    else:
        click.echo(", ".join(f"{count} {kind}" for kind, count in counts.items()) + " agree")


@dashboards.command()
@click.argument("views", nargs=-1)
@click.option("--owner", default="Ducat", show_default=True, help="Who answers for the charts.")
@click.option("--force", is_flag=True, help="Overwrite charts and dashboards that were edited.")
@click.option("--json", "as_json", is_flag=True, help="Print the files written as JSON.")
@click.pass_obj
def generate(
    project: Path | None, views: tuple[str, ...], owner: str, force: bool, as_json: bool
) -> None:
    """Write the datasets from the model: a new measure appears, a removed one disappears.

    With VIEWS also a first dashboard for each: headlines, trends, breakdowns, a table. Its files are yours
    then: one that was edited is kept, and the command says so.
    """
    from dashboards.assets import write_yaml  # noqa: PLC0415
    from dashboards.generate import generate_datasets  # noqa: PLC0415
    from dashboards.starter import generate_starter  # noqa: PLC0415

    root, catalog = _model(project)
    first: dict[str, str] = {}
    for view in views:
        starter = generate_starter(catalog, view, owner=owner)
        first |= {name: write_yaml(content) for name, content in starter.items()}
    _refuse_edited(root, first, force=force)
    made = generate_datasets(catalog)
    datasets = {name: write_yaml(content) for name, content in made.items()}
    written = _write_changed(root, datasets | first)
    folder = root / "datasets"
    stale = [
        path for path in folder.rglob("*.yaml") if path.relative_to(root).as_posix() not in made
    ]
    for path in stale:
        path.unlink()
    removed = sorted(path.relative_to(root).as_posix() for path in stale)
    if as_json:
        _print_json({"written": written, "removed": removed})
    else:
        for name in written:
            click.echo(f"wrote {name}")
        for name in removed:
            click.echo(f"removed {name}")
        if not written and not removed:
            click.echo(f"{len(made)} datasets are as the model gives them")


@dashboards.command()
@click.option("--json", "as_json", is_flag=True, help="Print what is published as JSON.")
@click.pass_obj
def publish(project: Path | None, as_json: bool) -> None:
    """Check the assets, put them into Superset and set the roles. Safe to repeat.

    Reads DUCAT_SUPERSET_URL, _USER, _PASSWORD, _SOURCE_URL and _SOURCE_TOKEN.
    """
    from dashboards.publish import publish as publish_assets  # noqa: PLC0415
    from dashboards.publish import read_target  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    target = read_target(read_settings(project))
    assets, catalog = _read(project)
    _refuse_problems(assets, catalog, as_json=as_json)
    published = publish_assets(assets, target, report=lambda words: click.echo(words, err=True))
    if as_json:
        _print_json(asdict(published))
        return
    click.echo(f"published {published.charts} charts on {published.datasets} datasets")
    if published.roles:
        click.echo(f"roles set: {', '.join(published.roles)}")
    for address in published.dashboards:
        click.echo(address)


@dashboards.command()
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@click.pass_obj
def diff(project: Path | None, as_json: bool) -> None:
    """Show what was changed in Superset since it was published. Ends with 1 when something was."""
    from dashboards.compare import compare  # noqa: PLC0415
    from dashboards.publish import fetch, read_target  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    target = read_target(read_settings(project))
    assets, _ = _read(project)
    changes = compare(assets, fetch(target))
    if as_json:
        _print_json([asdict(change) for change in changes])
    else:
        for change in changes:
            click.echo(str(change))
        if not changes:
            click.echo("Superset has what is here")
    if changes:
        raise SystemExit(1)


@dashboards.command()
@click.option("--json", "as_json", is_flag=True, help="Print the files written as JSON.")
@click.pass_obj
def pull(project: Path | None, as_json: bool) -> None:
    """Take over into the files what was changed in Superset: charts and dashboards kept here."""
    from dashboards.assets import write_yaml  # noqa: PLC0415
    from dashboards.compare import pull as take_over  # noqa: PLC0415
    from dashboards.publish import fetch, read_target  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    target = read_target(read_settings(project))
    assets, _ = _read(project)
    files = take_over(assets, fetch(target))
    for name, content in files.items():
        (assets.root / name).write_text(write_yaml(content), encoding="utf-8")
    if as_json:
        _print_json({"written": list(files)})
    else:
        click.echo("\n".join(f"wrote {name}" for name in files) or "nothing was changed")


def _write_changed(root: Path, texts: Mapping[str, str]) -> list[str]:
    """Write the files that say something else, and return their names."""
    written = []
    for name, text in texts.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(name)
    return written


def _refuse_edited(root: Path, first: Mapping[str, str], *, force: bool) -> None:
    """Write nothing when a file of a first dashboard is there already, and says something else.

    Raises:
        EditedAssetError: there is one, and nobody forces it.
    """
    from dashboards.errors import EditedAssetError  # noqa: PLC0415

    edited = [
        name
        for name, text in first.items()
        if (root / name).is_file() and (root / name).read_text(encoding="utf-8") != text
    ]
    if edited and not force:
        raise EditedAssetError(
            f"{edited[0]} was edited" + (f", and {len(edited) - 1} more" * (len(edited) > 1)),
            suggestion="`--force` writes it anew and loses what was edited",
        )


def _model(project: Path | None) -> tuple[Path, Catalog]:
    from semantic.catalog.load import load_catalog  # noqa: PLC0415
    from semantic.project import Project  # noqa: PLC0415
    from semantic.settings import read_settings  # noqa: PLC0415

    opened = Project.open(read_settings(project).project)
    return opened.assets, load_catalog(opened.model)


def _read(project: Path | None) -> tuple[Assets, Catalog]:
    from dashboards.assets import read_assets  # noqa: PLC0415

    root, catalog = _model(project)
    return read_assets(root), catalog


def _refuse_problems(assets: Assets, catalog: Catalog, *, as_json: bool) -> None:
    from dashboards.check import check_assets  # noqa: PLC0415
    from dashboards.errors import InvalidAssetsError  # noqa: PLC0415

    problems = check_assets(assets, catalog)
    if not problems:
        return
    if as_json:
        _print_json({"problems": [asdict(problem) for problem in problems]})
    raise InvalidAssetsError(problems)


def _print_json(value: object) -> None:
    import orjson  # noqa: PLC0415

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
