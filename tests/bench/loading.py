"""`python -m tests.bench.loading`: how long a model of many files takes to load, and to load again.

Each cube has a file of its own with 20 members, one with SQL that no other cube has. Cold is the first load of a new loader; changed is
one file of all with other snippets and titles; unchanged is nothing. Wall clock, in milliseconds.
Prints a table; judges nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from semantic.catalog.load import ModelLoader

SIZES = (10, 100, 1_000)
RUNS = 7
DIMENSIONS = 11
MEASURES = 5
GROUP = 5  # cubes that are joined in a chain


def write_cube(number: int, last: int, word: str = "number") -> str:
    """Return the file of one cube: 13 dimensions, 7 measures, and a join to the next one."""
    lines = ["cubes:", f"  - name: cube_{number:04}", f"    sql_table: gold.table_{number:04}"]
    if number % GROUP != GROUP - 1 and number < last:
        following = f"cube_{number + 1:04}"
        condition = f"{{CUBE}}.next_id = {{{following}}}.id"
        join = f'{{name: {following}, relationship: many_to_one, sql: "{condition}"}}'
        lines += ["    joins:", f"      - {join}"]
    lines += [
        "    dimensions:",
        "      - {name: id, type: number, sql: id, primary_key: true}",
        "      - {name: created_at, type: time, sql: created_at}",
    ]
    for item in range(DIMENSIONS):
        sql = f"lower({{CUBE}}.column_{item})" if item % 4 == 0 else f"column_{item}"
        lines += [
            f"      - name: dimension_{item}",
            "        type: string",
            f'        sql: "{sql}"',
            f"        title: Dimension {word} {item}",
            f"        description: What dimension {item} of the cube means to people",
        ]
    lines += [
        "    measures:",
        "      - {name: count, type: count}",
        '      - {name: average, type: number, sql: "1.0 * {total_0} / NULLIF({count}, 0)"}',
    ]
    for item in range(MEASURES):
        rate = f"{word}_{number}" if item == 0 else "discount"
        lines += [
            f"      - name: total_{item}",
            "        type: sum",
            f'        sql: "{{CUBE}}.amount_{item} * (1 - {rate})"',
            "        format: currency_2",
        ]
    return "\n".join(lines) + "\n"


def write_model(folder: Path, size: int) -> None:
    """Write a model of `size` cubes."""
    for number in range(size):
        (folder / f"cube_{number:04}.yml").write_text(write_cube(number, size - 1))


def time_call(run: Callable[[], object]) -> float:
    """Return how many milliseconds a call takes."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000


def measure_size(size: int) -> tuple[float, float, float]:
    """Return the milliseconds of a cold load, after a change (a median), and without one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, size)
        loader = ModelLoader(folder)
        cold = time_call(loader.load)
        changed, unchanged = [], []
        for run in range(RUNS):
            number = size // 2
            path = folder / f"cube_{number:04}.yml"
            path.write_text(write_cube(number, size - 1, f"word_{size}_{run}"))
            changed.append(time_call(loader.load))
            unchanged.append(time_call(loader.load))
    return cold, statistics.median(changed), statistics.median(unchanged)


def measure_loading(console: Console) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:  # what is done once for each process
        write_model(Path(name), 1)
        ModelLoader(Path(name)).load()
    table = Table("cubes of 20 members", "cold ms", "one changed ms", "unchanged ms")
    for size in SIZES:
        cold, changed, unchanged = measure_size(size)
        table.add_row(str(size), f"{cold:.0f}", f"{changed:.1f}", f"{unchanged:.1f}")
    console.print(table)


if __name__ == "__main__":
    measure_loading(Console())
