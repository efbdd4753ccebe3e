"""What a benchmark found: tables for people in BENCHMARKS.md, figures for programs in build/bench.json.

A run may measure some parts only; the parts that it did not measure stay as they were.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
_INTRODUCTION = """# Benchmarks

`make bench` measures everything below and writes this page and `build/bench.json`; `python -m tests.bench
PART...` measures parts. Each figure stands beside its limit (SQL written by hand on the same DuckDB, a bare
server) measured in the same run, in turns; medians of at least 9 runs unless it says otherwise. Compare
ratios; absolute times are those of the machine.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `target` is the most that is wanted, or with `at_least` the least."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is as wanted; None when nothing in particular is."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: a table with a few sentences, and the figures that it is about."""

    name: str
    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: tuple[Figure, ...] = ()


def show_section(console: Console, section: Section) -> None:
    """Print a section."""
    table = Table(*section.columns, title=section.title)
    for row in section.rows:
        table.add_row(*row)
    console.print(table)
    for figure in section.figures:
        console.print(f"  {_describe(figure)}", style=None if figure.met in {None, True} else "red")


def write_report(sections: Sequence[Section], root: Path = ROOT) -> None:
    """Put the sections into both files, in place of what they held of the same parts."""
    path = root / "build" / "bench.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for section in sections:
        known = {name: item for name, item in known.items() if item["part"] != section.name}
        for figure in section.figures:
            known[figure.name] = {
                "value": round(figure.value, 4),
                "unit": figure.unit,
                "target": figure.target,
                "met": figure.met,
                "part": section.name,
            }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    page = root / "BENCHMARKS.md"
    kept = _read_sections(page.read_text(encoding="utf-8")) if page.exists() else {}
    kept |= {section.name: _write_section(section) for section in sections}
    parts = [f"{_INTRODUCTION}\n{_describe_machine()}\n"]
    parts += [f"<!-- {name} -->\n{text}" for name, text in kept.items()]
    page.write_text("\n".join(parts), encoding="utf-8")


def _read_sections(text: str) -> dict[str, str]:
    found = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)
    return {
        name: body.rstrip("\n") + "\n" for name, body in zip(found[1::2], found[2::2], strict=True)
    }


def _write_section(section: Section) -> str:
    lines = [f"## {section.title}", "", section.text.strip(), ""]
    lines.append("| " + " | ".join(section.columns) + " |")
    lines.append("|---|" + "---:|" * (len(section.columns) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in section.rows]
    if section.figures:
        lines += ["", *(f"- {_describe(figure)}" for figure in section.figures)]
    return "\n".join(lines) + "\n"


def _describe(figure: Figure) -> str:
    text = f"{figure.name}: {figure.value:.4g} {figure.unit}".rstrip()
    if figure.target is None:
        return text
    word = "at least" if figure.at_least else "at most"
    verdict = "met" if figure.met else "**not met**"
    return f"{text} (target {word} {figure.target:g}: {verdict})"


def _describe_machine() -> str:
    memory = round(psutil.virtual_memory().total / 2**30)
    load = os.getloadavg()[0]
    return (
        f"Last run: {os.cpu_count()} cores, {memory} GB, {platform.system()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}; other work on the machine "
        f"meanwhile: load {load:.1f}."
    )
