"""`python -m tests.bench [PART...]`: measure, print, and write BENCHMARKS.md and build/bench.json."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from semantic.catalog.load import ModelLoader
from tests.bench.crowd import measure_crowd
from tests.bench.doors import measure_doors
from tests.bench.execution import measure_execution
from tests.bench.loading import SIZES, measure_size, write_model
from tests.bench.planning import measure_known_shapes, measure_planning
from tests.bench.report import Figure, Section, show_section, write_report
from tests.bench.rollups import measure_rollups
from tests.bench.wire import measure_wire


def measure_loading() -> Section:
    """Measure models of more and more files."""
    with tempfile.TemporaryDirectory() as name:  # what is done once for each process
        write_model(Path(name), 1)
        ModelLoader(Path(name)).load()
    rows = []
    cold = changed = 0.0
    for size in SIZES:
        cold, changed, unchanged = measure_size(size)
        rows.append((str(size), f"{cold:.0f}", f"{changed:.1f}", f"{unchanged:.1f}"))
    return Section(
        name="loading",
        title="Loading a model",
        text="Cubes of 20 members, each in a file with SQL of its own; milliseconds. Changed: one file of "
        "all has other snippets and titles (a median of 7).",
        columns=("cubes", "cold", "one changed", "unchanged"),
        rows=tuple(rows),
        figures=(
            Figure("load_1000_cubes", cold / 1000, "s", 1.0),
            Figure("load_one_changed", changed, "ms", 50),
        ),
    )


PARTS: Final[Mapping[str, Callable[[], Section]]] = {
    "execution": measure_execution,
    "planning": measure_planning,
    "known_shapes": measure_known_shapes,
    "loading": measure_loading,
    "doors": measure_doors,
    "wire": measure_wire,
    "rollups": measure_rollups,
    "crowd": measure_crowd,
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(tuple(PARTS)))
@click.option("--scale", type=float, multiple=True, default=(1.0,), help="TPC-H scale factors.")
@click.option("--write/--no-write", default=True, help="Write the page and the figures.")
def main(parts: tuple[str, ...], scale: tuple[float, ...], write: bool) -> None:
    """Measure PARTS, or everything."""
    console = Console()
    for name in parts or tuple(PARTS):
        runs: list[Callable[[], Section]]
        match name:
            case "execution":
                runs = [partial(measure_execution, one) for one in scale]
            case "rollups":
                runs = [partial(measure_rollups, one) for one in scale]
            case _:
                runs = [PARTS[name]]
        for run in runs:
            section = run()
            show_section(console, section)
            if write:
                write_report([section])


if __name__ == "__main__":
    main()
