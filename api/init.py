"""`ducat init`: a small, complete project to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

STARTER: Final = Path(__file__).parent / "starter"
FILES: Final[Mapping[str, str]] = {
    "README.md": "project.md",
    "semantic/model/cubes/orders.yml": "orders.yml",
    "semantic/model/views/sales.yml": "sales.yml",
    "flows/pipelines/shop/pipeline.py": "pipeline.txt",
    "quality/contracts/fct_orders.yml": "fct_orders.yml",
    "sample/orders.csv": "orders.csv",
}
"""What is written, and the file of `starter/` that it is."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Write a small, complete project into DIR, which is new or empty."""
    from semantic.errors import ProjectError  # noqa: PLC0415  (light command line)

    if folder.is_dir() and any(folder.iterdir()):
        raise ProjectError(
            f"{folder} is not empty, and nothing in it is overwritten",
            suggestion="give the name of a new folder",
        )
    texts = {name: (STARTER / source).read_bytes() for name, source in FILES.items()}
    texts[".gitignore"] = b".ducat/\n"
    try:
        for name, text in texts.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)
    except OSError as refused:
        raise ProjectError(
            f"{folder} cannot be written: {refused.strerror}",
            suggestion="give a folder that you may write",
        ) from refused
    for name in texts:
        click.echo(f"  {folder / name}")
    click.echo(f"next: cd {folder}; ducat validate; ducat flows run", err=True)
